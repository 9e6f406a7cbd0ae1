//! Where readers wait for the keyframe that they begin with.
//!
//! Takes readers that want to play ([`Gate::wait`], on their own threads) and keyframes
//! ([`Gate::open`], on the feed's). Promises: whoever waits goes in right before a keyframe; a
//! reader waits no longer than [`PATIENCE`], and the feed no longer than [`ARRIVAL`], and only where
//! somebody waits.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::lock;

/// A reader that has waited so long plays what there is.
pub const PATIENCE: Duration = Duration::from_millis(1200);
/// What the readers that go in may need until they are sent to.
const ARRIVAL: Duration = Duration::from_millis(100);
/// The last frame is on its way for so long.
const ON_ITS_WAY: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Now {
    /// Readers in front of the gate.
    waiting: usize,
    /// Readers that go in right now.
    arriving: usize,
    /// How often it was opened.
    opened: u64,
    closed: bool,
}

/// A gate.
#[derive(Default)]
pub struct Gate {
    now: Mutex<Now>,
    changed: Condvar,
}

impl Gate {
    /// Waits for a keyframe; `ask` asks for one. Whether it comes right now.
    pub fn wait(&self, ask: impl FnOnce()) -> bool {
        let mut now = lock(&self.now);
        now.waiting += 1;
        let opened = now.opened;
        drop(now);
        ask();
        let shut = |now: &mut Now| now.opened == opened && !now.closed;
        let waited = self.changed.wait_timeout_while(lock(&self.now), PATIENCE, shut);
        let (mut now, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.opened == opened {
            now.waiting -= 1;
        }
        now.opened != opened
    }

    /// A reader is in: it gets whatever is sent from now on.
    pub fn arrived(&self) {
        let mut now = lock(&self.now);
        now.arriving = now.arriving.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Lets everyone in who waits; a keyframe comes next. `busy` says whether earlier frames are
    /// still on their way.
    pub fn open(&self, busy: impl Fn() -> bool) {
        if lock(&self.now).waiting == 0 {
            return;
        }
        let began = Instant::now();
        while busy() && began.elapsed() < ARRIVAL {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(ON_ITS_WAY);
        let mut now = lock(&self.now);
        (now.arriving, now.waiting) = (now.waiting, 0);
        now.opened += 1;
        self.changed.notify_all();
        let coming = |now: &mut Now| now.arriving > 0 && !now.closed;
        let waited = self.changed.wait_timeout_while(now, ARRIVAL, coming);
        let (mut now, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        now.arriving = 0;
    }

    /// Nobody waits here any more.
    pub fn close(&self) {
        lock(&self.now).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn readers_go_in_together_and_the_feed_waits_until_they_are_in() {
        let (gate, inside) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        // Nobody waits: nothing to wait for.
        gate.open(|| unreachable!("nobody is waited for"));
        let readers = [(); 3].map(|()| {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            let reader = std::thread::Builder::new().name("test-reader".into());
            let reader = reader.spawn(move || {
                let key = gate.wait(|| {});
                inside.fetch_add(1, Ordering::SeqCst);
                gate.arrived();
                key
            });
            reader.expect("a thread")
        });
        while lock(&gate.now).waiting < 3 {
            std::thread::yield_now();
        }
        assert_eq!(inside.load(Ordering::SeqCst), 0);
        gate.open(|| false);
        assert_eq!(inside.load(Ordering::SeqCst), 3);
        assert!(readers.map(|r| r.join().expect("a reader")).iter().all(|key| *key));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let gate = Gate::default();
        assert!(!gate.wait(|| {}), "no keyframe came");
        assert_eq!(lock(&gate.now).waiting, 0);
        gate.close();
        let began = Instant::now();
        assert!(!gate.wait(|| {}));
        assert!(began.elapsed() < PATIENCE);
    }
}
