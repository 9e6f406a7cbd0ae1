//! What happens to a run beside its frames: the event lines of the JSON Lines record.

use std::collections::BTreeMap;

use serde::Serialize;

use super::summary::Summary;

/// The schema that event lines name. The number goes up where a reader could break.
pub const EVENT_SCHEMA: &str = "locutor.event/1";

/// Something that happened. Field names are part of the schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began; always the first line.
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
    /// Somebody else has the floor, from the frame on that the next line is about.
    Turn {
        /// Epoch of the frame.
        epoch: u32,
        /// Number of the frame.
        seq: u64,
        /// Time of the frame.
        pts_ns: i64,
        /// Who has the floor now.
        track: Option<u32>,
        /// The same, as a label.
        person: Option<String>,
        /// Who had it before.
        previous: Option<u32>,
    },
    /// Something could not be done as asked.
    Degraded {
        /// The epoch it happened in.
        epoch: u32,
        /// Where in the source, if that is known.
        pts_ns: Option<i64>,
        /// What, in words.
        what: String,
    },
    /// The source gives no frames any more.
    SourceLost {
        /// Since when (RFC 3339, UTC).
        since: String,
        /// Why, in words, without secrets.
        why: String,
        /// When it is tried again (RFC 3339, UTC).
        next_try: String,
    },
    /// The source gives frames again.
    SourceRestored {
        /// How long it did not.
        lost_seconds: f64,
    },
    /// A sink cannot do its work; the others go on.
    SinkFailed {
        /// Which.
        sink: String,
        /// Why, in words, without secrets.
        why: String,
    },
    /// A sink works again.
    SinkRecovered {
        /// Which.
        sink: String,
        /// How long it did not.
        failed_seconds: f64,
    },
    /// There is more to do than can be done in time: something is done less often now.
    OverloadBegin {
        /// How much is left out: 1 to 3.
        level: u8,
        /// What is done less often, and why.
        reason: String,
    },
    /// Everything is done again that was left out.
    OverloadEnd {
        /// The level that is left.
        level: u8,
        /// Why.
        reason: String,
    },
    /// What encodes the frame, said at the start and when it changes.
    Encoder {
        /// The element at work.
        element: String,
        /// What was asked for or tried first, where that did not work.
        instead_of: Option<String>,
        /// Why that did not work.
        why: Option<String>,
    },
    /// The stream's file was read again.
    Reload {
        /// Whether it was taken; if not, all goes on as before.
        accepted: bool,
        /// What changed, or why it was not taken.
        what: String,
    },
    /// A sink has left out lines; said in that sink as soon as it can.
    Dropped {
        /// Which.
        sink: String,
        /// How many.
        lines: u64,
        /// Why.
        why: String,
    },
    /// The run ended; always the last line.
    End {
        /// Whether everything was seen (else it was stopped).
        complete: bool,
        /// The run in figures.
        summary: Summary,
    },
}

/// What a run began with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// Where the video comes from, secrets taken out.
    pub source: String,
    /// Frame width in pixels, upright.
    pub width: u32,
    /// Frame height in pixels, upright.
    pub height: u32,
    /// Frames a second as the source states it, e.g. `30000/1001`.
    pub rate: Option<String>,
    /// The model package that scores, with its version.
    pub package: String,
    /// The detector package.
    pub detector: String,
    /// The device that computes.
    pub device: String,
    /// A smoothed score above this is speaking.
    pub threshold: f32,
    /// The smoothing's width in ticks of 40 ms.
    pub smoothing_ticks: u32,
    /// Versions of the program and of what it stands on, by name.
    pub versions: BTreeMap<String, String>,
}
