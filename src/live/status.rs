//! What a live stream is doing right now: written by its stages, read by the health page, the
//! watchdog, the slate and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Whether the source gives pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It is being opened for the first time or again.
    Connecting {
        /// Since when.
        since: Instant,
    },
    /// Pictures come.
    Live {
        /// Since when.
        since: Instant,
    },
    /// It cannot be had.
    Away {
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
pub struct Beat {
    /// The stage.
    pub stage: &'static str,
    /// Whether it waits for a disk or a network: no restart makes those answer.
    pub outward: bool,
    count: AtomicU64,
}

impl Beat {
    /// Something was done.
    pub fn beat(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The trouble of a sink that stands still.
const UNANSWERED: &str = "what it writes to does not answer; what is too much to keep until it \
                          does is left out";

/// A sink that is not well, by name.
pub type SinkTroubles = std::collections::BTreeMap<String, String>;

#[derive(Debug)]
struct Inner {
    source: Mutex<SourceState>,
    beats: Mutex<Vec<Arc<Beat>>>,
    troubles: Mutex<SinkTroubles>,
    unanswered: Mutex<Vec<&'static str>>,
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
        let (beats, troubles) = (Mutex::default(), Mutex::default());
        let inner = Inner { source, beats, troubles, unanswered: Mutex::default() };
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
    pub fn beat(&self, stage: &'static str) -> Arc<Beat> {
        self.watched(stage, false)
    }

    /// The same of a sink that writes to a disk or another machine: where it stands still that is
    /// told as its trouble, and no fault of this process.
    pub fn outward_beat(&self, sink: &'static str) -> Arc<Beat> {
        self.watched(sink, true)
    }

    fn watched(&self, stage: &'static str, outward: bool) -> Arc<Beat> {
        let beat = Arc::new(Beat { stage, outward, count: AtomicU64::new(0) });
        lock(&self.inner.beats).push(Arc::clone(&beat));
        beat
    }

    /// All stages that are at work.
    pub fn beats(&self) -> Vec<Arc<Beat>> {
        let mut beats = lock(&self.inner.beats);
        // One handle is this list's own.
        beats.retain(|beat| Arc::strong_count(beat) > 1);
        beats.clone()
    }

    /// The sink `name` is in trouble (`Some`, in words) or well again.
    pub fn sink(&self, name: &str, trouble: Option<String>) {
        let mut troubles = lock(&self.inner.troubles);
        match trouble {
            Some(why) => drop(troubles.insert(name.to_owned(), why)),
            None => drop(troubles.remove(name)),
        }
    }

    /// The sinks whose disk or network does not answer right now.
    pub fn set_unanswered(&self, sinks: Vec<&'static str>) {
        *lock(&self.inner.unanswered) = sinks;
    }

    /// The sinks that are in trouble.
    pub fn troubles(&self) -> SinkTroubles {
        let mut troubles = lock(&self.inner.troubles).clone();
        for sink in lock(&self.inner.unanswered).iter() {
            troubles.insert((*sink).to_owned(), UNANSWERED.to_owned());
        }
        troubles
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
