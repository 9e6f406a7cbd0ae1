//! The head's window: how many ticks it emits at once, and how far it looks ahead.

use std::ops::Range;

use crate::core::time::Tick;

/// The head's hop and lookahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Ticks emitted at once.
    pub hop: usize,
    /// Ticks of future that the last emitted one includes.
    pub lookahead: usize,
}

impl Window {
    /// Whether the faces of `new` ticks complete a hop, where the face encoder lags `delay` ticks.
    pub fn completes_hop(self, new: Range<Tick>, delay: usize) -> bool {
        let ahead = i64::try_from(self.lookahead + delay).unwrap_or(i64::MAX);
        let hop = i64::try_from(self.hop.max(1)).unwrap_or(i64::MAX);
        let hops = |until: Tick| until.0.saturating_sub(ahead).div_euclid(hop);
        hops(new.end) > hops(new.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_hop_does_not_wait_for_a_chunk() {
        let window = Window { hop: 5, lookahead: 9 };
        // Ticks 0 to 4 need faces up to tick 13; an encoder with a delay of two gives it at tick
        // 15.
        let ends = |from: i64, until: i64| window.completes_hop(Tick(from)..Tick(until), 2);
        assert!(ends(15, 16) && !ends(14, 15) && !ends(16, 17));
        assert!(ends(14, 17) && ends(15, 18) && ends(13, 16) && !ends(16, 20) && ends(16, 21));
        assert!(!ends(16, 16), "nothing new");
        assert!(ends(-10, -9) && !ends(-9, -8));
        let every = Window { hop: 1, lookahead: 0 };
        assert!(every.completes_hop(Tick(3)..Tick(4), 0));
    }
}
