//! The events of a run: the event lines of the JSON Lines record.

use std::collections::BTreeMap;

use serde::Serialize;

use super::summary::Summary;

/// The schema of event lines. The number is raised for a change that could break a reader.
pub const EVENT_SCHEMA: &str = "locutor.event/1";

/// An event. Field names are part of the schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began. Always the first line.
    Start(Start),
    /// A new epoch began: the source was reopened, or its clock jumped.
    Epoch {
        /// Its number.
        epoch: u32,
        /// Frame width from here on, in pixels.
        width: u32,
        /// Frame height from here on, in pixels.
        height: u32,
        /// Why.
        reason: String,
    },
    /// The floor changed, from the frame of the next line on.
    Turn {
        /// Epoch of the frame.
        epoch: u32,
        /// Number of the frame.
        seq: u64,
        /// Time of the frame.
        pts_ns: i64,
        /// The track that has the floor now.
        track: Option<u32>,
        /// The label of that person.
        person: Option<String>,
        /// The track that had it before.
        previous: Option<u32>,
    },
    /// Something could not be done as requested.
    Degraded {
        /// The epoch it happened in.
        epoch: u32,
        /// Time in the source, if known.
        pts_ns: Option<i64>,
        /// What was degraded, as a readable message.
        what: String,
    },
    /// The source stopped delivering frames.
    SourceLost {
        /// Since when (RFC 3339, UTC).
        since: String,
        /// Why, as a readable message without secrets.
        why: String,
        /// Time of the next attempt (RFC 3339, UTC).
        next_try: String,
    },
    /// The source delivers frames again.
    SourceRestored {
        /// Duration of the outage.
        lost_seconds: f64,
    },
    /// A sink failed; the others continue.
    SinkFailed {
        /// The sink.
        sink: String,
        /// Why, as a readable message without secrets.
        why: String,
    },
    /// A sink works again.
    SinkRecovered {
        /// The sink.
        sink: String,
        /// Duration of the failure.
        failed_seconds: f64,
    },
    /// Overload: something is done less often from now on.
    OverloadBegin {
        /// The load level: 1 to 3.
        level: u8,
        /// What is done less often, and why.
        reason: String,
    },
    /// The overload has ended.
    OverloadEnd {
        /// The level that remains.
        level: u8,
        /// Why.
        reason: String,
    },
    /// The video encoder, at the start and after a change.
    Encoder {
        /// The encoder element in use.
        element: String,
        /// The element that was requested or tried first, if that failed.
        instead_of: Option<String>,
        /// Why that failed.
        why: Option<String>,
    },
    /// The stream's file was read again.
    Reload {
        /// Whether it was accepted; if not, nothing changes.
        accepted: bool,
        /// What changed, or why it was rejected.
        what: String,
    },
    /// A sink has dropped lines. Written to that sink as soon as possible.
    Dropped {
        /// The sink.
        sink: String,
        /// Number of lines.
        lines: u64,
        /// Why.
        why: String,
    },
    /// The run ended. Always the last line.
    End {
        /// Whether the whole source was read; otherwise the run was stopped.
        complete: bool,
        /// The summary of the run.
        summary: Summary,
    },
}

/// The start of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// The source, without secrets.
    pub source: String,
    /// Frame width in pixels, upright.
    pub width: u32,
    /// Frame height in pixels, upright.
    pub height: u32,
    /// Frames per second as the source states it, e.g. `30000/1001`.
    pub rate: Option<String>,
    /// The speaker model package, with its version.
    pub package: String,
    /// The detector package.
    pub detector: String,
    /// The inference device.
    pub device: String,
    /// The threshold of the smoothed score for speaking.
    pub threshold: f32,
    /// The width of the smoothing in ticks of 40 ms.
    pub smoothing_ticks: u32,
    /// Versions of the program and of its libraries, by name.
    pub versions: BTreeMap<String, String>,
}
