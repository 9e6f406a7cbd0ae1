//! The queue between the hub and one sink: frames are dropped before events.
//!
//! Three queues in one: events (thousands may wait), frames (drop-oldest) and the newest state.
//! Lines are received in the order in which they were sent. The sender never blocks. Drops are
//! counted in the metrics; the sink also gets the number of dropped events
//! ([`EventReceiver::take_dropped`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::hub::EventContext;
use super::line::{EventLine, LineKind};
use crate::core::notify::{Waitable, wait_any};
use crate::core::queue::{
    ByteSize, Capacity, NoItem, Overflow, Receiver, Sender, TrySendError, bounded,
};
use crate::telemetry::metrics::{Metrics, reason_labels};

/// Events that may wait for a sink: days of turns.
const EVENTS: Capacity = Capacity { items: 8192, bytes: 8 << 20 };
/// Frames that may wait: ten seconds at 30 frames a second.
const FRAMES: Capacity = Capacity { items: 300, bytes: 4 << 20 };
/// One item.
const ONE: Capacity = Capacity { items: 1, bytes: usize::MAX };

/// A line and its sequence number in all three queues.
struct Numbered {
    seq: u64,
    line: EventLine,
}

impl ByteSize for Numbered {
    fn byte_size(&self) -> usize {
        self.line.byte_size()
    }
}

/// Wakes a sink with an event loop: after every line, and when the hub is closed.
struct Wakeup(Arc<Notify>);

impl Drop for Wakeup {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Counts what was dropped for a sink.
pub(super) struct DropCounter {
    stream: String,
    sink: String,
    metrics: Metrics,
    events: AtomicU64,
}

impl DropCounter {
    /// A counter for `sink`, at zero.
    pub(super) fn new(sink: &str, context: &EventContext) -> Arc<Self> {
        Arc::new(Self {
            stream: context.status.stream.to_string(),
            sink: sink.to_owned(),
            metrics: context.metrics.clone(),
            events: AtomicU64::new(0),
        })
    }

    fn frames(&self, count: u64) {
        let labels = reason_labels(&self.stream, &self.sink, "behind");
        self.metrics.drops.get_or_create(&labels).inc_by(count);
    }

    fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        let labels = reason_labels(&self.stream, &self.sink, "events-behind");
        self.metrics.drops.get_or_create(&labels).inc();
    }
}

/// The hub's end of the queue.
pub(super) struct EventSender {
    wants_frames: bool,
    events: Sender<Numbered>,
    frames: Sender<Numbered>,
    state: Sender<Numbered>,
    next_seq: u64,
    /// Frames dropped so far, as the queue counts them.
    frames_dropped: u64,
    drops: Arc<DropCounter>,
    /// The last field: the queues have ended when it is dropped.
    wakeup: Wakeup,
}

/// The sink's end of the queue.
pub(super) struct EventReceiver {
    /// Events, frames and the state.
    queues: [Receiver<Numbered>; 3],
    /// The first line of each queue.
    pending: [Option<Numbered>; 3],
    /// Whether each queue has ended.
    ended: [bool; 3],
    notify: Arc<Notify>,
    drops: Arc<DropCounter>,
}

/// The queue of one sink; `wants_frames` says whether it takes frames.
pub(super) fn channel(wants_frames: bool, drops: Arc<DropCounter>) -> (EventSender, EventReceiver) {
    let (events, events_out) = bounded("hub→sink events", EVENTS, Overflow::Block);
    let (frames, frames_out) = bounded("hub→sink frames", FRAMES, Overflow::DropOldest);
    let (state, state_out) = bounded("hub→sink state", ONE, Overflow::DropOldest);
    let notify = Arc::new(Notify::new());
    let receiver = EventReceiver {
        queues: [events_out, frames_out, state_out],
        pending: [None, None, None],
        ended: [false; 3],
        notify: Arc::clone(&notify),
        drops: Arc::clone(&drops),
    };
    let sender = EventSender {
        wants_frames,
        events,
        frames,
        state,
        next_seq: 0,
        frames_dropped: 0,
        drops,
        wakeup: Wakeup(notify),
    };
    (sender, receiver)
}

impl EventSender {
    /// Queues the line if the sink wants it. Never blocks. Returns `false` if the sink has ended.
    pub(super) fn offer(&mut self, line: &EventLine) -> bool {
        let numbered = Numbered { seq: self.next_seq, line: line.clone() };
        self.next_seq += 1;
        let sent = match line.kind {
            LineKind::Frame if !self.wants_frames => return true,
            LineKind::Frame => self.frames.try_send(numbered),
            LineKind::State => self.state.try_send(numbered),
            LineKind::Event | LineKind::Turn => self.events.try_send(numbered),
        };
        if line.kind == LineKind::Frame {
            let dropped = self.frames.meter().read().dropped;
            if dropped > self.frames_dropped {
                self.drops.frames(dropped - self.frames_dropped);
                self.frames_dropped = dropped;
            }
        }
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.drops.event(),
            Err(TrySendError::Closed(_)) => return false,
        }
        // After the line, so that the sink finds the line when it wakes up.
        self.wakeup.0.notify_one();
        true
    }
}

impl EventReceiver {
    /// The next line; waits no longer than `timeout`.
    ///
    /// # Errors
    /// Where no line came; the error says whether one still can.
    pub(super) fn recv_timeout(&mut self, timeout: Duration) -> Result<EventLine, NoItem> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(line) = self.try_recv() {
                return Ok(line);
            }
            // An ended queue would end every wait at once.
            let is_open = self.queues.iter().zip(self.ended).filter(|(_, ended)| !ended);
            let open: Vec<&dyn Waitable> = is_open.map(|(queue, _)| queue as _).collect();
            if open.is_empty() {
                return Err(NoItem::Ended);
            }
            if timeout.is_zero() || wait_any(&open, Some(deadline)).is_none() {
                return Err(NoItem::Empty);
            }
        }
    }

    /// Waits until there may be a line, or the hub is closed. For sinks with an event loop.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// The first line that waits in the three queues.
    fn try_recv(&mut self) -> Option<EventLine> {
        self.fill();
        // Twice: an earlier line may have been sent to a queue after that was read and before the
        // others were. It is there now.
        self.fill();
        let seq = |index: &usize| self.pending[*index].as_ref().map(|n| n.seq);
        let first = (0..3).filter(|index| seq(index).is_some()).min_by_key(seq)?;
        self.pending[first].take().map(|numbered| numbered.line)
    }

    fn fill(&mut self) {
        let queues = self.queues.iter().zip(&mut self.ended);
        for (next, (queue, ended)) in self.pending.iter_mut().zip(queues) {
            if next.is_none() {
                let received = queue.try_recv();
                *ended = received.as_ref().is_err_and(|why| *why == NoItem::Ended);
                *next = received.ok();
            }
        }
    }

    /// The number of events dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.drops.events.swap(0, Ordering::Relaxed)
    }
}
