//! Exponential backoff with jitter, for sources and sinks.
//!
//! The wait doubles from the initial wait to the maximum, less up to a quarter at random. So twenty
//! cameras behind one switch, or twenty sinks of one broker, do not reconnect in step.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::rng::SeededRng;

/// A sink's initial wait, at most.
const INITIAL_WAIT: Duration = Duration::from_secs(1);
/// A sink's longest wait.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(crate) struct Backoff {
    initial_wait: Duration,
    max_wait: Duration,
    current_wait: Duration,
    rng: SeededRng,
}

impl Default for Backoff {
    /// From one second to thirty.
    fn default() -> Self {
        Self::new(INITIAL_WAIT, MAX_WAIT)
    }
}

impl Backoff {
    /// A backoff that waits from `initial_wait` to `max_wait`.
    pub(crate) fn new(initial_wait: Duration, max_wait: Duration) -> Self {
        // The hasher's keys are random for every process and differ for every call.
        let rng = SeededRng::new(RandomState::new().build_hasher().finish());
        Self { initial_wait, max_wait: max_wait.max(initial_wait), current_wait: initial_wait, rng }
    }

    /// How long to wait now; the next wait is up to twice as long.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let full_wait = self.current_wait;
        self.current_wait = (full_wait * 2).min(self.max_wait);
        full_wait.mul_f64(1.0 - 0.25 * f64::from(self.rng.next_f32()))
    }

    /// After a success: the next wait is the initial one again.
    pub(crate) const fn reset(&mut self) {
        self.current_wait = self.initial_wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_until_reset() {
        let mut backoff = Backoff::default();
        for full_wait in [1, 2, 4, 8, 16, 30, 30, 30] {
            let (full_wait, wait) = (Duration::from_secs(full_wait), backoff.next_wait());
            assert!(
                wait >= full_wait.mul_f64(0.75) && wait <= full_wait,
                "{wait:?} for {full_wait:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next_wait() <= INITIAL_WAIT);
    }

    #[test]
    fn two_backoffs_wait_for_different_times() {
        let waits = |_| Backoff::default().next_wait();
        let waits: std::collections::BTreeSet<_> = (0..16).map(waits).collect();
        assert!(waits.len() > 1, "all retry at once");
    }
}
