//! The lines that all event sinks write or send.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::watch;
use crate::core::queue::ByteSize;
use crate::stages::sink::records::event::Event;
use crate::stages::sink::records::jsonl;

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

/// The line of one event.
pub(super) fn event_line(stream: &str, event: &Event, utc: Timestamp, kind: LineKind) -> EventLine {
    let at = watch::rfc3339(utc);
    json_line(&jsonl::EventLine::new(stream, Some(&at), event), utc, kind)
}

/// The line of a value.
pub(super) fn json_line(line: &impl Serialize, at: Timestamp, kind: LineKind) -> EventLine {
    // The lines hold numbers, strings and lists of them only: JSON can represent them all.
    let json = serde_json::to_string(line).unwrap_or_default();
    EventLine { at, json: json.into(), kind }
}
