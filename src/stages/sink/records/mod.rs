//! What a run leaves in words: JSON Lines, RTTM, AVA-ActiveSpeaker CSV, WebVTT, and the summary.
//!
//! Takes the evidence of every source frame, in order, and the run's events. Gives one file per
//! record, each under its name only when it is complete ([`Record::finish`]); a record that is
//! dropped leaves nothing.
//!
//! Promises: all records of a run tell the same story on the same clock ([`clock::RunClock`]): a
//! score that is unknown is written as unknown or not at all, never as "not speaking"; memory does
//! not grow with the length of the run but for a few words per person.
//!
//! The formats are described in `docs/records.md`.

pub mod ava_csv;
pub mod clock;
pub mod event;
pub mod jsonl;
pub mod rttm;
pub mod summary;
pub mod turn_record;
pub mod turns;
pub mod vtt;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::core::evidence::{FrameEvidence, TrackId};
use crate::core::geometry::Rect;

pub use super::atomic_file::FileError as RecordError;
use super::atomic_file::{AtomicFile, incomplete_name};
use event::Event;
use turns::TurnRules;

/// What every record has to know of its run.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordContext {
    /// The stream's name.
    pub stream: String,
    /// The video's name in records that are compared with others: the file's stem.
    pub video_id: String,
    /// The size of the source frame, upright.
    pub frame_size: FrameSize,
    /// What counts as one turn.
    pub turns: TurnRules,
}

/// Width and height of a frame in pixels: what fractions are fractions of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSize {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl FrameSize {
    /// `[x, y]` in pixels as fractions, to a millionth (a 250th of a pixel at 4K).
    fn fractions(self, x: f32, y: f32) -> [f64; 2] {
        let part =
            |v: f32, whole: u32| (f64::from(v) / f64::from(whole.max(1)) * 1e6).round() / 1e6;
        [part(x, self.width), part(y, self.height)]
    }

    /// `[x1, y1, x2, y2]` as fractions; may reach outside 0..1, as the rectangle may.
    fn box_fractions(self, r: Rect) -> [f64; 4] {
        let ([x1, y1], [x2, y2]) = (self.fractions(r.x1, r.y1), self.fractions(r.x2, r.y2));
        [x1, y1, x2, y2]
    }
}

/// Whether a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Everything was seen: the record gets its name.
    Complete,
    /// The run was stopped: the record is kept as `NAME.incomplete.EXT`.
    Stopped,
}

/// A record being written.
pub trait Record: Send {
    /// Takes the next frame's evidence; frames come in order, each once.
    ///
    /// # Errors
    /// Where the file cannot be written.
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError>;

    /// Takes something that happened to the run; most records leave most events out.
    ///
    /// # Errors
    /// Where the file cannot be written.
    fn event(&mut self, event: &Event) -> Result<(), RecordError>;

    /// Writes what is still open and gives the file its name, which is returned.
    ///
    /// # Errors
    /// Where the file cannot be written; nothing is left behind then.
    fn close(self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError>;

    /// [`Record::close`] of a run that came to its end.
    ///
    /// # Errors
    /// As [`Record::close`].
    fn finish(self: Box<Self>) -> Result<(), RecordError> {
        self.close(Ending::Complete).map(drop)
    }
}

/// The file part of every record: opened at once, named at the end.
struct RecordFile(AtomicFile);

impl RecordFile {
    fn create(path: &Path) -> Result<Self, RecordError> {
        AtomicFile::create(path).map(Self)
    }

    /// Turns the outcome of a write into an error that names the file.
    fn check<T>(&self, outcome: std::io::Result<T>) -> Result<T, RecordError> {
        outcome.map_err(|e| RecordError::new(self.0.path(), e))
    }

    fn close(self, ending: Ending) -> Result<PathBuf, RecordError> {
        let path = self.0.path().to_path_buf();
        match ending {
            Ending::Complete => self.0.commit().map(|()| path),
            Ending::Stopped => {
                let other = incomplete_name(&path);
                self.0.commit_as(&other).map(|()| other)
            }
        }
    }
}

/// How records call a person.
pub fn person(track: TrackId) -> String {
    Person(track).to_string()
}

/// A person, written as records call one.
pub struct Person(pub TrackId);

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person {}", self.0)
    }
}

impl serde::Serialize for Person {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
