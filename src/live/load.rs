//! What is given up first when the machine is too slow, and when it comes back.
//!
//! Takes, once a second, how many of the frames shown had their scores in time and how many frames
//! the slow lane left out; gives a level. In order: 1 heatmaps are no longer made; 2 faces are
//! searched for half as often; 3 three times as many ticks are scored at once. Beyond that the slow
//! lane leaves frames out, and the newest boxes stay up to their stated age; the picture itself
//! keeps its rate throughout. It takes [`WORSE_AFTER`] bad seconds to go up and [`BETTER_AFTER`] good
//! ones to come down, so that a level does not flutter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::core::time::Span;
use crate::stages::explain::Mode;

/// The highest level.
pub const MOST: u8 = 3;
/// What each level means.
pub const MEANS: [&str; 4] = [
    "everything is done",
    "no heatmaps are made",
    "no heatmaps are made, and faces are searched for half as often",
    "no heatmaps are made, faces are searched for half as often, and scores come three times as late",
];
/// Bad seconds in a row before the level goes up.
pub const WORSE_AFTER: u32 = 2;
/// Good seconds in a row before it comes down.
pub const BETTER_AFTER: u32 = 15;
/// A second is bad when more than this share of its frames had no scores in time.
const BAD_SHARE: f64 = 0.1;

/// The level, shared by the stages.
#[derive(Clone, Debug, Default)]
pub struct Load(Arc<AtomicU8>);

/// What a stage may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Whether heatmaps are made.
    pub heat: bool,
    /// Searches for faces lie so many times as far apart.
    pub search_every: i64,
    /// So many times as many ticks are scored at once.
    pub hops: usize,
}

impl Load {
    /// The level now.
    pub fn level(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// What may be spent now.
    pub fn spending(&self) -> Spending {
        let level = self.level();
        Spending {
            heat: level < 1,
            search_every: if level < 2 { 1 } else { 2 },
            hops: if level < 3 { 1 } else { 3 },
        }
    }

    fn set(&self, level: u8) {
        self.0.store(level, Ordering::Relaxed);
    }
}

impl Spending {
    /// The mode that heatmaps are made in: a mode that needs what was kept from earlier ticks cannot
    /// be left and taken up again in the middle of a track.
    pub const fn mode(self, wanted: Mode) -> Mode {
        if self.heat || wanted.needs_effects() { wanted } else { Mode::None }
    }

    /// The time between two searches.
    pub const fn stride(self, ordinary: Span) -> Span {
        Span::from_ns(ordinary.ns() * self.search_every)
    }
}

/// One second of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Frames shown.
    pub shown: u32,
    /// Of those, the ones whose scores were not there in time.
    pub late: u32,
    /// Frames that the slow lane left out.
    pub left_out: u32,
}

/// Sets the level.
#[derive(Debug, Default)]
pub struct Governor {
    load: Load,
    bad: u32,
    good: u32,
}

impl Governor {
    /// A governor of `load`.
    pub const fn of(load: Load) -> Self {
        Self { load, bad: 0, good: 0 }
    }

    /// Takes the last second; gives the new level where it changed.
    pub fn second(&mut self, second: Second) -> Option<u8> {
        if second.shown == 0 {
            return None;
        }
        let missed = f64::from(second.late.max(second.left_out)) / f64::from(second.shown);
        let level = self.load.level();
        if missed > BAD_SHARE {
            (self.bad, self.good) = (self.bad + 1, 0);
            if self.bad >= WORSE_AFTER && level < MOST {
                self.bad = 0;
                self.load.set(level + 1);
                return Some(level + 1);
            }
        } else {
            (self.bad, self.good) = (0, self.good + 1);
            if self.good >= BETTER_AFTER && level > 0 {
                self.good = 0;
                self.load.set(level - 1);
                return Some(level - 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Second = Second { shown: 25, late: 0, left_out: 0 };
    const BAD: Second = Second { shown: 25, late: 9, left_out: 3 };

    #[test]
    fn levels_go_up_after_bad_seconds_and_come_down_only_after_many_good_ones() {
        let load = Load::default();
        let mut governor = Governor::of(load.clone());
        let ups: Vec<_> = (0..8).filter_map(|_| governor.second(BAD)).collect();
        assert_eq!(ups, [1, 2, 3]);
        assert_eq!(load.spending(), Spending { heat: false, search_every: 2, hops: 3 });
        let downs: Vec<_> = (0..BETTER_AFTER * 3).filter_map(|_| governor.second(GOOD)).collect();
        assert_eq!((downs, load.level()), (vec![2, 1, 0], 0));
    }

    #[test]
    fn seconds_by_turns_good_and_bad_change_nothing() {
        let mut governor = Governor::of(Load::default());
        let changes = (0..60).filter_map(|i| governor.second(if i % 2 == 0 { BAD } else { GOOD }));
        assert_eq!(changes.count(), 0);
        assert_eq!(governor.second(Second::default()), None, "nothing shown, nothing known");
    }

    #[test]
    fn ablation_is_not_left_in_the_middle_of_a_track() {
        let spending = Spending { heat: false, search_every: 1, hops: 1 };
        assert_eq!(spending.mode(Mode::GateActivation), Mode::None);
        assert_eq!(spending.mode(Mode::Ablation), Mode::Ablation);
    }
}
