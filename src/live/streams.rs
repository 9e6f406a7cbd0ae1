//! The list of a process' streams, for the health page and the watchdog. A reload may change it at any
//! time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::status::Status;

#[derive(Debug, Default)]
struct Inner {
    streams: Vec<Status>,
    stuck: Vec<String>,
}

/// All streams; clones are handles to the same list.
#[derive(Clone, Debug, Default)]
pub struct StreamList(Arc<Mutex<Inner>>);

impl StreamList {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces all streams.
    pub fn set(&self, streams: Vec<Status>) {
        self.with(|inner| inner.streams = streams);
    }

    /// Adds a stream; replaces one of the same name.
    pub fn insert(&self, status: Status) {
        self.with(|inner| {
            inner.streams.retain(|s| s.stream != status.stream);
            inner.streams.push(status);
        });
    }

    /// Removes the stream `name`.
    pub fn remove(&self, name: &str) {
        self.with(|inner| inner.streams.retain(|s| *s.stream != *name));
    }

    /// All streams.
    pub fn all(&self) -> Vec<Status> {
        self.with(|inner| inner.streams.clone())
    }

    /// What is stuck, as readable messages; empty where nothing is.
    pub fn stuck(&self) -> Vec<String> {
        self.with(|inner| inner.stuck.clone())
    }

    /// Sets what the watchdog has found to be stuck.
    pub fn set_stuck(&self, stuck: Vec<String>) {
        self.with(|inner| inner.stuck = stuck);
    }
}
