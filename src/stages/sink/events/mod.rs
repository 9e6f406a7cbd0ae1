//! Event sinks of a live stream: what happens goes to files, an MQTT broker, a webhook.
//!
//! Takes evidence and events ([`hub::EventHub`]), makes every line once, and offers it to all
//! sinks. Each sink has a queue and a thread of its own: none of them can hold up the stream or
//! another sink. Frames are left out where a sink is behind, oldest first, and counted; events only
//! where thousands of them wait, counted too, and said in the sink's own `dropped` line.
//!
//! The lines are those of a recording (`docs/records.md`) with `utc`; how they travel is described
//! in `docs/events.md`.

pub mod hub;
mod jsonl;
mod mqtt;
mod outlet;
mod rotate;
pub mod spool;
pub mod tls;
mod trouble;
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

use hub::EventHub;
use outlet::Inlet;
use trouble::Trouble;

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// The evidence of one frame.
    Frame,
    /// Something that happened.
    Event,
    /// The floor changed hands; an event, too.
    Turn,
    /// What holds now: the newest one makes all older ones worthless.
    State,
}

/// One line of JSON, shared by all sinks.
#[derive(Clone, Debug)]
pub struct EventLine {
    /// When it was taken or happened.
    pub at: Timestamp,
    /// The line, without the line feed.
    pub json: Arc<str>,
    /// What it tells.
    pub kind: LineKind,
}

impl ByteSize for EventLine {
    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.json.len()
    }
}

/// What every event sink has to know of its stream.
#[derive(Clone)]
pub struct EventContext {
    /// Where the lines come from; [`open`] adds the sink to it.
    pub hub: EventHub,
    /// Where trouble is told.
    pub status: Status,
    /// Where losses are counted.
    pub metrics: Metrics,
}

/// Why a sink cannot be had at all; trouble that may pass (a broker that is away, a full disk) is
/// no such reason.
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
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// Another process writes to the same spool.
    #[error(
        "the spool {} is in use by another process or sink; give each sink a folder of its own",
        .0.display()
    )]
    SpoolInUse(PathBuf),
    /// The system gives no thread or no event loop.
    #[error("a thread for the sink `{sink}` cannot be started: {reason}")]
    Thread {
        /// Which.
        sink: String,
        /// What the system says.
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

/// A sink at work. It ends when the hub is closed ([`EventHub::close`]).
#[derive(Debug)]
pub struct EventSinkHandle {
    /// What the sink is called in status, metrics and events.
    pub name: String,
    thread: JoinHandle<()>,
}

impl EventSinkHandle {
    /// Waits until the sink has written or sent what it still can: a few seconds at most, and only
    /// after the hub was closed.
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
/// Where it can never work: see [`OpenError`]. One that cannot work *now* is started, and in
/// trouble until it can.
pub fn open(sink: &SinkSettings, context: &EventContext) -> Result<EventSinkHandle, OpenError> {
    match sink {
        SinkSettings::Events { path, rotate_bytes, keep, frames } => {
            let kept = rotate::Rotation { bytes: *rotate_bytes, keep: *keep };
            let (path, kept, stream) = (path.clone(), kept, context.hub.stream());
            start("events", *frames, context, move |lines, trouble| {
                let jsonl = jsonl::Jsonl::new(&path, kept, stream, trouble.sink());
                jsonl::run(jsonl, lines, trouble);
            })
        }
        SinkSettings::Mqtt(mqtt) => {
            let plan = mqtt::Plan::new(mqtt, &context.hub.stream())?;
            let spool = open_spool(&mqtt.spool, mqtt.spool_bytes, &plan.broker)?;
            let (meter, stream) = (trouble::SpoolMeter::new(context), context.hub.stream());
            start("mqtt", mqtt.frames, context, move |lines, trouble| {
                mqtt::run(plan, stream, spool, lines, trouble, meter);
            })
        }
        SinkSettings::Webhook { uri, login, tls_ca_file, spool, spool_bytes } => {
            let post = webhook::Post::new(uri, login.as_ref(), tls_ca_file.as_deref())?;
            let spool = open_spool(spool, *spool_bytes, &post.address())?;
            let metrics = trouble::SpoolMeter::new(context);
            start("webhook", false, context, move |lines, trouble| {
                webhook::run(&post, spool, lines, trouble, metrics);
            })
        }
        _ => Err(OpenError::NotEvents),
    }
}

/// The spool of one sink; a disk that refuses is no error, for messages can wait in memory.
fn open_spool(path: &Path, bytes: u64, whose: &str) -> Result<spool::Spool, OpenError> {
    spool::Spool::open(path, bytes).map_err(|error| match error {
        spool::SpoolError::InUse => OpenError::SpoolInUse(path.to_path_buf()),
        spool::SpoolError::Unusable => OpenError::Address {
            address: whose.to_owned(),
            why: "its spool is smaller than 16 kB; give it more",
        },
    })
}

/// Starts `work` on a thread that is named after the sink, and adds it to the hub.
fn start(
    kind: &'static str,
    frames: bool,
    context: &EventContext,
    work: impl FnOnce(Inlet, Trouble) + Send + 'static,
) -> Result<EventSinkHandle, OpenError> {
    let name = context.hub.unique_name(kind);
    let lost = outlet::Lost::new(&name, context);
    let (outlet, inlet) = outlet::line(frames, lost);
    let trouble = Trouble::new(&name, context);
    let thread = std::thread::Builder::new()
        // The system keeps 15 bytes of it.
        .name(format!("{name}:{}", context.hub.stream()))
        .spawn(move || work(inlet, trouble))
        .map_err(|reason| OpenError::Thread { sink: name.clone(), reason })?;
    context.hub.add(outlet);
    Ok(EventSinkHandle { name, thread })
}
