//! How far a recording can look ahead within the memory of its frames.
//!
//! Every frame is held until its score is final. The frame queue must therefore be longer than the
//! scoring delay: tracker, smoothing, encoder, window and decision together. A shorter queue would
//! deadlock. The sum is computed here, once. A lookahead that exceeds the byte budget is not tried:
//! the lookahead shrinks in steps, and below the last step the recording is read twice.

use super::window::Window;
use crate::core::time::{Rate, Span, Tick};
use crate::stages::features::smooth::LAG_TICKS;
use crate::stages::track::Policy;

/// Delays of a package and a decision in addition to the head's own window.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleRequest {
    /// Ticks by which the face encoder lags.
    pub face_delay_ticks: usize,
    /// Ticks of audio that the audio encoder needs after a tick, plus those of an incomplete chunk.
    pub audio_ticks: usize,
    /// Ticks that smoothing looks ahead.
    pub decision_ticks: usize,
    /// The requested lookahead.
    pub lookahead_ticks: usize,
    /// The chunk sizes.
    pub stride: Stride,
}

/// Chunk sizes: larger chunks save compute time and add delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// Ticks scored per run of the head.
    pub hop: usize,
    /// Ticks per run of the face encoder.
    pub face_chunk_ticks: usize,
}

impl Stride {
    /// For recordings.
    pub const FILE: Self = Self { hop: 25, face_chunk_ticks: 12 };
    /// For live streams, by default.
    pub const LIVE: Self = Self::live(2);

    /// For live streams that score `hop_ticks` at once.
    pub const fn live(hop_ticks: usize) -> Self {
        Self { hop: hop_ticks, face_chunk_ticks: LIVE_CHUNK_TICKS }
    }

    /// Limits the chunk for a face encoder whose states have `face_states` values each. With twelve
    /// ticks the layers of an encoder with large states exceed a core's caches while another
    /// encoder runs: Light-ASD takes 5 % more time with twelve ticks than with six, as much as
    /// copying its states costs with three. A small encoder takes the same time with either.
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

/// The schedule of a recording or a live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The head's window.
    pub window: Window,
    /// Ticks per run of the face encoder.
    pub face_chunk_ticks: usize,
    /// Frames held until their scores are final; `None` where the recording is read twice and no
    /// frame is held.
    pub frames_held: Option<usize>,
    /// Media time of the scoring delay. A source that is temporarily faster than its stated rate
    /// fills the queue with frames before that; then more frames are held.
    pub span_held: Span,
    /// Frames that wait behind the tracker when the queue is full: audio that is still missing then
    /// arrives too late.
    pub max_waiting_frames: usize,
}

/// Ticks of all faces of a recording that may wait while the face encoder works; their crops are
/// smaller than a large frame.
pub const ENCODE_AHEAD_TICKS: usize = 200;
/// A face encoder with more state values than this is large: a mebibyte.
const LARGE_STATE_VALUES: usize = 1 << 18;
/// Ticks per run of a large face encoder.
const LARGE_STATE_CHUNK_TICKS: usize = 6;
/// Ticks per run of the face encoder for a live stream, unless a hop ends earlier; single ticks
/// cost a large encoder a third more.
pub const LIVE_CHUNK_TICKS: usize = 3;
/// Rate assumed for sources that state none; higher rates are rare in files.
const DEFAULT_RATE: Option<Rate> = Rate::new(60, 1);
/// Default budget in MiB of decoded frames. At 1920×1080 and 25 frames a second it holds a second
/// of lookahead for an encoder with a delay like Light-ASD's. Reading such a recording twice costs
/// a tenth of its time; a second less of lookahead costs .009 of average precision on the labelled
/// composites.
pub const DEFAULT_BUDGET_MIB: usize = 264;
/// Frames beyond the sum: those inside the stages and in the queues.
const MARGIN_FRAMES: usize = 12;
/// The same margin in media time.
const MARGIN_SPAN: Span = Span::from_ms(500);
/// Minimum compute time, on a fast machine without load.
const MIN_COMPUTE_TIME: Span = Span::from_ms(60);
/// Tracked frames, without images, that may wait for audio in the two-pass schedule.
const TWO_PASS_MAX_WAITING: usize = 4_096;
/// Lookaheads tried, with hop and chunk, from the best to the smallest useful one.
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
        let in_tracker = Rate::new((rate * 1_000.0) as u32, 1_000)
            .map_or(tracker.max_frames, |r| tracker.frames_at(r));
        let Stride { hop, face_chunk_ticks } = request.stride;
        let first = (request.lookahead_ticks, hop, face_chunk_ticks);
        for (lookahead, hop, face_chunk_ticks) in std::iter::once(first).chain(LOOKAHEAD_STEPS) {
            // Never more lookahead or larger hops than requested.
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
                // With room for one more hop, the next hop is scored while the last one is encoded.
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

    /// The schedule of a live stream. The output is delayed by [`Self::span_held`], the sum of all
    /// that a score waits for: `crop_lag_ticks` ticks of smoothing, no lag in the tracker, and
    /// `compute_time`, this machine's compute time, if it is known.
    pub fn live(
        request: ScheduleRequest,
        crop_lag_ticks: usize,
        rate: Option<Rate>,
        compute_time: Span,
    ) -> Self {
        let Stride { hop, face_chunk_ticks } = request.stride;
        // A frame's tick is known when the next frame arrives. The last ticks of a hop do not wait
        // for a whole chunk.
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

    /// Scores first, frames second: no frame is held, so the lookahead is the requested one.
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
    fn a_live_stride_does_not_depend_on_the_frame_size() {
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
            assert_eq!(plan.window, Window { hop: 2, lookahead: 9 });
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
