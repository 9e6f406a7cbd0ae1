//! One clock for a whole run, over all epochs, and the duration of each frame.
//!
//! The first epoch keeps the times of the source. Every later epoch continues where the one before
//! it ended, as a source that reconnects or jumps may restart its clock. A frame lasts until the
//! next one; the last frame of an epoch lasts as long as the one before it. No frame lasts longer
//! than [`MAX_FRAME_DURATION`], so a frozen frame does not count as minutes of speech.

use crate::core::time::{Epoch, FrameRef, Pts, Span};

/// Longest duration of a frame.
pub(crate) const MAX_FRAME_DURATION: Span = Span::from_ms(1000);
/// Duration of a frame if there is only one.
const DEFAULT_FRAME_DURATION: Span = Span::from_ms(40);

/// Maps frame times to the clock of the run; see the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunClock {
    epoch: Option<Epoch>,
    /// Offset from the epoch's times to the run's clock.
    offset: Span,
    /// Time of the newest frame on the run's clock.
    at: Pts,
    duration: Option<Span>,
}

/// A frame on the run's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameTiming {
    /// The time of the frame; never earlier than the frame before it.
    pub at: Pts,
    /// Duration of the frame before it; `None` for the first frame.
    pub previous_duration: Option<Span>,
}

impl RunClock {
    /// Places the next frame on the clock.
    pub(crate) fn next(&mut self, frame: FrameRef) -> FrameTiming {
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

    /// Duration of the newest frame if it is the last of its epoch.
    pub(crate) fn last_duration(&self) -> Span {
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
    fn a_new_epoch_continues_where_the_last_one_ended() {
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
