//! How far a recording may look ahead, given what its frames weigh.
//!
//! The fast lane holds every frame until its score is certain, so it must be longer than the slow
//! lane takes: tracker, smoothing, encoder, window and decision together. A lane shorter than that
//! would stop for good, so the sum is made here, once, and what does not fit the byte budget is
//! not tried: the lookahead shrinks in steps, and below the last one the recording is read twice.

use super::head_runner::Window;
use crate::core::time::{Rate, Span, Tick};
use crate::stages::features::smooth::LAG_TICKS;
use crate::stages::track::Policy;

/// What a package and a decision need on top of the head's own window.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleRequest {
    /// Ticks that the face encoder lags.
    pub face_delay_ticks: usize,
    /// Ticks of audio that the audio encoder needs after a tick, and those it waits to gather.
    pub audio_ticks: usize,
    /// Ticks that smoothing looks ahead.
    pub decision_ticks: usize,
    /// The lookahead that is wanted.
    pub lookahead_ticks: usize,
    /// How much at once.
    pub stride: Stride,
}

/// How much is worked through at once: more saves time, and makes what is first wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// Ticks that the head gives at once.
    pub hop: usize,
    /// Ticks through the face encoder at once.
    pub face_chunk_ticks: usize,
}

impl Stride {
    /// For recordings.
    pub const FILE: Self = Self { hop: 25, face_chunk_ticks: 12 };
    /// For what is watched as it happens.
    pub const LIVE: Self = Self { hop: 5, face_chunk_ticks: 5 };

    /// No more at once than suits a face encoder whose states are `face_states` values each. The
    /// layers of one that remembers much do not fit a core's caches with twelve ticks, beside another
    /// encoder at work: Light-ASD takes 5 % more with twelve than with six, which is what copies of
    /// its states cost with three. A small one takes the same with either.
    #[must_use]
    pub fn limited_for(self, face_states: &[usize]) -> Self {
        let large = face_states.iter().sum::<usize>() > LARGE_STATE_VALUES;
        Self {
            face_chunk_ticks: if large {
                self.face_chunk_ticks.min(LARGE_STATE_CHUNK_TICKS)
            } else {
                self.face_chunk_ticks
            },
            ..self
        }
    }
}

/// How a recording is worked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The head's window.
    pub window: Window,
    /// Ticks through the face encoder at once.
    pub face_chunk_ticks: usize,
    /// Frames that the fast lane holds; `None` where the recording is read twice and nothing is
    /// held.
    pub frames_held: Option<usize>,
    /// Media time that the slow lane takes: a source that is faster for a while than it states
    /// fills the lane with frames before that, and then more frames are held.
    pub span_held: Span,
    /// Frames that wait behind the tracker when the lane is as full as it gets: audio that is
    /// missing then does not come in time.
    pub max_waiting_frames: usize,
}

/// Ticks of all faces of a recording that may wait while the face encoder works: their crops are
/// less than a large frame.
pub const ENCODE_AHEAD_TICKS: usize = 200;
/// Values in all of a face encoder's states from which it is a large one: a mebibyte.
const LARGE_STATE_VALUES: usize = 1 << 18;
/// Ticks at once through such a one.
const LARGE_STATE_CHUNK_TICKS: usize = 6;
/// Ticks of a camera through the face encoder at once, where a hop is not over before: one by one
/// costs a large encoder a third more.
pub const LIVE_CHUNK_TICKS: usize = 3;
/// The rate counted with where the source states none: faster ones are rare in files.
const DEFAULT_RATE: Option<Rate> = Rate::new(60, 1);
/// MiB of decoded frames that may wait where nobody says otherwise: at 1920×1080 and 25 frames a
/// second it holds a second of lookahead for an encoder that lags as much as Light-ASD's. To read
/// such a recording twice costs a tenth of its time; the second of lookahead less, .009 of average
/// precision on the labelled composites.
pub const DEFAULT_BUDGET_MIB: usize = 264;
/// Frames beyond the sum: those in the stages' own hands and on the edges.
const MARGIN_FRAMES: usize = 12;
/// The same in media time.
const MARGIN_SPAN: Span = Span::from_ms(500);
/// What computing takes at least, on a machine that is fast and at ease.
const MIN_COMPUTE_TIME: Span = Span::from_ms(60);
/// Frames without their frames that may wait for audio where nothing is held.
const TWO_PASS_MAX_WAITING: usize = 4_096;
/// Lookaheads tried, with hop and chunk, from the best to the least that is worth having.
const LOOKAHEAD_STEPS: [(usize, usize, usize); 7] =
    [(100, 25, 12), (75, 25, 12), (50, 25, 12), (35, 12, 6), (25, 10, 6), (18, 6, 6), (12, 5, 5)];

impl Schedule {
    /// The best schedule for frames of `frame_bytes` at `rate` within `budget_bytes`.
    pub fn for_file(
        budget_bytes: usize,
        frame_bytes: usize,
        rate: Option<Rate>,
        policy: &Policy,
        request: ScheduleRequest,
    ) -> Self {
        let rate = rate.or(DEFAULT_RATE).map_or(60.0, |r| r.fps().max(1.0));
        let tracker = policy.max_lag();
        let in_tracker =
            Rate::new((rate * 1_000.0) as u32, 1_000).map_or(tracker.cap, |r| tracker.frames_at(r));
        let Stride { hop, face_chunk_ticks } = request.stride;
        let first = (request.lookahead_ticks, hop, face_chunk_ticks);
        for (lookahead, hop, face_chunk_ticks) in std::iter::once(first).chain(LOOKAHEAD_STEPS) {
            // Never further ahead or in longer strides than was asked for.
            if lookahead > request.lookahead_ticks || hop > request.stride.hop {
                continue;
            }
            let face_chunk_ticks = face_chunk_ticks.min(request.stride.face_chunk_ticks);
            let face = LAG_TICKS + 1 + face_chunk_ticks + request.face_delay_ticks;
            let ticks =
                face.max(request.audio_ticks) + hop + lookahead + request.decision_ticks + 2;
            let frames = (ticks as f64 * rate / Tick::PER_SECOND as f64).ceil() as usize;
            let held = frames + in_tracker + 2 + MARGIN_FRAMES;
            let fits = |frames: usize| frames.saturating_mul(frame_bytes) <= budget_bytes;
            if fits(held) {
                // With room for a hop more the next one is worked on while the last is encoded.
                let hop_frames = (hop as f64 * rate / Tick::PER_SECOND as f64).ceil() as usize;
                let held = if fits(held + hop_frames) { held + hop_frames } else { held };
                let window = Window { hop, lookahead };
                let span = Span::from_ns(Tick::SPAN.ns() * i64::try_from(ticks).unwrap_or(0));
                return Self {
                    window,
                    face_chunk_ticks,
                    frames_held: Some(held),
                    span_held: span + tracker.span + MARGIN_SPAN,
                    max_waiting_frames: held.saturating_sub(in_tracker + 4),
                };
            }
        }
        Self::two_passes(request.lookahead_ticks, request.stride)
    }

    /// A live stream's: what is shown is late by [`Self::span_held`], the sum of everything that a
    /// score waits for. `crop_lag_ticks` ticks of smoothing, nothing held in the tracker; `compute_time` is what
    /// this machine takes, where that is known.
    pub fn live(
        request: ScheduleRequest,
        crop_lag_ticks: usize,
        rate: Option<Rate>,
        compute_time: Span,
    ) -> Self {
        let Stride { hop, face_chunk_ticks } = request.stride;
        // A frame's tick is known when the next frame is here. No chunk is waited for: the last ticks
        // of a hop go by themselves.
        let face = 1 + crop_lag_ticks + request.face_delay_ticks;
        // The oldest tick of a hop waits for all the others.
        let ticks = face.max(request.audio_ticks) + hop.max(1) - 1
            + request.lookahead_ticks
            + request.decision_ticks;
        let ticks = i64::try_from(ticks).unwrap_or(0);
        let span = Span::from_ns(Tick::SPAN.ns() * ticks) + compute_time.max(MIN_COMPUTE_TIME);
        let rate = rate.or(DEFAULT_RATE).map_or(60.0, |r| r.fps().max(1.0));
        let held = (span.seconds() * rate).ceil() as usize + MARGIN_FRAMES;
        Self {
            window: Window { hop, lookahead: request.lookahead_ticks },
            face_chunk_ticks,
            frames_held: Some(held),
            span_held: span,
            max_waiting_frames: held,
        }
    }

    /// Scores first, frames second: nothing is held, so the lookahead is the best.
    pub const fn two_passes(lookahead: usize, stride: Stride) -> Self {
        Self {
            window: Window { hop: stride.hop, lookahead },
            face_chunk_ticks: stride.face_chunk_ticks,
            frames_held: None,
            span_held: Span::ZERO,
            max_waiting_frames: TWO_PASS_MAX_WAITING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: ScheduleRequest = ScheduleRequest {
        face_delay_ticks: 6,
        audio_ticks: 15,
        decision_ticks: 0,
        lookahead_ticks: 50,
        stride: Stride::FILE,
    };

    #[test]
    fn small_frames_look_two_seconds_ahead_and_large_ones_are_read_twice() {
        let policy = Policy::default();
        let budget = DEFAULT_BUDGET_MIB << 20;
        let plan = |bytes| Schedule::for_file(budget, bytes, Rate::new(25, 1), &policy, REQUEST);
        let small = plan(640 * 360 * 3 / 2);
        assert_eq!(small.window, Window { hop: 25, lookahead: 50 });
        assert!(small.frames_held.is_some_and(|f| f >= 50 + 25 + 30));
        let hd = plan(1920 * 1080 * 3 / 2);
        assert!(hd.frames_held.is_some_and(|f| f * 1920 * 1080 * 3 / 2 <= budget));
        assert!(hd.window.lookahead >= 25);
        let uhd = plan(3840 * 2160 * 3 / 2);
        assert_eq!(uhd, Schedule::two_passes(50, Stride::FILE));
    }

    #[test]
    fn a_large_encoder_takes_fewer_ticks_at_once() {
        let light_asd = [4, 32 * 3 * 3136, 32 * 4 * 3136, 64 * 7 * 784, 128 * 7 * 196];
        assert_eq!(Stride::FILE.limited_for(&light_asd).face_chunk_ticks, 6);
        assert_eq!(Stride::FILE.limited_for(&[4, 10_000]), Stride::FILE);
        assert_eq!(Stride::LIVE.limited_for(&light_asd), Stride::LIVE);
    }

    #[test]
    fn a_live_stride_is_kept_whatever_frames_weigh() {
        let policy = Policy::default();
        let request = ScheduleRequest { lookahead_ticks: 9, stride: Stride::LIVE, ..REQUEST };
        for bytes in [1, 3840 * 2160 * 3 / 2] {
            let plan = Schedule::for_file(
                DEFAULT_BUDGET_MIB << 20,
                bytes,
                Rate::new(25, 1),
                &policy,
                request,
            );
            assert_eq!(plan.window, Window { hop: 5, lookahead: 9 });
        }
    }

    #[test]
    fn a_fast_source_holds_more_frames() {
        let policy = Policy::default();
        let at = |fps| {
            Schedule::for_file(usize::MAX, 1, Rate::new(fps, 1), &policy, REQUEST).frames_held
        };
        assert!(at(60) > at(25) && at(25) > at(15));
    }
}
