//! Creates all [`FrameRef`]s: corrects a source's timestamps, so that the rest of the program can
//! rely on them.
//!
//! Guarantees: within an epoch times strictly increase; a missing time is the previous one plus one
//! frame; small steps back are corrected; a jump beyond the policy opens a new epoch.
//! Not guaranteed: even spacing; cameras and variable frame rates do not have it.

use crate::core::time::{Epoch, FrameRef, Pts, Rate, Span};

/// What counts as a jump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JumpPolicy {
    /// A step forward longer than this opens a new epoch.
    pub forward: Span,
    /// A step back longer than this opens a new epoch; a shorter one is corrected.
    pub back: Span,
}

impl Default for JumpPolicy {
    /// Two seconds forward: the tracker cannot follow faces across a longer gap. Half a second
    /// back: more than any reordering.
    fn default() -> Self {
        Self { forward: Span::from_ms(2_000), back: Span::from_ms(500) }
    }
}

/// Corrections to the source's times so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimelineCounts {
    /// Frames without a time.
    pub missing: u64,
    /// Frames whose time did not advance.
    pub corrected: u64,
    /// Jumps that opened a new epoch.
    pub jumps: u64,
}

/// Gives frames their epoch, number and time.
#[derive(Debug)]
pub(crate) struct Timeline {
    policy: JumpPolicy,
    frame_span: Span,
    epoch: Epoch,
    next_seq: u64,
    last: Option<Pts>,
    counts: TimelineCounts,
}

/// The frame duration where a source states neither times nor a rate.
const FALLBACK_SPAN: Span = Span::from_ms(40);
/// The smallest step between two times: one tick of a 90 kHz clock, rounded up.
const MIN_STEP: Span = Span::from_ns(11_112);

impl Timeline {
    /// A timeline for a source with this nominal `rate`.
    pub(crate) fn new(policy: JumpPolicy, rate: Option<Rate>) -> Self {
        Self {
            policy,
            frame_span: rate.map_or(FALLBACK_SPAN, Rate::frame_span),
            epoch: Epoch::default(),
            next_seq: 0,
            last: None,
            counts: TimelineCounts::default(),
        }
    }

    /// The same, continued after another source with frame `next_seq` of `epoch`.
    #[must_use]
    pub(crate) const fn resumed_at(mut self, epoch: Epoch, next_seq: u64) -> Self {
        self.epoch = epoch;
        self.next_seq = next_seq;
        self
    }

    /// Begins an epoch with the next frame without a jump in its times: the source was reopened, or
    /// its format changed.
    pub(crate) const fn begin_epoch(&mut self) {
        self.epoch = self.epoch.next();
        self.counts.jumps += 1;
    }

    /// The position of the next frame, for which the source states the time `stated`.
    pub(crate) fn advance_to(&mut self, stated: Option<Pts>) -> FrameRef {
        let pts = match (stated, self.last) {
            (Some(pts), None) => pts,
            (None, None) => {
                self.counts.missing += 1;
                Pts::ZERO
            }
            (None, Some(last)) => {
                self.counts.missing += 1;
                last + self.frame_span
            }
            (Some(pts), Some(last)) => self.step(last, pts),
        };
        let frame = FrameRef { epoch: self.epoch, seq: self.next_seq, pts };
        self.next_seq += 1;
        self.last = Some(pts);
        frame
    }

    fn step(&mut self, last: Pts, stated: Pts) -> Pts {
        let step = stated - last;
        if step > self.policy.forward || step < Span::ZERO - self.policy.back {
            self.counts.jumps += 1;
            self.epoch = self.epoch.next();
            return stated;
        }
        if step >= MIN_STEP {
            return stated;
        }
        self.counts.corrected += 1;
        last + MIN_STEP
    }

    /// The counts so far.
    pub(crate) const fn counts(&self) -> TimelineCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: i64) -> Pts {
        Pts::from_ns(ms * 1_000_000)
    }

    #[test]
    fn missing_times_follow_the_stated_rate() {
        let mut timeline = Timeline::new(JumpPolicy::default(), Rate::new(50, 1));
        assert_eq!(timeline.advance_to(Some(ms(100))).pts, ms(100));
        assert_eq!(timeline.advance_to(None).pts, ms(120));
        assert_eq!(timeline.advance_to(Some(ms(140))).pts, ms(140));
        assert_eq!(timeline.counts().missing, 1);
    }

    #[test]
    fn a_jump_opens_an_epoch_and_a_small_step_back_does_not() {
        let mut timeline = Timeline::new(JumpPolicy::default(), Rate::new(25, 1));
        timeline.advance_to(Some(ms(0)));
        let step_back = timeline.advance_to(Some(ms(-10)));
        assert_eq!((step_back.epoch, step_back.pts > ms(0)), (Epoch(0), true));
        assert_eq!(timeline.advance_to(Some(ms(5_000))).epoch, Epoch(1));
        assert_eq!(timeline.advance_to(Some(ms(40))).epoch, Epoch(2));
        assert_eq!(timeline.counts().jumps, 2);
    }

    proptest! {
        #[test]
        fn times_strictly_increase_inside_an_epoch(
            steps in prop::collection::vec(prop::option::of(-3_000_i64..3_000), 1..200)
        ) {
            let mut timeline = Timeline::new(JumpPolicy::default(), None);
            let mut stated = 0_i64;
            let mut before: Option<FrameRef> = None;
            for (seq, step) in steps.into_iter().enumerate() {
                let at = step.map(|s| { stated += s; ms(stated) });
                let frame = timeline.advance_to(at);
                prop_assert_eq!(frame.seq, seq as u64);
                if let Some(before) = before {
                    prop_assert!(frame.epoch > before.epoch
                        || (frame.epoch == before.epoch && frame.pts > before.pts));
                }
                before = Some(frame);
            }
        }
    }
}
