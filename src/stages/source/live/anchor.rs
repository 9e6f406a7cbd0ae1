//! A source's clock put on the stream's: whatever a camera's timestamps do, the stream's time goes
//! on with real time.
//!
//! Takes each buffer's running time and the stream's time of its arrival; gives its stream time, one
//! offset for frames and audio, so that they keep their distance. While the source's clock is
//! believable (its buffers come from a little before they arrive) its own spacing is kept. When it
//! jumps, back, ahead or through a wrap, the offset is set anew and a generation begins: no track
//! spans it.

use crate::core::time::{Pts, Span};

/// A buffer may claim to come from so far ahead of its arrival.
const AHEAD: Span = Span::from_ms(500);
/// A buffer may arrive so long after the moment it claims: jitter buffers, decoders, slow links.
const BEHIND: Span = Span::from_ms(3_000);
/// What an anchored buffer is taken to be old: what decoding takes.
const FRESH: Span = Span::from_ms(20);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anchor {
    offset: Span,
    generation: u32,
    anchored: bool,
}

/// A place on the stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// When it was captured.
    pub at: Pts,
    /// Goes up whenever the source's clock has jumped.
    pub generation: u32,
}

impl Anchor {
    /// An anchor for a source whose running time begins at `base` of the stream's time.
    pub const fn at(base: Pts) -> Self {
        Self { offset: Span::from_ns(base.ns()), generation: 0, anchored: false }
    }

    /// The place of a buffer with running time `running` that arrives at `now`; `None` is placed
    /// by its arrival.
    pub fn place(&mut self, running: Option<Pts>, now: Pts) -> Placed {
        let Some(running) = running else {
            return Placed { at: now - FRESH, generation: self.generation };
        };
        let at = running + self.offset;
        let late = now - at;
        if late >= Span::ZERO - AHEAD && late <= BEHIND {
            self.anchored = true;
            return Placed { at, generation: self.generation };
        }
        // Before the first believable buffer nothing has been placed that could be cut off.
        self.generation += u32::from(self.anchored);
        self.anchored = true;
        self.offset = (now - FRESH) - running;
        Placed { at: running + self.offset, generation: self.generation }
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
    fn a_believable_clock_is_kept_and_a_jump_begins_a_generation() {
        let mut anchor = Anchor::at(ms(5_000));
        let place = |a: &mut Anchor, running, now| {
            let placed = a.place(Some(ms(running)), ms(now));
            (placed.at.ns() / 1_000_000, placed.generation)
        };
        assert_eq!(place(&mut anchor, 100, 5_150), (5_100, 0));
        assert_eq!(place(&mut anchor, 140, 5_290), (5_140, 0));
        // An hour ahead, then back by ten minutes: each time the stream's time goes on.
        assert_eq!(place(&mut anchor, 3_600_000, 5_330), (5_310, 1));
        assert_eq!(place(&mut anchor, 3_600_040, 5_370), (5_350, 1));
        assert_eq!(place(&mut anchor, 3_000_000, 5_410), (5_390, 2));
    }

    #[test]
    fn a_first_time_that_is_far_off_is_no_jump() {
        let mut anchor = Anchor::at(ms(0));
        assert_eq!(anchor.place(Some(ms(7_200_000)), ms(900)).generation, 0);
        assert_eq!(anchor.place(None, ms(950)).at, ms(930));
    }

    proptest! {
        #[test]
        fn whatever_the_source_says_stream_time_stays_near_real_time(
            said in prop::collection::vec(any::<i32>(), 1..200)
        ) {
            let mut anchor = Anchor::at(ms(0));
            for (i, running) in said.into_iter().enumerate() {
                let now = ms(i as i64 * 40);
                let late = now - anchor.place(Some(ms(i64::from(running))), now).at;
                prop_assert!(late >= Span::ZERO - AHEAD && late <= BEHIND);
            }
        }
    }
}
