//! One hub a stream: evidence and events become lines once, and are offered to every sink.
//!
//! Takes [`FrameEvidence`], [`Event`]s and the stream's [`Status`]; gives [`EventLine`]s. Never
//! waits. The hub itself says what can be seen from what passes: a `turn` line before the frame
//! that the floor changes in, `source-lost`, `source-restored`, `sink-failed` and `sink-recovered` when the
//! status changes, and a state line when the faces, the speakers, the floor or the source do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::outlet::Outlet;
use super::watch::{self, StatusWatch};
use super::{EventLine, LineKind};
use crate::core::evidence::{FrameEvidence, TrackId};
use crate::stages::sink::records::event::Event;
use crate::stages::sink::records::jsonl::{self, turn};
use crate::stages::sink::records::{FrameSize, person};
use crate::telemetry::status::{SourceState, Status};

/// The schema that state lines name.
pub const STATE_SCHEMA: &str = "locutor.state/1";
/// State lines come no closer together than this, however fast things change.
const STATE_EVERY: Duration = Duration::from_millis(250);

/// What holds now.
#[derive(Clone, Debug, PartialEq)]
struct State {
    source: &'static str,
    why: Option<String>,
    faces: usize,
    speaking: Vec<u32>,
    floor: Option<u32>,
}

#[derive(Serialize)]
struct StateLine<'a> {
    schema: &'static str,
    stream: &'a str,
    utc: String,
    /// `connecting`, `live`, `lost` or `ended`.
    source: &'a str,
    /// Why it is away.
    why: Option<&'a str>,
    faces: usize,
    /// How many of them speak.
    speaking: usize,
    /// Which of them.
    speakers: &'a [u32],
    floor: Option<u32>,
    person: Option<String>,
}

struct Inner {
    outlets: Vec<Outlet>,
    names: Vec<String>,
    floor: Option<TrackId>,
    state: State,
    /// The state as last offered, and when.
    told: Option<(State, Timestamp)>,
    watch: StatusWatch,
    closed: bool,
}

/// A stream's hub; clones are handles to the same.
#[derive(Clone)]
pub struct EventHub {
    stream: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

impl EventHub {
    /// The hub of the stream called `stream`, without sinks.
    pub fn new(stream: &str) -> Self {
        let (why, speaking) = (None, Vec::new());
        let inner = Inner {
            outlets: Vec::new(),
            names: Vec::new(),
            floor: None,
            state: State { source: "connecting", why, faces: 0, speaking, floor: None },
            told: None,
            watch: StatusWatch::default(),
            closed: false,
        };
        Self { stream: stream.into(), inner: Arc::new(Mutex::new(inner)) }
    }

    /// The stream's name.
    pub fn stream(&self) -> Arc<str> {
        Arc::clone(&self.stream)
    }

    /// The evidence of the next frame, taken at `utc`, whose frame was of that size.
    pub fn frame(&self, evidence: &FrameEvidence, utc: Timestamp, image: FrameSize) {
        let mut inner = self.lock();
        if let Some(turn) = turn(evidence, inner.floor) {
            inner.floor = evidence.floor;
            inner.offer(self.event_line(&turn, utc));
        }
        let at = watch::rfc3339(utc);
        let line = jsonl::FrameLine::new(&self.stream, Some(&at), evidence, image);
        inner.offer(json(&line, utc, LineKind::Frame));
        let speaking = evidence.faces.iter().filter(|face| face.verdict.speaking());
        inner.state = State {
            faces: evidence.faces.len(),
            speaking: speaking.map(|face| face.track.0).collect(),
            floor: evidence.floor.map(|track| track.0),
            ..inner.state.clone()
        };
        self.tell_state(&mut inner, utc, true);
    }

    /// Something that happened now.
    pub fn event(&self, event: &Event) {
        self.event_at(event, Timestamp::now());
    }

    /// Something that happened at `utc`.
    pub fn event_at(&self, event: &Event, utc: Timestamp) {
        let mut inner = self.lock();
        inner.offer(self.event_line(event, utc));
    }

    /// Looks at what the source and the sinks do, and says what has changed: call it once a second,
    /// and whenever the source's state was set.
    pub fn status(&self, status: &Status) {
        self.status_at(status, Timestamp::now());
    }

    fn status_at(&self, status: &Status, utc: Timestamp) {
        let mut inner = self.lock();
        for event in inner.watch.changes(status, utc) {
            inner.offer(self.event_line(&event, utc));
        }
        let (source, why) = match status.source() {
            SourceState::Connecting { .. } => ("connecting", None),
            SourceState::Live { .. } => ("live", None),
            SourceState::Lost { why, .. } => ("lost", Some(why)),
            SourceState::Ended => ("ended", None),
        };
        let gone = matches!(source, "lost" | "ended");
        if gone {
            // Nobody is seen, so nobody can be said to be there.
            inner.state.faces = 0;
            inner.state.speaking.clear();
            inner.state.floor = None;
        }
        (inner.state.source, inner.state.why) = (source, why);
        self.tell_state(&mut inner, utc, false);
    }

    /// No line will come any more: sinks finish what they have and end.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.outlets.clear();
    }

    /// `kind`, or `kind-2` and so on where a sink has that name already.
    pub(super) fn unique_name(&self, kind: &str) -> String {
        let mut inner = self.lock();
        let numbered = (2..).map(|n| format!("{kind}-{n}"));
        let mut names = std::iter::once(kind.to_owned()).chain(numbered);
        let name = names.find(|name| !inner.names.contains(name)).unwrap_or_default();
        inner.names.push(name.clone());
        name
    }

    /// One more sink; it hears at once what holds now.
    pub(super) fn add(&self, mut outlet: Outlet) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let utc = Timestamp::now();
        outlet.offer(&self.state_line(&inner.state, utc));
        inner.outlets.push(outlet);
    }

    fn event_line(&self, event: &Event, utc: Timestamp) -> EventLine {
        let kind =
            if matches!(event, Event::Turn { .. }) { LineKind::Turn } else { LineKind::Event };
        event_line(&self.stream, event, utc, kind)
    }

    fn state_line(&self, state: &State, utc: Timestamp) -> EventLine {
        let line = StateLine {
            schema: STATE_SCHEMA,
            stream: &self.stream,
            utc: watch::rfc3339(utc),
            source: state.source,
            why: state.why.as_deref(),
            faces: state.faces,
            speaking: state.speaking.len(),
            speakers: &state.speaking,
            floor: state.floor,
            person: state.floor.map(|track| person(TrackId(track))),
        };
        json(&line, utc, LineKind::State)
    }

    /// Offers the state where it has changed; `calmly`: not right after the one before.
    fn tell_state(&self, inner: &mut Inner, utc: Timestamp, calmly: bool) {
        if let Some((state, at)) = &inner.told {
            let soon = Duration::try_from(utc.duration_since(*at)).is_ok_and(|d| d < STATE_EVERY);
            if *state == inner.state || calmly && soon {
                return;
            }
        }
        let line = self.state_line(&inner.state, utc);
        inner.told = Some((inner.state.clone(), utc));
        inner.offer(line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Sinks that are gone are forgotten.
    fn offer(&mut self, line: EventLine) {
        self.outlets.retain_mut(|outlet| outlet.offer(&line));
    }
}

/// The line of one event.
pub(super) fn event_line(stream: &str, event: &Event, utc: Timestamp, kind: LineKind) -> EventLine {
    let at = watch::rfc3339(utc);
    json(&jsonl::EventLine::new(stream, Some(&at), event), utc, kind)
}

fn json(line: &impl Serialize, at: Timestamp, kind: LineKind) -> EventLine {
    // Numbers, strings and lists of them: there is nothing in these that JSON cannot say.
    let json = serde_json::to_string(line).unwrap_or_default();
    EventLine { at, json: json.into(), kind }
}
