//! What is left out when the machine is too slow, and when it is restored.
//!
//! Takes, once a second, how many of the shown frames had their scores in time and how many frames the
//! slow path dropped; gives a level. Level 1: no heatmaps. Level 2: faces are searched for half as
//! often. Level 3: three times as many ticks are scored at once. Beyond that the slow path drops
//! frames, and the newest boxes stay up to their maximum age; the frame rate stays the same
//! throughout. The level goes up after [`RAISE_AFTER_SECONDS`] bad seconds and comes down after
//! [`LOWER_AFTER_SECONDS`] good ones, so that it does not oscillate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::core::time::Span;
use crate::models::explain::Mode;

/// The highest level.
pub(crate) const MAX_LEVEL: u8 = 3;
/// What each level means.
pub(crate) const LEVEL_DESCRIPTIONS: [&str; 4] = [
    "everything is done",
    "no heatmaps are made",
    "no heatmaps are made, and faces are searched for half as often",
    "no heatmaps are made, faces are searched for half as often, and scores come three times as late",
];
/// Bad seconds in a row before the level goes up.
pub(crate) const RAISE_AFTER_SECONDS: u32 = 2;
/// Good seconds in a row before it comes down.
pub(crate) const LOWER_AFTER_SECONDS: u32 = 15;
/// A second is bad when more than this share of its frames had no scores in time.
const MAX_LATE_RATIO: f64 = 0.1;

/// The level, shared by the stages.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadLevel(Arc<AtomicU8>);

/// What the stages may do at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoadBudget {
    /// Whether heatmaps are made.
    pub heat: bool,
    /// Factor of the time between two searches for faces.
    pub search_interval_factor: i64,
    /// Factor of the ticks that are scored at once.
    pub hop_factor: usize,
}

impl LoadLevel {
    /// The current level.
    pub(crate) fn level(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// The budget at the current level.
    pub(crate) fn budget(&self) -> LoadBudget {
        let level = self.level();
        LoadBudget {
            heat: level < 1,
            search_interval_factor: if level < 2 { 1 } else { 2 },
            hop_factor: if level < 3 { 1 } else { 3 },
        }
    }

    fn set(&self, level: u8) {
        self.0.store(level, Ordering::Relaxed);
    }
}

impl LoadBudget {
    /// The mode of heatmaps. A mode that needs values from earlier ticks cannot be switched off and on
    /// again within a track.
    pub(crate) const fn mode(self, wanted: Mode) -> Mode {
        if self.heat || wanted.needs_effects() { wanted } else { Mode::None }
    }

    /// The time between two searches.
    pub(crate) const fn stride(self, normal: Span) -> Span {
        Span::from_ns(normal.ns() * self.search_interval_factor)
    }
}

/// One second of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoadSample {
    /// Frames shown.
    pub shown: u32,
    /// Frames whose scores were late.
    pub late: u32,
    /// Frames that the slow path dropped.
    pub dropped: u32,
}

/// Sets the level.
#[derive(Debug, Default)]
pub(crate) struct LoadController {
    load: LoadLevel,
    bad: u32,
    good: u32,
}

impl LoadController {
    /// A controller of `load`.
    pub(crate) const fn new(load: LoadLevel) -> Self {
        Self { load, bad: 0, good: 0 }
    }

    /// Takes the sample of the last second; gives the new level if it changed.
    pub(crate) fn update(&mut self, sample: LoadSample) -> Option<u8> {
        if sample.shown == 0 {
            return None;
        }
        let missed = f64::from(sample.late.max(sample.dropped)) / f64::from(sample.shown);
        let level = self.load.level();
        if missed > MAX_LATE_RATIO {
            (self.bad, self.good) = (self.bad + 1, 0);
            if self.bad >= RAISE_AFTER_SECONDS && level < MAX_LEVEL {
                self.bad = 0;
                self.load.set(level + 1);
                return Some(level + 1);
            }
        } else {
            (self.bad, self.good) = (0, self.good + 1);
            if self.good >= LOWER_AFTER_SECONDS && level > 0 {
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

    const GOOD: LoadSample = LoadSample { shown: 25, late: 0, dropped: 0 };
    const BAD: LoadSample = LoadSample { shown: 25, late: 9, dropped: 3 };

    #[test]
    fn levels_go_up_after_bad_seconds_and_come_down_only_after_many_good_ones() {
        let load = LoadLevel::default();
        let mut load_controller = LoadController::new(load.clone());
        let ups: Vec<_> = (0..8).filter_map(|_| load_controller.update(BAD)).collect();
        assert_eq!(ups, [1, 2, 3]);
        assert_eq!(
            load.budget(),
            LoadBudget { heat: false, search_interval_factor: 2, hop_factor: 3 }
        );
        let downs: Vec<_> =
            (0..LOWER_AFTER_SECONDS * 3).filter_map(|_| load_controller.update(GOOD)).collect();
        assert_eq!((downs, load.level()), (vec![2, 1, 0], 0));
    }

    #[test]
    fn alternating_good_and_bad_seconds_change_nothing() {
        let mut load_controller = LoadController::new(LoadLevel::default());
        let changes =
            (0..60).filter_map(|i| load_controller.update(if i % 2 == 0 { BAD } else { GOOD }));
        assert_eq!(changes.count(), 0);
        assert_eq!(load_controller.update(LoadSample::default()), None, "no frames, no change");
    }

    #[test]
    fn ablation_is_not_switched_off_within_a_track() {
        let budget = LoadBudget { heat: false, search_interval_factor: 1, hop_factor: 1 };
        assert_eq!(budget.mode(Mode::GateActivation), Mode::None);
        assert_eq!(budget.mode(Mode::Ablation), Mode::Ablation);
    }
}
