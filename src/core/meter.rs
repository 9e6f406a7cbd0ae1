//! What an edge says of itself: what went in, came out, was left out, and how long anyone waited.
//!
//! All counts of one reading are of the same instant, so that the conservation law can be checked
//! at any moment and not only at the end: in = out + left out + still queued.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long one end of an edge has waited for the other. A wait counts once it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitTime {
    /// All waits together.
    pub total: Duration,
    /// The longest one.
    pub longest: Duration,
    /// How many there were.
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

/// An edge at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Items that the edge has taken.
    pub sent: u64,
    /// Items that the receiver has got.
    pub received: u64,
    /// Items left out because newer ones needed the place.
    pub dropped: u64,
    /// Items left out because a newer one of the same key took their place.
    pub replaced: u64,
    /// Items that were queued when the receiver went away.
    pub abandoned: u64,
    /// Items queued now.
    pub queued_items: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// The most items ever queued.
    pub peak_items: usize,
    /// The most bytes ever queued.
    pub peak_bytes: usize,
    /// Senders that wait at this instant.
    pub senders_waiting: usize,
    /// How long senders have waited for room.
    pub send_wait: WaitTime,
    /// How long the receiver has waited for items.
    pub receive_wait: WaitTime,
}

impl QueueCounts {
    /// The conservation law: what went in either came out, was left out and counted, or is queued.
    pub const fn is_conserved(&self) -> bool {
        let gone = self.received + self.dropped + self.replaced + self.abandoned;
        self.sent == gone + self.queued_items as u64
    }
}

/// Something that can be read as [`QueueCounts`].
pub(super) trait Counted: Send + Sync {
    fn name(&self) -> &'static str;
    fn counts(&self) -> QueueCounts;
}

/// A handle to read an edge's counts by, also after both ends are gone.
#[derive(Clone)]
pub struct QueueMeter(pub(super) Arc<dyn Counted>);

impl QueueMeter {
    /// The edge's name, e.g. `detect→track`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The edge now.
    pub fn read(&self) -> QueueCounts {
        self.0.counts()
    }
}

impl fmt::Debug for QueueMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EdgeMeter({}, {:?})", self.name(), self.read())
    }
}
