//! Event sinks of a live stream: files, an MQTT broker, a webhook.
//!
//! Takes evidence and events ([`hub::EventHub`]), formats every line once, and offers it to all
//! sinks. Each sink has its own queue and thread, so none can block the stream or another sink. A
//! sink that is behind drops frames, oldest first. It drops events only when thousands of them
//! wait, and reports their number in a `dropped` line. Both are counted.
//!
//! The lines are those of a recording (`docs/records.md`) with `utc`; `docs/events.md` describes
//! their transport.

mod event_queue;
pub mod hub;
mod jsonl;
mod mqtt;
mod reporter;
mod rotate;
pub mod spool;
pub mod tls;
mod watch;
mod webhook;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use jiff::Timestamp;

use crate::core::queue::ByteSize;
use crate::stages::sink::settings::SinkSettings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;

use event_queue::EventReceiver;
use hub::EventHub;
use reporter::SinkReporter;

/// The kind of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// The evidence of one frame.
    Frame,
    /// An event.
    Event,
    /// Another person has the floor: also an event.
    Turn,
    /// The current state. Only the newest one matters.
    State,
}

/// One line of JSON, shared by all sinks.
#[derive(Clone, Debug)]
pub struct EventLine {
    /// When the frame was captured, or the event happened.
    pub at: Timestamp,
    /// The line, without the line feed.
    pub json: Arc<str>,
    /// Its kind.
    pub kind: LineKind,
}

impl ByteSize for EventLine {
    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.json.len()
    }
}

/// What every event sink needs from its stream.
#[derive(Clone)]
pub struct EventContext {
    /// Where the lines come from; [`open`] adds the sink to it.
    pub hub: EventHub,
    /// Where failures are reported.
    pub status: Status,
    /// Where drops are counted.
    pub metrics: Metrics,
}

/// Why a sink can never work. A failure that may pass (an unreachable broker, a full disk) is not
/// among them.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It takes frames, not events.
    #[error("this is not a sink for events")]
    NotEvents,
    /// The address cannot be used.
    #[error("{address}: {why}")]
    Address {
        /// Without user and password.
        address: String,
        /// What is wrong, and how to fix it.
        why: &'static str,
    },
    /// Another process writes to the same spool.
    #[error(
        "the spool {} is in use by another process or sink; give each sink a folder of its own",
        .0.display()
    )]
    SpoolInUse(PathBuf),
    /// The system cannot start a thread.
    #[error("a thread for the sink `{sink}` cannot be started: {reason}")]
    Thread {
        /// The sink.
        sink: String,
        /// The system's error.
        reason: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS for {address} cannot be set up: {why}")]
    Tls {
        /// Without user and password.
        address: String,
        /// What is wrong.
        why: String,
    },
}

/// A running sink. It ends when the hub is closed ([`EventHub::close`]).
#[derive(Debug)]
pub struct EventSinkHandle {
    /// The sink's name in status, metrics and events.
    pub name: String,
    thread: JoinHandle<()>,
}

impl EventSinkHandle {
    /// Waits until the sink has written or sent what it can. To be called after the hub was closed;
    /// takes a few seconds at most.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!(sink = %self.name, "the sink's thread has panicked");
        }
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Starts the event sink that `sink` describes.
///
/// # Errors
/// Where it can never work: see [`OpenError`]. A sink that cannot work *now* is started and reports
/// a failure until it can.
pub fn open(sink: &SinkSettings, context: &EventContext) -> Result<EventSinkHandle, OpenError> {
    match sink {
        SinkSettings::Events { path, rotate_bytes, keep, frames } => {
            let rotation = rotate::Rotation { bytes: *rotate_bytes, keep: *keep };
            let (path, rotation, stream) = (path.clone(), rotation, context.hub.stream());
            start("events", *frames, context, move |lines, reporter| {
                let jsonl = jsonl::JsonlWriter::new(&path, rotation, stream, reporter.sink());
                jsonl::run(jsonl, lines, reporter);
            })
        }
        SinkSettings::Mqtt(mqtt) => {
            let plan = mqtt::Plan::new(mqtt, &context.hub.stream())?;
            let spool = open_spool(&mqtt.spool, mqtt.spool_bytes, &plan.broker)?;
            let (meter, stream) = (reporter::SpoolMeter::new(context), context.hub.stream());
            start("mqtt", mqtt.frames, context, move |lines, reporter| {
                mqtt::run(plan, stream, spool, lines, reporter, meter);
            })
        }
        SinkSettings::Webhook { uri, login, tls_ca_file, spool, spool_bytes } => {
            let client = webhook::WebhookClient::new(uri, login.as_ref(), tls_ca_file.as_deref())?;
            let spool = open_spool(spool, *spool_bytes, &client.address())?;
            let meter = reporter::SpoolMeter::new(context);
            start("webhook", false, context, move |lines, reporter| {
                webhook::run(&client, spool, lines, reporter, meter);
            })
        }
        _ => Err(OpenError::NotEvents),
    }
}

/// Opens the spool of one sink. A disk error is no failure here: messages then wait in memory.
fn open_spool(path: &Path, bytes: u64, address: &str) -> Result<spool::Spool, OpenError> {
    spool::Spool::open(path, bytes).map_err(|error| match error {
        spool::SpoolError::InUse => OpenError::SpoolInUse(path.to_path_buf()),
        spool::SpoolError::TooSmall => OpenError::Address {
            address: address.to_owned(),
            why: "its spool is smaller than 16 kB; give it more",
        },
    })
}

/// Starts `work` on a thread named after the sink, and adds the sink to the hub.
fn start(
    kind: &'static str,
    frames: bool,
    context: &EventContext,
    work: impl FnOnce(EventReceiver, SinkReporter) + Send + 'static,
) -> Result<EventSinkHandle, OpenError> {
    let name = context.hub.unique_name(kind);
    let drops = event_queue::DropCounter::new(&name, context);
    let (sender, receiver) = event_queue::channel(frames, drops);
    let reporter = SinkReporter::new(&name, context);
    let thread = std::thread::Builder::new()
        // The system keeps 15 bytes of the name.
        .name(format!("{name}:{}", context.hub.stream()))
        .spawn(move || work(receiver, reporter))
        .map_err(|reason| OpenError::Thread { sink: name.clone(), reason })?;
    context.hub.add(sender);
    Ok(EventSinkHandle { name, thread })
}
