//! How long a sink waits before it tries again: one second, doubling to thirty, jittered.
//!
//! Takes nothing but the tries made; gives waits. Promises: never below half of the step and never
//! above the step, so that many sinks that lost the same peer do not come back all at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::core::seeded::Seeded;

/// The first wait, at most.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const MOST: Duration = Duration::from_secs(30);

/// Waits that grow until [`Backoff::reset`].
#[derive(Debug)]
pub struct Backoff {
    step: Duration,
    dice: Seeded,
}

impl Default for Backoff {
    fn default() -> Self {
        // The hasher's keys are random for every process and differ for every call.
        Self { step: FIRST, dice: Seeded::new(RandomState::new().build_hasher().finish()) }
    }
}

impl Backoff {
    /// How long to wait now; the next wait is up to twice as long.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.step.mul_f32(0.5 + self.dice.next_unit() / 2.0);
        self.step = (self.step * 2).min(MOST);
        wait
    }

    /// It went well: the next wait is the first again.
    pub const fn reset(&mut self) {
        self.step = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_thirty_seconds_and_begin_anew() {
        let mut backoff = Backoff::default();
        for step in [1, 2, 4, 8, 16, 30, 30, 30] {
            let (step, wait) = (Duration::from_secs(step), backoff.next_wait());
            assert!(wait >= step / 2 && wait <= step, "{wait:?} is not within half of {step:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    #[test]
    fn two_sinks_do_not_wait_alike() {
        let waits = |_| Backoff::default().next_wait();
        let waits: std::collections::BTreeSet<_> = (0..16).map(waits).collect();
        assert!(waits.len() > 1, "all sinks come back at once");
    }
}
