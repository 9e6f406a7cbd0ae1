//! One clock for a whole run, over all epochs, and how long each frame is shown.
//!
//! Takes frames in order. Gives seconds on one line of time: those of the first epoch are the
//! source's own, and every later epoch goes on where the one before it ended, for a source that
//! reconnects or jumps may start its clock anew. A frame is shown until the next one, the last one
//! of an epoch as long as the one before it; no frame counts for more than [`MAX_FRAME_DURATION`], so
//! that a frame that froze gives nobody minutes of talk.

use crate::core::time::{Epoch, FrameRef, Pts, Span};

/// No frame counts for longer.
pub const MAX_FRAME_DURATION: Span = Span::from_ms(1000);
/// How long a frame is shown where there is only one.
const DEFAULT_FRAME_DURATION: Span = Span::from_ms(40);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct RunClock {
    epoch: Option<Epoch>,
    /// What to add to this epoch's times.
    offset: Span,
    /// The newest frame's time on the run's clock.
    at: Pts,
    duration: Option<Span>,
}

/// A frame's place on the run's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameTiming {
    /// The frame's time on the run's clock; never earlier than the frame before it.
    pub at: Pts,
    /// How long the frame before it was shown; `None` for the first frame.
    pub previous_duration: Option<Span>,
}

impl RunClock {
    /// Where the next frame stands.
    pub fn next(&mut self, frame: FrameRef) -> FrameTiming {
        let first = self.epoch.is_none();
        let new_epoch = !first && self.epoch != Some(frame.epoch);
        self.epoch = Some(frame.epoch);
        if new_epoch {
            self.offset = (self.at + self.last_duration()) - frame.pts;
        }
        let at = frame.pts + self.offset;
        let at = if first { at } else { at.max(self.at) };
        let gap = at - self.at;
        self.at = at;
        if first {
            return FrameTiming { at, previous_duration: None };
        }
        let shown = if new_epoch { self.last_duration() } else { gap.min(MAX_FRAME_DURATION) };
        self.duration = Some(shown);
        FrameTiming { at, previous_duration: Some(shown) }
    }

    /// How long the newest frame is shown if no other follows in its epoch.
    pub fn last_duration(&self) -> Span {
        self.duration.unwrap_or(DEFAULT_FRAME_DURATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(epoch: u32, ms: i64) -> FrameRef {
        FrameRef { epoch: Epoch(epoch), seq: 0, pts: Pts::from_ns(ms * 1_000_000) }
    }

    #[test]
    fn a_new_epoch_goes_on_where_the_last_one_ended() {
        let mut clock = RunClock::default();
        let mut at = |e, ms| {
            let m = clock.next(frame(e, ms));
            (m.at.ns() / 1_000_000, m.previous_duration.map(|s| s.ns() / 1_000_000))
        };
        assert_eq!(at(0, 20), (20, None));
        assert_eq!(at(0, 70), (70, Some(50)));
        assert_eq!(at(1, 5), (120, Some(50)));
        assert_eq!(at(1, 35), (150, Some(30)));
        assert_eq!(at(2, 900_000), (180, Some(30)));
        assert_eq!(at(2, 905_000), (5180, Some(1000)));
        assert_eq!(at(2, 904_000), (5180, Some(0)));
    }
}
