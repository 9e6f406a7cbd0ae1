//! How an event sink says that it cannot do its work, and what it has lost.
//!
//! Told in the stream's status (from which the hub makes `sink-trouble` and `sink-well` events for
//! all sinks), in the log once per trouble, and in the metrics.

use super::EventContext;
use crate::live::meters::{Meters, because, of_stream};
use crate::live::status::Status;

/// A sink's trouble.
pub struct Trouble {
    sink: String,
    status: Status,
    meters: Meters,
    now: Option<String>,
}

impl Trouble {
    /// The sink `sink` is well.
    pub fn new(sink: &str, context: &EventContext) -> Self {
        let (status, meters) = (context.status.clone(), context.meters.clone());
        Self { sink: sink.to_owned(), status, meters, now: None }
    }

    /// What the sink is called.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// It works.
    pub fn well(&mut self) {
        if self.now.take().is_some() {
            tracing::info!(stream = %self.status.stream, sink = %self.sink, "works again");
            self.status.sink(&self.sink, None);
        }
    }

    /// It does not, because of `why` (without secrets). The same words again change nothing.
    pub fn is(&mut self, why: &str) {
        if self.now.as_deref() != Some(why) {
            tracing::warn!(stream = %self.status.stream, sink = %self.sink, why, "in trouble");
            self.status.sink(&self.sink, Some(why.to_owned()));
            self.now = Some(why.to_owned());
        }
    }

    /// `count` lines are lost for `reason`, which is one word.
    pub fn lost(&self, count: u64, reason: &str) {
        if count > 0 {
            let why = because(&self.status.stream, &self.sink, reason);
            self.meters.drops.get_or_create(&why).inc_by(count);
        }
    }

    /// The connection was lost or refused for `reason`, which is one word.
    pub fn reconnects(&self, reason: &str) {
        let why = because(&self.status.stream, &self.sink, reason);
        self.meters.reconnects.get_or_create(&why).inc();
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        // A sink that is gone is not in trouble any more.
        self.status.sink(&self.sink, None);
    }
}

/// Keeps a spool's share of `locutor_spool_bytes` true; a stream may have several spools.
pub struct SpoolMeter {
    stream: String,
    meters: Meters,
    told: i64,
}

impl SpoolMeter {
    /// Nothing waits.
    pub fn new(context: &EventContext) -> Self {
        let stream = context.status.stream.to_string();
        Self { stream, meters: context.meters.clone(), told: 0 }
    }

    /// So much waits.
    pub fn bytes(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes != self.told {
            let gauge = self.meters.spool_bytes.get_or_create_owned(&of_stream(&self.stream));
            gauge.inc_by(bytes - self.told);
            self.told = bytes;
        }
    }
}
