//! How an event sink says that it cannot do its work, and what it has lost.
//!
//! Told in the stream's status (from which the hub makes `sink-failed` and `sink-recovered` events for
//! all sinks), in the log once per trouble, and in the metrics.

use super::EventContext;
use crate::telemetry::metrics::{Metrics, reason_labels, stream_labels};
use crate::telemetry::status::Status;

/// A sink's trouble.
pub struct Trouble {
    sink: String,
    status: Status,
    metrics: Metrics,
    now: Option<String>,
}

impl Trouble {
    /// The sink `sink` is well.
    pub fn new(sink: &str, context: &EventContext) -> Self {
        let (status, metrics) = (context.status.clone(), context.metrics.clone());
        Self { sink: sink.to_owned(), status, metrics, now: None }
    }

    /// What the sink is called.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// It works.
    pub fn well(&mut self) {
        if self.now.take().is_some() {
            tracing::info!(stream = %self.status.stream, sink = %self.sink, "works again");
            self.status.set_sink_error(&self.sink, None);
        }
    }

    /// It does not, because of `why` (without secrets). The same words again change nothing.
    pub fn is(&mut self, why: &str) {
        if self.now.as_deref() != Some(why) {
            tracing::warn!(stream = %self.status.stream, sink = %self.sink, why, "in trouble");
            self.status.set_sink_error(&self.sink, Some(why.to_owned()));
            self.now = Some(why.to_owned());
        }
    }

    /// `count` lines are lost for `reason`, which is one word.
    pub fn lost(&self, count: u64, reason: &str) {
        if count > 0 {
            let why = reason_labels(&self.status.stream, &self.sink, reason);
            self.metrics.drops.get_or_create(&why).inc_by(count);
        }
    }

    /// The connection was lost or refused for `reason`, which is one word.
    pub fn reconnects(&self, reason: &str) {
        let why = reason_labels(&self.status.stream, &self.sink, reason);
        self.metrics.reconnects.get_or_create(&why).inc();
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        // A sink that is gone is not in trouble any more.
        self.status.set_sink_error(&self.sink, None);
    }
}

/// Keeps a spool's share of `locutor_spool_bytes` true; a stream may have several spools.
pub struct SpoolMeter {
    stream: String,
    metrics: Metrics,
    told: i64,
}

impl SpoolMeter {
    /// Nothing waits.
    pub fn new(context: &EventContext) -> Self {
        let stream = context.status.stream.to_string();
        Self { stream, metrics: context.metrics.clone(), told: 0 }
    }

    /// So much waits.
    pub fn bytes(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes != self.told {
            let gauge = self.metrics.spool_bytes.get_or_create_owned(&stream_labels(&self.stream));
            gauge.inc_by(bytes - self.told);
            self.told = bytes;
        }
    }
}
