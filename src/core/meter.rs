//! A queue's counters: items sent, received, dropped and queued, and wait times.
//!
//! All counts change under one lock, and a reading takes that lock. So the conservation law holds
//! in every reading, also while other threads send and receive:
//! sent = received + dropped + abandoned + queued.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long one end of a queue has waited for the other. A wait counts when it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitTime {
    /// Sum of all waits.
    pub total: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Number of waits.
    pub waits: u64,
}

impl WaitTime {
    /// Counts one wait.
    pub fn add(&mut self, waited: Duration) {
        self.total += waited;
        self.longest = self.longest.max(waited);
        self.waits += 1;
    }
}

/// A queue's counts at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Items put into the queue.
    pub sent: u64,
    /// Items that the receiver has taken.
    pub received: u64,
    /// Items dropped to make room for newer ones.
    pub dropped: u64,
    /// Items still queued when the receiver was dropped.
    pub abandoned: u64,
    /// Items queued now. An item that is just being received is still one of them.
    pub queued_items: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// The most items ever queued.
    pub peak_items: usize,
    /// The most bytes ever queued.
    pub peak_bytes: usize,
    /// Senders waiting now.
    pub senders_waiting: usize,
    /// How long senders have waited for room.
    pub send_wait: WaitTime,
    /// How long the receiver has waited for items.
    pub receive_wait: WaitTime,
}

impl QueueCounts {
    /// The conservation law: every item sent was received, was dropped and counted, or is queued.
    /// True of every reading.
    pub const fn is_conserved(&self) -> bool {
        let gone = self.received + self.dropped + self.abandoned;
        self.sent == gone + self.queued_items as u64
    }
}

/// Something that can be read as [`QueueCounts`].
pub(super) trait Counted: Send + Sync {
    fn name(&self) -> &'static str;
    fn counts(&self) -> QueueCounts;
}

/// A handle that reads a queue's counts, also after both ends were dropped.
#[derive(Clone)]
pub struct QueueMeter(pub(super) Arc<dyn Counted>);

impl QueueMeter {
    /// The queue's name, e.g. `detect→track`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The counts now.
    pub fn read(&self) -> QueueCounts {
        self.0.counts()
    }
}

impl fmt::Debug for QueueMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueMeter({}, {:?})", self.name(), self.read())
    }
}
