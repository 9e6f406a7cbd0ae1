//! A signal between threads: something has changed, or all threads are to stop.
//!
//! A waiting thread first takes a [`Seen`] mark, then checks its conditions, then waits for a change
//! after the mark. A change in between ends the wait immediately, so none is missed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The changes that a waiting thread has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u64);

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    changes: Mutex<u64>,
    changed: Condvar,
}

/// The signal; clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal(Arc<Inner>);

impl Signal {
    /// Wakes all waiting threads.
    pub(crate) fn notify(&self) {
        *self.0.changes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_all();
    }

    /// Requests a stop, and wakes all waiting threads.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        self.notify();
    }

    /// Whether a stop was requested.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    /// The changes so far.
    pub(crate) fn seen(&self) -> Seen {
        Seen(*self.0.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a change after `seen`, at most `timeout`.
    pub(crate) fn wait(&self, seen: Seen, timeout: Duration) {
        let began = Instant::now();
        let mut changes = self.0.changes.lock().unwrap_or_else(PoisonError::into_inner);
        while *changes == seen.0 {
            let Some(left) = timeout.checked_sub(began.elapsed()).filter(|d| !d.is_zero()) else {
                return;
            };
            let woken = self.0.changed.wait_timeout(changes, left);
            changes = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a stop request, at most `timeout`. Returns whether there is one.
    pub(crate) fn wait_for_stop(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        loop {
            let seen = self.seen();
            let left = until.saturating_duration_since(Instant::now());
            if self.is_stopped() || left.is_zero() {
                return self.is_stopped();
            }
            self.wait(seen, left);
        }
    }
}

/// Notifies when dropped, so that the end of a thread is noticed, also after a panic.
#[derive(Debug)]
pub(crate) struct NotifyOnDrop(pub Signal);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_between_looking_and_waiting_is_not_missed() {
        let signal = Signal::default();
        let seen = signal.seen();
        signal.notify();
        let began = Instant::now();
        signal.wait(seen, Duration::from_secs(60));
        assert!(began.elapsed() < Duration::from_secs(30));
        signal.wait(signal.seen(), Duration::from_millis(1));
    }

    #[test]
    fn a_stop_ends_a_wait_and_a_change_does_not() {
        let signal = Signal::default();
        assert!(!signal.wait_for_stop(Duration::from_millis(1)));
        let other = signal.clone();
        let thread = std::thread::Builder::new().name("other".into()).spawn(move || {
            other.notify();
            other.stop();
        });
        assert!(signal.wait_for_stop(Duration::from_secs(60)));
        thread.expect("a thread").join().expect("it ends");
    }
}
