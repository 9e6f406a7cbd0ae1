//! The streams of a process, for those who watch over them: the health page and the watchdog.
//!
//! A list that a reload may change while it is read.

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

    /// These are the streams now.
    pub fn set(&self, streams: Vec<Status>) {
        self.with(|inner| inner.streams = streams);
    }

    /// One more stream; one of the same name goes.
    pub fn insert(&self, status: Status) {
        self.with(|inner| {
            inner.streams.retain(|s| s.stream != status.stream);
            inner.streams.push(status);
        });
    }

    /// The stream `name` is no more.
    pub fn remove(&self, name: &str) {
        self.with(|inner| inner.streams.retain(|s| *s.stream != *name));
    }

    /// All streams that there are.
    pub fn all(&self) -> Vec<Status> {
        self.with(|inner| inner.streams.clone())
    }

    /// What does not move although it should, in words; nothing where all is well.
    pub fn stuck(&self) -> Vec<String> {
        self.with(|inner| inner.stuck.clone())
    }

    /// The watchdog has found this.
    pub fn set_stuck(&self, stuck: Vec<String>) {
        self.with(|inner| inner.stuck = stuck);
    }
}
