//! Event sinks of a live stream: files, an MQTT broker, a webhook.
//!
//! Takes evidence and events ([`hub::EventHub`]), formats every line once, and offers it to all
//! sinks. Each sink has its own queue and thread, so none can block the stream or another sink. A
//! sink that is behind drops frames, oldest first. It drops events only when thousands of them
//! wait, and reports their number in a `dropped` line. Both are counted.
//!
//! The lines are those of a recording (`docs/records.md`) with `utc`; `docs/events.md` describes
//! their transport.

mod error;
mod event_queue;
pub mod hub;
mod jsonl;
mod line;
mod mqtt;
mod reporter;
mod rotate;
pub(crate) mod spool;
pub(crate) mod tls;
mod watch;
mod webhook;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::thread::JoinHandle;

use crate::stages::sink::settings::SinkSettings;
use event_queue::EventReceiver;
use reporter::SinkReporter;

pub use error::OpenError;
pub use hub::EventContext;
pub use line::{EventLine, LineKind};

/// A running sink. It ends when the hub is closed ([`hub::EventHub::close`]).
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
    let (mut sender, receiver) = event_queue::channel(frames, drops);
    let reporter = SinkReporter::new(&name, context);
    let thread = std::thread::Builder::new()
        // The system keeps 15 bytes of the name.
        .name(format!("{name}:{}", context.hub.stream()))
        .spawn(move || work(receiver, reporter))
        .map_err(|reason| OpenError::Thread { sink: name.clone(), reason })?;
    context.hub.add(move |line| sender.offer(line));
    Ok(EventSinkHandle { name, thread })
}
