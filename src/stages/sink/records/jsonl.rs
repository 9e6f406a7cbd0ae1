//! JSON Lines: one line per source frame, and one per event.
//!
//! Writes `locutor.frame/1` and `locutor.event/1` lines in order. A change of the floor becomes a
//! `turn` line before the line of its frame. Every frame has a line, even without a face. The
//! schema is `docs/records.schema.json`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use smallvec::SmallVec;

use crate::core::evidence::{FaceEvidence, FrameEvidence, TrackId, Verdict};

use super::event::{EVENT_SCHEMA, Event};
use super::person::Person;
use super::{Ending, FrameSize, Record, RecordContext, RecordError, RecordFile};

/// The schema of frame lines. The number is raised for a change that could break a reader.
pub(crate) const FRAME_SCHEMA: &str = "locutor.frame/1";

/// A frame's line.
#[derive(Serialize)]
pub(crate) struct FrameLine<'a> {
    schema: &'static str,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    utc: Option<&'a str>,
    epoch: u32,
    seq: u64,
    pts_ns: i64,
    faces: SmallVec<[FaceLine; 4]>,
    floor: Option<u32>,
}

impl<'a> FrameLine<'a> {
    /// The line of `evidence`, whose boxes are fractions of `frame_size`; `utc` is when it was
    /// taken, where that is known (RFC 3339).
    pub(crate) fn new(
        stream: &'a str,
        utc: Option<&'a str>,
        evidence: &FrameEvidence,
        frame_size: FrameSize,
    ) -> Self {
        let frame = evidence.frame;
        Self {
            schema: FRAME_SCHEMA,
            stream,
            utc,
            epoch: frame.epoch.0,
            seq: frame.seq,
            pts_ns: frame.pts.ns(),
            faces: evidence.faces.iter().map(|f| FaceLine::new(f, frame_size)).collect(),
            floor: evidence.floor.map(|t| t.0),
        }
    }
}

#[derive(Serialize)]
struct FaceLine {
    track: u32,
    person: Person,
    #[serde(rename = "box")]
    corners: [f64; 4],
    landmarks: [[f64; 2]; 5],
    detected: bool,
    score: Option<f32>,
    unknown: Option<&'static str>,
    speaking: Option<bool>,
    audio_share: Option<f32>,
    face_share: Option<f32>,
}

impl FaceLine {
    fn new(face: &FaceEvidence, frame_size: FrameSize) -> Self {
        let (unknown, speaking, shares) = match face.verdict {
            Verdict::Unknown(why) => (Some(why.reason()), None, None),
            Verdict::Scored { speaking, shares, .. } => (None, Some(speaking), shares),
        };
        Self {
            track: face.track.0,
            person: Person(face.track),
            corners: frame_size.box_fractions(face.rect),
            landmarks: face.landmarks.map(|p| frame_size.fractions(p.x, p.y)),
            detected: face.detected,
            score: face.verdict.p(),
            unknown,
            speaking,
            audio_share: shares.map(|s| s.audio),
            face_share: shares.map(|s| s.face),
        }
    }
}

/// An event's line.
#[derive(Serialize)]
pub(crate) struct EventLine<'a> {
    schema: &'static str,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    utc: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event,
}

impl<'a> EventLine<'a> {
    /// The line of `event`; `utc` is when it happened, where that is known (RFC 3339).
    pub(crate) const fn new(stream: &'a str, utc: Option<&'a str>, event: &'a Event) -> Self {
        Self { schema: EVENT_SCHEMA, stream, utc, event }
    }
}

/// The event for a change of the floor at the frame of `evidence`; `None` if `before` still has it.
pub(crate) fn turn_event(evidence: &FrameEvidence, before: Option<TrackId>) -> Option<Event> {
    let frame = evidence.frame;
    (evidence.floor != before).then(|| Event::Turn {
        epoch: frame.epoch.0,
        seq: frame.seq,
        pts_ns: frame.pts.ns(),
        track: evidence.floor.map(|t| t.0),
        person: evidence.floor.map(|track| Person(track).to_string()),
        previous: before.map(|t| t.0),
    })
}

/// Writes the JSON Lines record.
pub(crate) struct Jsonl {
    out: RecordFile,
    stream: String,
    frame_size: FrameSize,
    floor: Option<TrackId>,
}

impl Jsonl {
    /// Starts the record with the later name `path`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(crate) fn create(path: &Path, context: &RecordContext) -> Result<Self, RecordError> {
        Ok(Self {
            out: RecordFile::create(path)?,
            stream: context.stream.clone(),
            frame_size: context.frame_size,
            floor: None,
        })
    }

    fn event_line(&mut self, event: &Event) -> Result<(), RecordError> {
        write_line(&mut self.out, &EventLine::new(&self.stream, None, event))
    }
}

fn write_line(out: &mut RecordFile, line: &impl Serialize) -> Result<(), RecordError> {
    let outcome = serde_json::to_writer(&mut out.0, line).map_err(std::io::Error::from);
    let outcome = outcome.and_then(|()| out.0.write_all(b"\n"));
    out.check(outcome)
}

impl Record for Jsonl {
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        if let Some(turn) = turn_event(evidence, self.floor) {
            self.floor = evidence.floor;
            self.event_line(&turn)?;
        }
        let line = FrameLine::new(&self.stream, None, evidence, self.frame_size);
        write_line(&mut self.out, &line)
    }

    fn event(&mut self, event: &Event) -> Result<(), RecordError> {
        if let Event::Epoch { width, height, .. } = *event {
            self.frame_size = FrameSize { width, height };
        }
        self.event_line(event)
    }

    fn close(self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError> {
        self.out.close(ending)
    }
}
