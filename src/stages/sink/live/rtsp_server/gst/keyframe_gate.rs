//! Makes readers wait for the keyframe that they start with.
//!
//! Readers that want to play call [`KeyframeGate::wait`] on their own threads; the feed's thread
//! calls [`KeyframeGate::open`] for each keyframe. Promises: waiting readers start right before a
//! keyframe; a reader waits at most [`MAX_WAIT`]; the feed waits only for waiting readers, and at
//! most [`ENTRY_TIMEOUT`].

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum wait of a reader; it then starts without a keyframe.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(1200);
/// Maximum time until the readers that were let in receive packets.
const ENTRY_TIMEOUT: Duration = Duration::from_millis(100);
/// Time until the last frame has left the pipeline.
const SEND_DELAY: Duration = Duration::from_millis(5);

#[derive(Default)]
struct State {
    /// Readers that wait.
    waiting: usize,
    /// Readers that were let in and do not receive packets yet.
    entering: usize,
    /// Number of times it was opened.
    opened: u64,
    closed: bool,
}

/// The gate of one mount.
#[derive(Default)]
pub(super) struct KeyframeGate {
    state: Mutex<State>,
    changed: Condvar,
}

impl KeyframeGate {
    /// Waits for a keyframe; `ask` requests one. Returns whether it comes next.
    pub(super) fn wait(&self, ask: impl FnOnce()) -> bool {
        let mut state = self.lock();
        state.waiting += 1;
        let opened = state.opened;
        drop(state);
        ask();
        let shut = |state: &mut State| state.opened == opened && !state.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), MAX_WAIT, shut);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.opened == opened {
            state.waiting -= 1;
        }
        state.opened != opened
    }

    /// A reader receives packets from now on.
    pub(super) fn entered(&self) {
        let mut state = self.lock();
        state.entering = state.entering.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Lets all waiting readers in; a keyframe comes next. `busy` says whether earlier frames are
    /// still queued.
    pub(super) fn open(&self, busy: impl Fn() -> bool) {
        if self.lock().waiting == 0 {
            return;
        }
        let began = Instant::now();
        while busy() && began.elapsed() < ENTRY_TIMEOUT {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(SEND_DELAY);
        let mut state = self.lock();
        (state.entering, state.waiting) = (state.waiting, 0);
        state.opened += 1;
        self.changed.notify_all();
        let still_entering = |state: &mut State| state.entering > 0 && !state.closed;
        let waited = self.changed.wait_timeout_while(state, ENTRY_TIMEOUT, still_entering);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.entering = 0;
    }

    /// Ends all waiting, now and later.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn readers_are_let_in_together_and_the_feed_waits_for_them() {
        let (gate, inside) = (Arc::new(KeyframeGate::default()), Arc::new(AtomicUsize::new(0)));
        // Without waiting readers it returns at once.
        gate.open(|| unreachable!("no reader waits"));
        let readers = [(); 3].map(|()| {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            let reader = std::thread::Builder::new().name("test-reader".into());
            let reader = reader.spawn(move || {
                let key = gate.wait(|| {});
                inside.fetch_add(1, Ordering::SeqCst);
                gate.entered();
                key
            });
            reader.expect("a thread")
        });
        while gate.lock().waiting < 3 {
            std::thread::yield_now();
        }
        assert_eq!(inside.load(Ordering::SeqCst), 0);
        gate.open(|| false);
        assert_eq!(inside.load(Ordering::SeqCst), 3);
        assert!(readers.map(|r| r.join().expect("a reader")).iter().all(|key| *key));
    }

    #[test]
    fn waiting_times_out() {
        let gate = KeyframeGate::default();
        assert!(!gate.wait(|| {}), "no keyframe came");
        assert_eq!(gate.lock().waiting, 0);
        gate.close();
        let began = Instant::now();
        assert!(!gate.wait(|| {}));
        assert!(began.elapsed() < MAX_WAIT);
    }
}
