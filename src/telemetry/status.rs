//! The current status of a live stream: written by its stages, read by the health page, the watchdog,
//! the slate and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The state of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It is being opened.
    Connecting {
        /// Since when.
        since: Instant,
    },
    /// Frames arrive.
    Live {
        /// Since when.
        since: Instant,
    },
    /// It is lost.
    Lost {
        /// Since when.
        since: Instant,
        /// A readable message without secrets.
        why: String,
        /// Time of the next try.
        next_try: Instant,
    },
    /// The stream was stopped, or its source has ended for good.
    Ended,
}

/// A counter by which the watchdog sees that a stage or sink makes progress.
#[derive(Debug)]
pub struct Heartbeat {
    /// The stage.
    pub stage: &'static str,
    /// Whether the stage waits for a disk or a network: a restart would not help these.
    pub external: bool,
    count: AtomicU64,
}

impl Heartbeat {
    /// Counts one unit of work.
    pub fn heartbeat(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The error of a sink that makes no progress.
const UNRESPONSIVE: &str = "its disk or network does not answer; packets and events beyond its \
                            queue are dropped";

/// Errors of the sinks, by name.
pub type SinkErrors = std::collections::BTreeMap<String, String>;

#[derive(Debug)]
struct Inner {
    source: Mutex<SourceState>,
    heartbeats: Mutex<Vec<Arc<Heartbeat>>>,
    sink_errors: Mutex<SinkErrors>,
    unresponsive: Mutex<Vec<&'static str>>,
}

/// A stream's status; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Status {
    /// The stream's name.
    pub stream: Arc<str>,
    inner: Arc<Inner>,
}

impl Status {
    /// The status of a stream that is about to connect.
    pub fn new(stream: &str) -> Self {
        let source = Mutex::new(SourceState::Connecting { since: Instant::now() });
        let (heartbeats, sink_errors) = (Mutex::default(), Mutex::default());
        let inner = Inner { source, heartbeats, sink_errors, unresponsive: Mutex::default() };
        Self { stream: stream.into(), inner: Arc::new(inner) }
    }

    /// The state of the source.
    pub fn source(&self) -> SourceState {
        lock(&self.inner.source).clone()
    }

    /// Sets the state of the source.
    pub fn set_source(&self, state: SourceState) {
        *lock(&self.inner.source) = state;
    }

    /// A heartbeat for a new stage; the watchdog checks it until the handle is dropped.
    pub fn heartbeat(&self, stage: &'static str) -> Arc<Heartbeat> {
        self.add_heartbeat(stage, false)
    }

    /// A heartbeat for a sink that writes to a disk or another machine. If it stops, that is an error of
    /// the sink, not of this process.
    pub fn external_heartbeat(&self, sink: &'static str) -> Arc<Heartbeat> {
        self.add_heartbeat(sink, true)
    }

    fn add_heartbeat(&self, stage: &'static str, external: bool) -> Arc<Heartbeat> {
        let heartbeat = Arc::new(Heartbeat { stage, external, count: AtomicU64::new(0) });
        lock(&self.inner.heartbeats).push(Arc::clone(&heartbeat));
        heartbeat
    }

    /// The heartbeats of all running stages.
    pub fn heartbeats(&self) -> Vec<Arc<Heartbeat>> {
        let mut heartbeats = lock(&self.inner.heartbeats);
        // This list holds one handle itself.
        heartbeats.retain(|heartbeat| Arc::strong_count(heartbeat) > 1);
        heartbeats.clone()
    }

    /// Sets the error of the sink `name`; `None` where it works.
    pub fn set_sink_error(&self, name: &str, error: Option<String>) {
        let mut sink_errors = lock(&self.inner.sink_errors);
        match error {
            Some(why) => drop(sink_errors.insert(name.to_owned(), why)),
            None => drop(sink_errors.remove(name)),
        }
    }

    /// Sets the sinks whose disk or network does not answer.
    pub fn set_unresponsive(&self, sinks: Vec<&'static str>) {
        *lock(&self.inner.unresponsive) = sinks;
    }

    /// The errors of all sinks that fail.
    pub fn sink_errors(&self) -> SinkErrors {
        let mut sink_errors = lock(&self.inner.sink_errors).clone();
        for sink in lock(&self.inner.unresponsive).iter() {
            sink_errors.insert((*sink).to_owned(), UNRESPONSIVE.to_owned());
        }
        sink_errors
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
