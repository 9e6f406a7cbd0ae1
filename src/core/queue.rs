//! Edges between stages: named queues that are bounded in items and in bytes.
//!
//! Takes items from any number of senders, gives them out in the order they were taken, to one stage or
//! to several workers that share the receiving end.
//! When an edge is full, its policy says what happens: senders wait (files: nothing is ever lost),
//! or an older item is left out and counted (live: nobody waits).
//!
//! Promises: never more than the capacity is queued (one item larger than all bytes passes alone,
//! for it would wait for ever); every item is accounted for ([`QueueCounts::is_conserved`]); who
//! waits is woken when the other end goes away.
//!
//! This is a queue under a lock and not one of the channel libraries, as those bound items only and
//! cannot take an item back out of the middle. No other file may make channels: see `clippy.toml`.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::evidence::FrameEvidence;
use super::frame::Frame;
use super::meter::{Counted, QueueCounts, QueueMeter};
use super::notify::{Notify, Wake};

/// How much memory something holds, in bytes; what it shares with others counts in full.
pub trait ByteSize {
    /// The bytes, as they are to be counted against an edge's capacity.
    fn byte_size(&self) -> usize;
}

impl ByteSize for Frame {
    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.image.byte_size()
    }
}

impl ByteSize for FrameEvidence {
    fn byte_size(&self) -> usize {
        let maps = self.faces.iter().filter_map(|f| f.heat.as_ref());
        let cells: usize = maps.map(|h| h.map.values().len()).sum();
        size_of::<Self>() + size_of_val(self.faces.as_slice()) + cells * size_of::<f32>()
    }
}

/// What happens to an item that finds no room.
#[derive(Debug)]
pub enum Overflow<T> {
    /// Its sender waits.
    Block,
    /// The oldest items are left out.
    DropOldest,
    /// The items with the same key (the same track) are left out, oldest first; then, where that
    /// is not enough, the oldest of any key.
    ReplaceSame(fn(&T) -> u64),
}

impl<T> Clone for Overflow<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Overflow<T> {}

/// How much an edge may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Items; zero counts as one.
    pub items: usize,
    /// Bytes of all items together.
    pub bytes: usize,
}

/// The receiver is gone; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiving stage has stopped")]
pub struct SendError<T>(pub T);

/// Why an item was not taken without waiting; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// There is no room now, and the edge's policy is to wait.
    #[error("the edge is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the receiving stage has stopped")]
    Closed(T),
}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoItem {
    /// None yet.
    #[error("nothing has come yet")]
    Empty,
    /// None any more: every sender is gone, and the queue is empty.
    #[error("the sending stages have ended")]
    Ended,
}

struct State<T> {
    queue: VecDeque<(T, usize)>,
    senders: usize,
    receiver: bool,
    /// Whether a bell was rung since the receiver last heeded one.
    notified: bool,
    counts: QueueCounts,
}

struct Shared<T> {
    name: &'static str,
    capacity: Capacity,
    overflow: Overflow<T>,
    state: Mutex<State<T>>,
    /// Rung when there is room, or the receiver has gone.
    room: Condvar,
    /// Rung when there is an item, the last sender has gone, or a bell is rung.
    item: Condvar,
}

/// The end that items go in at. Clone it for more senders; the edge ends with the last of them.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that items come out of. When it is dropped, sending fails, and what is queued is gone.
pub struct Receiver<T>(Arc<Shared<T>>);

/// An edge called `name` (say both stages: `detect→track`).
pub fn bounded<T>(
    name: &'static str,
    capacity: Capacity,
    overflow: Overflow<T>,
) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        name,
        capacity: Capacity { items: capacity.items.max(1), ..capacity },
        overflow,
        state: Mutex::new(State {
            queue: VecDeque::new(),
            senders: 1,
            receiver: true,
            notified: false,
            counts: QueueCounts::default(),
        }),
        room: Condvar::new(),
        item: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    /// Nothing that runs under the lock can leave the state half changed, so that a panic of
    /// another thread is no reason to stop here.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, state: &State<T>, bytes: usize) -> bool {
        let too_many = state.queue.len() >= self.capacity.items;
        let queued = state.counts.queued_bytes;
        let too_large = queued.saturating_add(bytes) > self.capacity.bytes;
        too_many || (too_large && !state.queue.is_empty())
    }

    /// Makes room for `bytes` by leaving older items out; gives them, to be dropped after the lock.
    fn make_room(&self, state: &mut State<T>, key: Option<u64>, bytes: usize) -> Vec<T> {
        let mut out = Vec::new();
        if let (Overflow::ReplaceSame(key_of), Some(key)) = (self.overflow, key) {
            while self.is_full(state, bytes) {
                let same = state.queue.iter().position(|(item, _)| key_of(item) == key);
                let Some(same) = same else { break };
                out.extend(state.remove(same));
                state.counts.replaced += 1;
            }
        }
        while self.is_full(state, bytes) {
            let Some(oldest) = state.remove(0) else { break };
            out.push(oldest);
            state.counts.dropped += 1;
        }
        out
    }

    fn put(&self, state: &mut State<T>, item: T, bytes: usize) {
        state.queue.push_back((item, bytes));
        let counts = &mut state.counts;
        counts.sent += 1;
        counts.queued_items = state.queue.len();
        counts.queued_bytes = counts.queued_bytes.saturating_add(bytes);
        counts.peak_items = counts.peak_items.max(counts.queued_items);
        counts.peak_bytes = counts.peak_bytes.max(counts.queued_bytes);
        self.item.notify_one();
    }
}

impl<T> State<T> {
    /// Takes the item at `place` out of the queue, wherever it goes then.
    fn remove(&mut self, place: usize) -> Option<T> {
        let (item, bytes) = self.queue.remove(place)?;
        self.counts.queued_items = self.queue.len();
        self.counts.queued_bytes -= bytes;
        Some(item)
    }
}

impl<T: Send> Counted for Shared<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn counts(&self) -> QueueCounts {
        self.lock().counts
    }
}

impl<T: Send> Wake for Shared<T> {
    fn notify(&self) {
        self.lock().notified = true;
        self.item.notify_all();
    }
}

impl<T: ByteSize> Sender<T> {
    /// Sends `item`; waits for room where the policy is to wait, and never elsewhere.
    ///
    /// # Errors
    /// Where the receiver is gone, or goes while this waits.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        let shared = &*self.0;
        let bytes = item.byte_size();
        let mut state = shared.lock();
        if matches!(shared.overflow, Overflow::Block) && shared.is_full(&state, bytes) {
            let since = Instant::now();
            state.counts.senders_waiting += 1;
            while state.receiver && shared.is_full(&state, bytes) {
                state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.counts.senders_waiting -= 1;
            state.counts.send_wait.add(since.elapsed());
        }
        self.put(state, item, bytes).map_err(SendError)
    }

    /// Sends `item` without ever waiting.
    ///
    /// # Errors
    /// Where the receiver is gone, or there is no room and the policy is to wait for it.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let shared = &*self.0;
        let bytes = item.byte_size();
        let state = shared.lock();
        let waits = matches!(shared.overflow, Overflow::Block);
        if waits && state.receiver && shared.is_full(&state, bytes) {
            return Err(TrySendError::Full(item));
        }
        self.put(state, item, bytes).map_err(TrySendError::Closed)
    }

    /// Queues `item`, by the policy where there is no room; gives it back where nobody receives.
    fn put(&self, mut state: MutexGuard<'_, State<T>>, item: T, bytes: usize) -> Result<(), T> {
        if !state.receiver {
            return Err(item);
        }
        let key = match self.0.overflow {
            Overflow::ReplaceSame(key_of) => Some(key_of(&item)),
            _ => None,
        };
        let left_out = self.0.make_room(&mut state, key, bytes);
        self.0.put(&mut state, item, bytes);
        // A frame's owner may do much when it goes: not under the lock.
        drop(state);
        drop(left_out);
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// The next item; waits for it. `None` when every sender is gone and everything was received.
    pub fn recv(&self) -> Option<T> {
        self.wait(None, false).ok()
    }

    /// The next item, waited for no longer than `patience`.
    ///
    /// # Errors
    /// Where none came, and whether one still can.
    pub fn recv_timeout(&self, patience: Duration) -> Result<T, NoItem> {
        self.wait(Some(patience), false)
    }

    /// The next item, if it is there.
    ///
    /// # Errors
    /// Where there is none, and whether one still can come.
    pub fn try_recv(&self) -> Result<T, NoItem> {
        self.wait(Some(Duration::ZERO), false)
    }

    /// The next item, or the first ring of a [`Notify`] since the last call; waits for either.
    ///
    /// # Errors
    /// Where none is here: [`NoItem::Empty`] says that a bell was rung.
    pub fn recv_or_notified(&self) -> Result<T, NoItem> {
        self.wait(None, true)
    }

    fn wait(&self, patience: Option<Duration>, heeds: bool) -> Result<T, NoItem> {
        let shared = &*self.0;
        let mut state = shared.lock();
        let nothing = |s: &State<T>| s.queue.is_empty() && s.senders > 0 && !(heeds && s.notified);
        if nothing(&state) && patience != Some(Duration::ZERO) {
            let since = Instant::now();
            while nothing(&state) {
                let left = patience.map(|p| p.saturating_sub(since.elapsed()));
                state = match left {
                    None => shared.item.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => break,
                    Some(left) => {
                        let woken = shared.item.wait_timeout(state, left);
                        woken.unwrap_or_else(PoisonError::into_inner).0
                    }
                };
            }
            state.counts.receive_wait.add(since.elapsed());
        }
        // Whoever heeds a bell looks at everything after each call.
        state.notified &= !heeds;
        let Some(item) = state.remove(0) else {
            return Err(if state.senders == 0 { NoItem::Ended } else { NoItem::Empty });
        };
        state.counts.received += 1;
        // One item out may make room for several small ones.
        shared.room.notify_all();
        Ok(item)
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.recv()
    }
}

impl<T: Send + 'static> Sender<T> {
    /// A handle to the edge's counts.
    pub fn meter(&self) -> QueueMeter {
        QueueMeter(Arc::clone(&self.0) as Arc<dyn Counted>)
    }
}

impl<T: Send + 'static> Receiver<T> {
    /// A bell that wakes this end.
    pub fn notify(&self) -> Notify {
        Notify(Arc::clone(&self.0) as Arc<dyn Wake>)
    }

    /// A handle to the edge's counts.
    pub fn meter(&self) -> QueueMeter {
        QueueMeter(Arc::clone(&self.0) as Arc<dyn Counted>)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.item.notify_all();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver = false;
        let abandoned = std::mem::take(&mut state.queue);
        state.counts.abandoned += abandoned.len() as u64;
        (state.counts.queued_items, state.counts.queued_bytes) = (0, 0);
        self.0.room.notify_all();
        drop(state);
        drop(abandoned);
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
