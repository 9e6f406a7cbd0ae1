//! How an event sink reports failures and losses.
//!
//! In the stream's status, from which the hub makes `sink-failed` and `sink-recovered` events for
//! all sinks; in the log, once per failure; and in the metrics.

use super::hub::EventContext;
use crate::telemetry::metrics::{Metrics, reason_labels, stream_labels};
use crate::telemetry::status::Status;

/// Reports for one sink.
pub(super) struct SinkReporter {
    sink: String,
    status: Status,
    metrics: Metrics,
    /// The failure that was reported last, until the sink works again.
    error: Option<String>,
}

impl SinkReporter {
    /// Reports for the sink `sink`, which works.
    pub(super) fn new(sink: &str, context: &EventContext) -> Self {
        let (status, metrics) = (context.status.clone(), context.metrics.clone());
        Self { sink: sink.to_owned(), status, metrics, error: None }
    }

    /// The sink's name.
    pub(super) fn sink(&self) -> &str {
        &self.sink
    }

    /// The sink works.
    pub(super) fn report_working(&mut self) {
        if self.error.take().is_some() {
            tracing::info!(stream = %self.status.stream, sink = %self.sink, "works again");
            self.status.set_sink_error(&self.sink, None);
        }
    }

    /// The sink fails because of `why` (without secrets). The same `why` again changes nothing.
    pub(super) fn report_failure(&mut self, why: &str) {
        if self.error.as_deref() != Some(why) {
            tracing::warn!(stream = %self.status.stream, sink = %self.sink, why, "failed");
            self.status.set_sink_error(&self.sink, Some(why.to_owned()));
            self.error = Some(why.to_owned());
        }
    }

    /// Counts `count` lines that were dropped for `reason`, a metric label.
    pub(super) fn count_dropped(&self, count: u64, reason: &str) {
        if count > 0 {
            let labels = reason_labels(&self.status.stream, &self.sink, reason);
            self.metrics.drops.get_or_create(&labels).inc_by(count);
        }
    }

    /// Counts a connection that was lost or refused for `reason`, a metric label.
    pub(super) fn count_reconnect(&self, reason: &str) {
        let labels = reason_labels(&self.status.stream, &self.sink, reason);
        self.metrics.reconnects.get_or_create(&labels).inc();
    }
}

impl Drop for SinkReporter {
    fn drop(&mut self) {
        // A sink that has ended does not count as failed.
        self.status.set_sink_error(&self.sink, None);
    }
}

/// Updates a spool's share of `locutor_spool_bytes`; a stream may have several spools.
pub(super) struct SpoolMeter {
    stream: String,
    metrics: Metrics,
    reported: i64,
}

impl SpoolMeter {
    /// The meter of an empty spool.
    pub(super) fn new(context: &EventContext) -> Self {
        let stream = context.status.stream.to_string();
        Self { stream, metrics: context.metrics.clone(), reported: 0 }
    }

    /// Sets the bytes that wait in the spool.
    pub(super) fn set_bytes(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes != self.reported {
            let gauge = self.metrics.spool_bytes.get_or_create_owned(&stream_labels(&self.stream));
            gauge.inc_by(bytes - self.reported);
            self.reported = bytes;
        }
    }
}
