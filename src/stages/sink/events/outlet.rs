//! The queue between the hub and one sink: frames give way, events do not.
//!
//! Three edges in one: events (thousands may wait), frames (the oldest go when the sink is behind)
//! and the newest state. Lines come out in the order in which they went in. The sender never
//! waits; what is left out is counted in the metrics, and events that are left out are told to the
//! sink as well ([`Inlet::take_lost`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::{EventContext, EventLine, LineKind};
use crate::core::queue::{
    ByteSize, Capacity, NoItem, Overflow, Receiver, Sender, TrySendError, bounded,
};
use crate::telemetry::metrics::{Metrics, reason_labels};

/// Events that may wait for a sink: days of a meeting's turns.
const EVENTS: Capacity = Capacity { items: 8192, bytes: 8 << 20 };
/// Frames that may wait: ten seconds at 30 a second.
const FRAMES: Capacity = Capacity { items: 300, bytes: 4 << 20 };
/// One of its kind.
const ONE: Capacity = Capacity { items: 1, bytes: usize::MAX };

/// A line and its place among all lines of the outlet.
struct Numbered {
    place: u64,
    line: EventLine,
}

impl ByteSize for Numbered {
    fn byte_size(&self) -> usize {
        self.line.byte_size()
    }
}

/// Rung for every line.
struct Wakeup;

impl ByteSize for Wakeup {
    fn byte_size(&self) -> usize {
        0
    }
}

/// Counts what a sink did not get.
pub(super) struct Lost {
    stream: String,
    sink: String,
    metrics: Metrics,
    events: AtomicU64,
}

impl Lost {
    /// Nothing was lost of `sink` so far.
    pub fn new(sink: &str, context: &EventContext) -> Arc<Self> {
        Arc::new(Self {
            stream: context.status.stream.to_string(),
            sink: sink.to_owned(),
            metrics: context.metrics.clone(),
            events: AtomicU64::new(0),
        })
    }

    fn frames(&self, count: u64) {
        let why = reason_labels(&self.stream, &self.sink, "behind");
        self.metrics.drops.get_or_create(&why).inc_by(count);
    }

    fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        let why = reason_labels(&self.stream, &self.sink, "events-behind");
        self.metrics.drops.get_or_create(&why).inc();
    }
}

/// The hub's end.
pub(super) struct Outlet {
    wants_frames: bool,
    events: Sender<Numbered>,
    frames: Sender<Numbered>,
    state: Sender<Numbered>,
    wakeups: Sender<Wakeup>,
    notify: Arc<Notify>,
    next: u64,
    /// Frames left out so far, as the edge counts them.
    frames_lost: u64,
    lost: Arc<Lost>,
}

/// The sink's end.
pub struct Inlet {
    events: Receiver<Numbered>,
    frames: Receiver<Numbered>,
    state: Receiver<Numbered>,
    wakeups: Receiver<Wakeup>,
    notify: Arc<Notify>,
    heads: [Option<Numbered>; 3],
    lost: Arc<Lost>,
}

/// A queue for a sink that wants frames or does not.
pub(super) fn line(wants_frames: bool, lost: Arc<Lost>) -> (Outlet, Inlet) {
    let (events, events_out) = bounded("hub→sink events", EVENTS, Overflow::Block);
    let (frames, frames_out) = bounded("hub→sink frames", FRAMES, Overflow::DropOldest);
    let (state, state_out) = bounded("hub→sink state", ONE, Overflow::DropOldest);
    let (wakeups, bell_out) = bounded("hub→sink bell", ONE, Overflow::DropOldest);
    let notify = Arc::new(Notify::new());
    let inlet = Inlet {
        events: events_out,
        frames: frames_out,
        state: state_out,
        wakeups: bell_out,
        notify: Arc::clone(&notify),
        heads: [None, None, None],
        lost: Arc::clone(&lost),
    };
    let outlet = Outlet {
        wants_frames,
        events,
        frames,
        state,
        wakeups,
        notify,
        next: 0,
        frames_lost: 0,
        lost,
    };
    (outlet, inlet)
}

impl Outlet {
    /// Queues the line where the sink wants it. Never waits. `false` where the sink is gone.
    pub fn offer(&mut self, line: &EventLine) -> bool {
        let numbered = Numbered { place: self.next, line: line.clone() };
        self.next += 1;
        let sent = match line.kind {
            LineKind::Frame if !self.wants_frames => return true,
            LineKind::Frame => self.frames.try_send(numbered),
            LineKind::State => self.state.try_send(numbered),
            LineKind::Event | LineKind::Turn => self.events.try_send(numbered),
        };
        if line.kind == LineKind::Frame {
            let lost = self.frames.meter().read().dropped;
            if lost > self.frames_lost {
                self.lost.frames(lost - self.frames_lost);
                self.frames_lost = lost;
            }
        }
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.lost.event(),
            Err(TrySendError::Closed(_)) => return false,
        }
        // Rung after the line is there: who hears it finds it.
        let heard = self.wakeups.try_send(Wakeup).is_ok();
        self.notify.notify_one();
        heard
    }
}

impl Inlet {
    /// The next line, waited for no longer than `patience`.
    ///
    /// # Errors
    /// Where none came, and whether one still can.
    pub fn next(&mut self, patience: Duration) -> Result<EventLine, NoItem> {
        if let Some(line) = self.ready() {
            return Ok(line);
        }
        let rung = self.wakeups.recv_timeout(patience);
        match (self.ready(), rung) {
            (Some(line), _) => Ok(line),
            // A ring whose line was taken already.
            (None, Ok(Wakeup)) => Err(NoItem::Empty),
            (None, Err(why)) => Err(why),
        }
    }

    /// Waits until there may be a line, or none any more; for sinks that wait for other things too.
    pub async fn rung(&self) {
        self.notify.notified().await;
    }

    /// The first of what waits on the three edges.
    fn ready(&mut self) -> Option<EventLine> {
        self.fill();
        // Once more: what was sent before a line that was just found, on an edge that was looked
        // at before it came, is there now.
        self.fill();
        let place = |head: &usize| self.heads[*head].as_ref().map(|n| n.place);
        let first = (0..3).filter(|head| place(head).is_some()).min_by_key(place)?;
        self.heads[first].take().map(|numbered| numbered.line)
    }

    fn fill(&mut self) {
        let queues = [&self.events, &self.frames, &self.state];
        for (head, bounded) in self.heads.iter_mut().zip(queues) {
            if head.is_none() {
                *head = bounded.try_recv().ok();
            }
        }
    }

    /// How many events were left out since this was last asked, because thousands waited.
    pub fn take_lost(&self) -> u64 {
        self.lost.events.swap(0, Ordering::Relaxed)
    }
}
