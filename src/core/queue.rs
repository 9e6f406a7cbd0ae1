//! Queues between stages: named, bounded in items and in bytes, counted.
//!
//! Takes items from any number of senders and gives them out in the order in which they were sent,
//! to one stage or to several workers that share the receiver. When a queue is full, its
//! [`Overflow`] says what happens: senders wait (files: nothing is lost), or the oldest item is
//! dropped and counted (live: nobody waits).
//!
//! Each queue is a channel of `crossbeam-channel` with a gate beside it. The gate counts items and
//! bytes and admits what fits; the channel keeps the order, wakes receivers, ends with the last
//! sender, and can be waited for together with others ([`super::notify`]).
//!
//! Guarantees: never more than the capacity is queued (one item larger than all bytes passes alone,
//! or it would wait for ever); every item is accounted for ([`super::meter::QueueCounts::is_conserved`]); a waiting
//! thread wakes up when the other end is dropped.
//!
//! No other file may make channels: see `clippy.toml`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel as channel;
use crossbeam_channel::{SelectedOperation, TryRecvError, select};
use smallvec::SmallVec;

use super::evidence::FrameEvidence;
use super::frame::Frame;
use super::gate::{Gate, GateState};
use super::meter::QueueMeter;

/// A channel for more items than this allocates as it fills instead of all at once.
const MAX_RING_ITEMS: usize = 256;

/// How much memory something holds, in bytes; what it shares with others counts in full.
pub trait ByteSize {
    /// The bytes, as they are to be counted against a queue's capacity.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its sender waits.
    Block,
    /// The oldest items are dropped and counted.
    DropOldest,
}

/// How much a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Items; zero counts as one, `usize::MAX` as no bound.
    pub items: usize,
    /// Bytes of all items together; `usize::MAX` as no bound.
    pub bytes: usize,
}

/// The receiver is gone; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiving stage has stopped")]
pub struct SendError<T>(pub T);

/// Why an item was not taken without waiting; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// There is no room now, and the queue's senders wait for it.
    #[error("the queue is full")]
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

/// An item in the channel and the bytes it was counted with.
pub(super) type Queued<T> = (T, usize);

/// The sending end. Clone it for more senders; the queue ends with the last of them.
pub struct Sender<T> {
    overflow: Overflow,
    items: channel::Sender<Queued<T>>,
    /// The receiving side, to take the oldest item from.
    oldest: channel::Receiver<Queued<T>>,
    gate: Arc<Gate>,
}

/// The receiving end. When it is dropped, sending fails, and what is queued is dropped.
pub struct Receiver<T> {
    pub(super) items: channel::Receiver<Queued<T>>,
    /// Items that a wait for several queues has taken out of the channel: at most one a waiting
    /// thread. They are received before those in the channel.
    first: Mutex<VecDeque<Queued<T>>>,
    pub(super) gate: Arc<Gate>,
}

/// A queue called `name` (say both stages: `detect→track`).
pub fn bounded<T>(
    name: &'static str,
    capacity: Capacity,
    overflow: Overflow,
) -> (Sender<T>, Receiver<T>) {
    let capacity = Capacity { items: capacity.items.max(1), ..capacity };
    let (sender, items) = ring(capacity.items);
    let gate = Arc::new(Gate::new(name, capacity.items, capacity.bytes));
    let oldest = items.clone();
    (
        Sender { overflow, items: sender, oldest, gate: Arc::clone(&gate) },
        Receiver { items, first: Mutex::default(), gate },
    )
}

/// A channel that holds at least `items`.
#[expect(clippy::disallowed_methods, reason = "every channel of this program is made here")]
pub(super) fn ring<T>(items: usize) -> (channel::Sender<T>, channel::Receiver<T>) {
    if items <= MAX_RING_ITEMS { channel::bounded(items) } else { channel::unbounded() }
}

impl<T: ByteSize> Sender<T> {
    /// Sends `item`; waits for room with [`Overflow::Block`], and never otherwise.
    ///
    /// # Errors
    /// Where the receiver is gone, or goes while this waits.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        let bytes = item.byte_size();
        let mut state = self.gate.lock();
        if self.blocks() && self.gate.is_full(&state, bytes) {
            state = self.gate.wait_for_room(state, bytes);
        }
        self.put(state, item, bytes).map_err(SendError)
    }

    /// Sends `item` without ever waiting.
    ///
    /// # Errors
    /// Where the receiver is gone, or there is no room and senders wait for it.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let bytes = item.byte_size();
        let state = self.gate.lock();
        if self.blocks() && state.is_open && self.gate.is_full(&state, bytes) {
            return Err(TrySendError::Full(item));
        }
        self.put(state, item, bytes).map_err(TrySendError::Closed)
    }

    fn blocks(&self) -> bool {
        self.overflow == Overflow::Block
    }

    /// Queues `item`, and drops the oldest where there is no room; gives it back where nobody
    /// receives.
    fn put(&self, mut state: MutexGuard<'_, GateState>, item: T, bytes: usize) -> Result<(), T> {
        if !state.is_open {
            return Err(item);
        }
        let dropped = self.make_room(&mut state, bytes);
        // There is room in the channel: it never holds more than the gate has counted.
        self.items.try_send((item, bytes)).map_err(|unsent| unsent.into_inner().0)?;
        state.add(bytes);
        // Dropping an item may take long: not under the lock.
        drop(state);
        drop(dropped);
        Ok(())
    }

    /// Takes the oldest items out until `bytes` fit; gives them.
    fn make_room(&self, state: &mut GateState, bytes: usize) -> SmallVec<[T; 1]> {
        let mut dropped = SmallVec::new();
        while self.gate.is_full(state, bytes) {
            // What is missing here is with a receiver that has not counted it yet: that is room.
            let Ok((oldest, bytes)) = self.oldest.try_recv() else { break };
            state.remove(bytes);
            state.counts.dropped += 1;
            dropped.push(oldest);
        }
        dropped
    }
}

impl<T> Sender<T> {
    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        !self.gate.lock().is_open
    }

    /// A handle to the queue's counts.
    pub fn meter(&self) -> QueueMeter {
        QueueMeter(Arc::clone(&self.gate) as Arc<_>)
    }
}

impl<T> Receiver<T> {
    /// The next item; waits for it. `None` when every sender is gone and everything was received.
    pub fn recv(&self) -> Option<T> {
        self.wait(None).ok()
    }

    /// The next item, waited for no longer than `patience`.
    ///
    /// # Errors
    /// Where none came, and whether one still can.
    pub fn recv_timeout(&self, patience: Duration) -> Result<T, NoItem> {
        self.wait(Some(patience))
    }

    /// The next item, if it is there.
    ///
    /// # Errors
    /// Where there is none, and whether one still can come.
    pub fn try_recv(&self) -> Result<T, NoItem> {
        let first = self.lock_first().pop_front();
        let (item, bytes) = match first {
            Some(first) => first,
            None => self.items.try_recv().map_err(|why| match why {
                TryRecvError::Empty => NoItem::Empty,
                TryRecvError::Disconnected => NoItem::Ended,
            })?,
        };
        self.gate.count_received(bytes, None);
        Ok(item)
    }

    /// The next item, waited for no longer than `patience`.
    ///
    /// Waits in a `select!` over two channels, as that sleeps at once. The channel's own `recv`, and a
    /// `select!` over one channel, give up the processor several times before they sleep, and on a busy
    /// machine the thread is woken milliseconds late for it (docs/decisions/0004-queues.md).
    fn wait(&self, patience: Option<Duration>) -> Result<T, NoItem> {
        match self.try_recv() {
            Err(NoItem::Empty) if patience != Some(Duration::ZERO) => {}
            other => return other,
        }
        let (since, never) = (Instant::now(), channel::never::<()>());
        let received = match patience {
            None => select! {
                recv(self.items) -> received => received.map_err(|_| NoItem::Ended),
                recv(never) -> _ => Err(NoItem::Empty),
            },
            Some(patience) => select! {
                recv(self.items) -> received => received.map_err(|_| NoItem::Ended),
                recv(never) -> _ => Err(NoItem::Empty),
                default(patience) => Err(NoItem::Empty),
            },
        };
        self.after_wait(since, received)
    }

    fn lock_first(&self) -> MutexGuard<'_, VecDeque<Queued<T>>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an item is there. That the queue has ended shows in [`Self::complete`].
    pub(super) fn has_item(&self) -> bool {
        !self.lock_first().is_empty() || !self.items.is_empty()
    }

    /// Completes a wait for several queues that has found this one to be ready.
    pub(super) fn complete(&self, operation: SelectedOperation<'_>) {
        if let Ok(queued) = operation.recv(&self.items) {
            self.lock_first().push_back(queued);
        }
    }

    /// Counts a wait since `since`, and the item where one was received.
    pub(super) fn after_wait(
        &self,
        since: Instant,
        received: Result<Queued<T>, NoItem>,
    ) -> Result<T, NoItem> {
        let waited = since.elapsed();
        match received {
            Ok((item, bytes)) => {
                self.gate.count_received(bytes, Some(waited));
                Ok(item)
            }
            Err(why) => {
                self.gate.count_wait(waited);
                Err(why)
            }
        }
    }

    /// A handle to the queue's counts.
    pub fn meter(&self) -> QueueMeter {
        QueueMeter(Arc::clone(&self.gate) as Arc<_>)
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.recv()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            overflow: self.overflow,
            items: self.items.clone(),
            oldest: self.oldest.clone(),
            gate: Arc::clone(&self.gate),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let (first, mut abandoned) = (std::mem::take(&mut *self.lock_first()), Vec::new());
        self.gate.close(first.into_iter().chain(self.items.try_iter()).map(|(item, bytes)| {
            abandoned.push(item);
            bytes
        }));
        // Dropping an item may take long: not under the lock.
        drop(abandoned);
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "queue_load_tests.rs"]
mod load_tests;
