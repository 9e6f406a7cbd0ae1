//! The event hub of a stream: formats evidence and events once and offers them to every sink.
//!
//! Takes [`FrameEvidence`], [`Event`]s and the stream's [`Status`]; gives [`EventLine`]s. Never
//! blocks. The hub adds lines of its own: `turn` before the frame in which the floor changes;
//! `source-lost`, `source-restored`, `sink-failed` and `sink-recovered` when the status changes;
//! and a state line when the faces, the speakers, the floor or the source change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::line::{EventLine, LineKind, event_line, json_line};
use super::watch::{self, StatusWatch};
use crate::core::evidence::{FrameEvidence, TrackId};
use crate::stages::sink::records::FrameSize;
use crate::stages::sink::records::event::Event;
use crate::stages::sink::records::jsonl::{self, turn_event};
use crate::stages::sink::records::person::Person;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::{SourceState, Status};

/// The schema that state lines name.
pub const STATE_SCHEMA: &str = "locutor.state/1";
/// Minimum time between two state lines.
const MIN_STATE_INTERVAL: Duration = Duration::from_millis(250);

/// The current state.
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
    /// Why it is lost.
    why: Option<&'a str>,
    faces: usize,
    /// How many faces speak.
    speaking: usize,
    /// The tracks that speak.
    speakers: &'a [u32],
    floor: Option<u32>,
    person: Option<String>,
}

/// Takes a line for one sink; never blocks. `false` when the sink is gone.
type OfferLine = Box<dyn FnMut(&EventLine) -> bool + Send>;

struct Inner {
    sinks: Vec<OfferLine>,
    sink_names: Vec<String>,
    floor: Option<TrackId>,
    state: State,
    /// The state as last offered, and when.
    offered_state: Option<(State, Timestamp)>,
    watch: StatusWatch,
    closed: bool,
}

/// A stream's hub; clones are handles to the same.
#[derive(Clone)]
pub struct EventHub {
    stream: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

/// What every event sink needs from its stream.
#[derive(Clone)]
pub struct EventContext {
    /// Where the lines come from; [`open`](super::open) adds the sink to it.
    pub hub: EventHub,
    /// Where failures are reported.
    pub status: Status,
    /// Where drops are counted.
    pub metrics: Metrics,
}

impl EventHub {
    /// The hub of the stream called `stream`, without sinks.
    pub fn new(stream: &str) -> Self {
        let (why, speaking) = (None, Vec::new());
        let inner = Inner {
            sinks: Vec::new(),
            sink_names: Vec::new(),
            floor: None,
            state: State { source: "connecting", why, faces: 0, speaking, floor: None },
            offered_state: None,
            watch: StatusWatch::default(),
            closed: false,
        };
        Self { stream: stream.into(), inner: Arc::new(Mutex::new(inner)) }
    }

    /// The stream's name.
    pub fn stream(&self) -> Arc<str> {
        Arc::clone(&self.stream)
    }

    /// The evidence of the next frame, captured at `utc`, of size `image`.
    pub fn frame(&self, evidence: &FrameEvidence, utc: Timestamp, image: FrameSize) {
        let mut inner = self.lock();
        if let Some(turn) = turn_event(evidence, inner.floor) {
            inner.floor = evidence.floor;
            inner.offer(self.event_line(&turn, utc));
        }
        let at = watch::rfc3339(utc);
        let line = jsonl::FrameLine::new(&self.stream, Some(&at), evidence, image);
        inner.offer(json_line(&line, utc, LineKind::Frame));
        let speaking = evidence.faces.iter().filter(|face| face.verdict.speaking());
        inner.state = State {
            faces: evidence.faces.len(),
            speaking: speaking.map(|face| face.track.0).collect(),
            floor: evidence.floor.map(|track| track.0),
            ..inner.state.clone()
        };
        self.offer_state(&mut inner, utc, true);
    }

    /// An event that happened now.
    pub fn event(&self, event: &Event) {
        self.event_at(event, Timestamp::now());
    }

    /// An event that happened at `utc`.
    pub fn event_at(&self, event: &Event, utc: Timestamp) {
        let mut inner = self.lock();
        inner.offer(self.event_line(event, utc));
    }

    /// Reports what has changed in the state of the source and the sinks. To be called once a
    /// second, and whenever the source's state was set.
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
        if matches!(source, "lost" | "ended") {
            // Without a source there are no faces.
            inner.state.faces = 0;
            inner.state.speaking.clear();
            inner.state.floor = None;
        }
        (inner.state.source, inner.state.why) = (source, why);
        self.offer_state(&mut inner, utc, false);
    }

    /// Ends the stream of lines: the sinks finish what they have and end.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.sinks.clear();
    }

    /// `kind`, or `kind-2` and so on if the name is taken.
    pub(super) fn unique_name(&self, kind: &str) -> String {
        let mut inner = self.lock();
        let numbered = (2..).map(|n| format!("{kind}-{n}"));
        let mut names = std::iter::once(kind.to_owned()).chain(numbered);
        let name = names.find(|name| !inner.sink_names.contains(name)).unwrap_or_default();
        inner.sink_names.push(name.clone());
        name
    }

    /// Adds a sink. It gets the current state at once.
    pub(super) fn add(&self, mut offer: impl FnMut(&EventLine) -> bool + Send + 'static) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let utc = Timestamp::now();
        offer(&self.state_line(&inner.state, utc));
        inner.sinks.push(Box::new(offer));
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
            person: state.floor.map(|track| Person(TrackId(track)).to_string()),
        };
        json_line(&line, utc, LineKind::State)
    }

    /// Offers the state if it has changed; with `rate_limited`, not within
    /// [`MIN_STATE_INTERVAL`] of the previous one.
    fn offer_state(&self, inner: &mut Inner, utc: Timestamp, rate_limited: bool) {
        if let Some((state, at)) = &inner.offered_state {
            let elapsed = Duration::try_from(utc.duration_since(*at));
            let too_soon = elapsed.is_ok_and(|d| d < MIN_STATE_INTERVAL);
            if *state == inner.state || rate_limited && too_soon {
                return;
            }
        }
        let line = self.state_line(&inner.state, utc);
        inner.offered_state = Some((inner.state.clone(), utc));
        inner.offer(line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Offers the line to all sinks; removes sinks that have ended.
    fn offer(&mut self, line: EventLine) {
        self.sinks.retain_mut(|offer| offer(&line));
    }
}
