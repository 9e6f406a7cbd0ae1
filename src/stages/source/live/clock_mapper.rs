//! Maps a source's clock to the stream's clock, so that stream time follows real time whatever the
//! camera's timestamps do.
//!
//! Takes each buffer's running time and its arrival in stream time; gives its stream time. Frames
//! and audio share one offset, so they stay in sync. While the source's clock is plausible (a
//! buffer's time is a little before its arrival), its spacing is kept. When it jumps back, ahead or
//! wraps around, a new offset is set and a new generation begins; no track spans two generations.

use crate::core::time::{Pts, Span};

/// A buffer's time may be this far ahead of its arrival.
const MAX_AHEAD: Span = Span::from_ms(500);
/// A buffer may arrive this long after its time: jitter buffers, decoders, slow links.
const MAX_DELAY: Span = Span::from_ms(3_000);
/// Assumed age of a buffer when the offset is set: the time that decoding takes.
const DECODE_DELAY: Span = Span::from_ms(20);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClockMapper {
    offset: Span,
    generation: u32,
    locked: bool,
}

/// A time on the stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedTime {
    /// Capture time.
    pub at: Pts,
    /// Increases with every jump of the source's clock.
    pub generation: u32,
}

impl ClockMapper {
    /// A mapper for a source whose running time begins at stream time `base`.
    pub(crate) const fn new(base: Pts) -> Self {
        Self { offset: Span::from_ns(base.ns()), generation: 0, locked: false }
    }

    /// The stream time of a buffer with running time `running` that arrives at `now`. A buffer
    /// without running time gets its arrival time.
    pub(crate) fn map(&mut self, running: Option<Pts>, now: Pts) -> MappedTime {
        let Some(running) = running else {
            return MappedTime { at: now - DECODE_DELAY, generation: self.generation };
        };
        let at = running + self.offset;
        let delay = now - at;
        if delay >= Span::ZERO - MAX_AHEAD && delay <= MAX_DELAY {
            self.locked = true;
            return MappedTime { at, generation: self.generation };
        }
        // Before the first plausible buffer there is no earlier generation to end.
        self.generation += u32::from(self.locked);
        self.locked = true;
        self.offset = (now - DECODE_DELAY) - running;
        MappedTime { at: running + self.offset, generation: self.generation }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: i64) -> Pts {
        Pts::from_ns(ms * 1_000_000)
    }

    #[test]
    fn a_plausible_clock_is_kept_and_a_jump_begins_a_generation() {
        let mut clock_mapper = ClockMapper::new(ms(5_000));
        let map = |a: &mut ClockMapper, running, now| {
            let mapped = a.map(Some(ms(running)), ms(now));
            (mapped.at.ns() / 1_000_000, mapped.generation)
        };
        assert_eq!(map(&mut clock_mapper, 100, 5_150), (5_100, 0));
        assert_eq!(map(&mut clock_mapper, 140, 5_290), (5_140, 0));
        // An hour ahead, then back by ten minutes: stream time continues both times.
        assert_eq!(map(&mut clock_mapper, 3_600_000, 5_330), (5_310, 1));
        assert_eq!(map(&mut clock_mapper, 3_600_040, 5_370), (5_350, 1));
        assert_eq!(map(&mut clock_mapper, 3_000_000, 5_410), (5_390, 2));
    }

    #[test]
    fn a_first_time_that_is_far_off_is_not_a_jump() {
        let mut clock_mapper = ClockMapper::new(ms(0));
        assert_eq!(clock_mapper.map(Some(ms(7_200_000)), ms(900)).generation, 0);
        assert_eq!(clock_mapper.map(None, ms(950)).at, ms(930));
    }

    proptest! {
        #[test]
        fn stream_time_stays_near_real_time_for_any_source_clock(
            stated in prop::collection::vec(any::<i32>(), 1..200)
        ) {
            let mut clock_mapper = ClockMapper::new(ms(0));
            for (i, running) in stated.into_iter().enumerate() {
                let now = ms(i as i64 * 40);
                let delay = now - clock_mapper.map(Some(ms(i64::from(running))), now).at;
                prop_assert!(delay >= Span::ZERO - MAX_AHEAD && delay <= MAX_DELAY);
            }
        }
    }
}
