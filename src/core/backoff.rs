//! How long to wait before what was lost is tried again: longer each time, never the same for two.
//!
//! The wait doubles from the first to the longest, less up to a quarter by chance, so that twenty
//! cameras behind one switch, or twenty sinks of one broker, do not come back in step. Sources and
//! sinks wait by the same rule.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::seeded::Seeded;

/// The first wait of a sink, at most.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of a sink.
const MOST: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    chance: Seeded,
}

impl Default for Backoff {
    /// From one second to thirty.
    fn default() -> Self {
        Self::new(FIRST, MOST)
    }
}

impl Backoff {
    /// Waits from `first` to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        // The hasher's keys are random for every process and differ for every call.
        let chance = Seeded::new(RandomState::new().build_hasher().finish());
        Self { first, most: most.max(first), next: first, chance }
    }

    /// How long to wait now; the next wait is up to twice as long.
    pub fn next_wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        whole.mul_f64(1.0 - 0.25 * f64::from(self.chance.next_unit()))
    }

    /// It went well: the next wait is the first again.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::default();
        for whole in [1, 2, 4, 8, 16, 30, 30, 30] {
            let (whole, wait) = (Duration::from_secs(whole), backoff.next_wait());
            assert!(wait >= whole.mul_f64(0.75) && wait <= whole, "{wait:?} for {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    #[test]
    fn two_do_not_wait_alike() {
        let waits = |_| Backoff::default().next_wait();
        let waits: std::collections::BTreeSet<_> = (0..16).map(waits).collect();
        assert!(waits.len() > 1, "all come back at once");
    }
}
