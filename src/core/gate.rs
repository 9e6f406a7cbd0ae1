//! What a queue admits: its bounds and its counts, beside the channel and under one lock.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::meter::{Counted, QueueCounts};

/// Bounds and counts what is in a channel.
pub(super) struct Gate {
    name: &'static str,
    max_items: usize,
    max_bytes: usize,
    state: Mutex<GateState>,
    /// Notified when there is room, or the receiver has gone.
    room: Condvar,
}

/// What the lock of a [`Gate`] guards. Items enter the channel under it, and only then.
pub(super) struct GateState {
    /// Whether the receiver is there.
    pub(super) is_open: bool,
    pub(super) counts: QueueCounts,
}

impl GateState {
    /// An item of so many bytes is queued from now on.
    pub(super) fn add(&mut self, bytes: usize) {
        let counts = &mut self.counts;
        counts.sent += 1;
        counts.queued_items += 1;
        counts.queued_bytes += bytes;
        counts.peak_items = counts.peak_items.max(counts.queued_items);
        counts.peak_bytes = counts.peak_bytes.max(counts.queued_bytes);
    }

    /// An item of so many bytes is no longer queued.
    pub(super) const fn remove(&mut self, bytes: usize) {
        self.counts.queued_items -= 1;
        self.counts.queued_bytes -= bytes;
    }
}

impl Gate {
    /// An open gate of a queue called `name`, for so many items and bytes.
    pub(super) fn new(name: &'static str, max_items: usize, max_bytes: usize) -> Self {
        let state = Mutex::new(GateState { is_open: true, counts: QueueCounts::default() });
        Self { name, max_items, max_bytes, state, room: Condvar::new() }
    }

    /// Nothing that runs under the lock can leave the state half changed, so a panic of another
    /// thread is no reason to stop here.
    pub(super) fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is no room for an item of `bytes`. There always is in an empty queue.
    pub(super) const fn is_full(&self, state: &GateState, bytes: usize) -> bool {
        let counts = &state.counts;
        let too_many = counts.queued_items >= self.max_items;
        let too_large = counts.queued_bytes.saturating_add(bytes) > self.max_bytes;
        counts.queued_items > 0 && (too_many || too_large)
    }

    /// Waits until there is room for an item of `bytes`, or the receiver is gone.
    pub(super) fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, GateState>,
        bytes: usize,
    ) -> MutexGuard<'a, GateState> {
        let since = Instant::now();
        state.counts.senders_waiting += 1;
        while state.is_open && self.is_full(&state, bytes) {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.counts.senders_waiting -= 1;
        state.counts.send_wait.add(since.elapsed());
        state
    }

    /// Counts a received item of `bytes`, and the wait for it, if there was one.
    pub(super) fn count_received(&self, bytes: usize, waited: Option<Duration>) {
        let mut state = self.lock();
        state.remove(bytes);
        state.counts.received += 1;
        if let Some(waited) = waited {
            state.counts.receive_wait.add(waited);
        }
        let senders_wait = state.counts.senders_waiting > 0;
        drop(state);
        if senders_wait {
            // One item less may make room for several small ones.
            self.room.notify_all();
        }
    }

    /// Counts a wait of the receiver that ended without an item.
    pub(super) fn count_wait(&self, waited: Duration) {
        self.lock().counts.receive_wait.add(waited);
    }

    /// The receiver is gone: nothing enters any more, and waiting senders wake up. `abandoned` takes
    /// what is queued out of the channel and gives its bytes, item by item.
    pub(super) fn close(&self, abandoned: impl Iterator<Item = usize>) {
        let mut state = self.lock();
        state.is_open = false;
        for bytes in abandoned {
            state.remove(bytes);
            state.counts.abandoned += 1;
        }
        drop(state);
        self.room.notify_all();
    }
}

impl Counted for Gate {
    fn name(&self) -> &'static str {
        self.name
    }

    fn counts(&self) -> QueueCounts {
        self.lock().counts
    }
}
