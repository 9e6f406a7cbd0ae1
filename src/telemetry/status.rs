//! What a live stream is doing right now: written by its stages, read by the health page, the
//! watchdog, the slate and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Whether the source gives frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It is being opened for the first time or again.
    Connecting {
        /// Since when.
        since: Instant,
    },
    /// Frames come.
    Live {
        /// Since when.
        since: Instant,
    },
    /// It cannot be had.
    Lost {
        /// Since when.
        since: Instant,
        /// Why, in words, without secrets.
        why: String,
        /// When it is tried again.
        next_try: Instant,
    },
    /// The stream was told to end, or its source has ended for good.
    Ended,
}

/// A stage or sink as the watchdog sees it: it beats whenever it has done something.
#[derive(Debug)]
pub struct Heartbeat {
    /// The stage.
    pub stage: &'static str,
    /// Whether it waits for a disk or a network: no restart makes those answer.
    pub external: bool,
    count: AtomicU64,
}

impl Heartbeat {
    /// Something was done.
    pub fn heartbeat(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The trouble of a sink that stands still.
const UNRESPONSIVE: &str = "what it writes to does not answer; what is too much to keep until it \
                          does is left out";

/// A sink that is not well, by name.
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
    /// A stream that is about to connect.
    pub fn new(stream: &str) -> Self {
        let source = Mutex::new(SourceState::Connecting { since: Instant::now() });
        let (heartbeats, sink_errors) = (Mutex::default(), Mutex::default());
        let inner = Inner { source, heartbeats, sink_errors, unresponsive: Mutex::default() };
        Self { stream: stream.into(), inner: Arc::new(inner) }
    }

    /// What the source does.
    pub fn source(&self) -> SourceState {
        lock(&self.inner.source).clone()
    }

    /// The source does something else now.
    pub fn set_source(&self, state: SourceState) {
        *lock(&self.inner.source) = state;
    }

    /// A new stage that beats; it is watched until the handle is dropped.
    pub fn heartbeat(&self, stage: &'static str) -> Arc<Heartbeat> {
        self.add_heartbeat(stage, false)
    }

    /// The same of a sink that writes to a disk or another machine: where it stands still that is
    /// told as its trouble, and no fault of this process.
    pub fn external_heartbeat(&self, sink: &'static str) -> Arc<Heartbeat> {
        self.add_heartbeat(sink, true)
    }

    fn add_heartbeat(&self, stage: &'static str, external: bool) -> Arc<Heartbeat> {
        let heartbeat = Arc::new(Heartbeat { stage, external, count: AtomicU64::new(0) });
        lock(&self.inner.heartbeats).push(Arc::clone(&heartbeat));
        heartbeat
    }

    /// All stages that are at work.
    pub fn heartbeats(&self) -> Vec<Arc<Heartbeat>> {
        let mut heartbeats = lock(&self.inner.heartbeats);
        // One handle is this list's own.
        heartbeats.retain(|heartbeat| Arc::strong_count(heartbeat) > 1);
        heartbeats.clone()
    }

    /// The sink `name` is in trouble (`Some`, in words) or well again.
    pub fn set_sink_error(&self, name: &str, error: Option<String>) {
        let mut sink_errors = lock(&self.inner.sink_errors);
        match error {
            Some(why) => drop(sink_errors.insert(name.to_owned(), why)),
            None => drop(sink_errors.remove(name)),
        }
    }

    /// The sinks whose disk or network does not answer right now.
    pub fn set_unresponsive(&self, sinks: Vec<&'static str>) {
        *lock(&self.inner.unresponsive) = sinks;
    }

    /// The sinks that are in trouble.
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
