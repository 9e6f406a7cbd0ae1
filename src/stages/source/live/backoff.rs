//! How long to wait before a lost source is tried again: longer each time, never the same for two.
//!
//! The wait doubles from `first` to `most`, less up to a quarter by chance, so that twenty cameras
//! behind one switch do not come back in step. A source that was well for a while begins anew.

use std::time::Duration;

use crate::core::seeded::Seeded;

/// A source that was well for so long has earned a quick first try.
const WELL_FOR: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    chance: Seeded,
}

impl Backoff {
    /// Waits from `first` to `most`, with chances from `seed`.
    pub fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self { first, most: most.max(first), next: first, chance: Seeded::new(seed) }
    }

    /// How long to wait, after the source was well for `well`.
    pub fn wait(&mut self, well: Duration) -> Duration {
        if well >= WELL_FOR {
            self.next = self.first;
        }
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        whole.mul_f64(1.0 - 0.25 * f64::from(self.chance.next_unit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_begin_anew_after_a_good_while() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, most, 7);
        for whole in [1, 2, 4, 8, 16, 30, 30] {
            let wait = backoff.wait(Duration::from_secs(3));
            let whole = Duration::from_secs(whole);
            assert!(wait <= whole && wait >= whole.mul_f64(0.75), "{wait:?} for {whole:?}");
        }
        assert!(backoff.wait(WELL_FOR) <= first);
        let mut other = Backoff::new(first, most, 8);
        assert_ne!(other.wait(Duration::ZERO), Backoff::new(first, most, 7).wait(Duration::ZERO));
    }
}
