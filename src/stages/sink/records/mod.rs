//! The records of a run: JSON Lines, RTTM, AVA-ActiveSpeaker CSV, WebVTT, and the summary.
//!
//! Takes the evidence of every source frame, in order, and the events of the run. Writes one file
//! per record, which gets its name when it is complete ([`Record::finish`]). A dropped record
//! leaves no file.
//!
//! Guarantees: all records of a run agree and use the same clock ([`clock::RunClock`]). An unknown
//! score is written as unknown or left out, never as "not speaking". Memory does not grow with the
//! length of the run, except for a few numbers per person.
//!
//! The formats are described in `docs/records.md`.

pub mod ava_csv;
pub(crate) mod clock;
pub mod event;
pub(crate) mod jsonl;
pub(crate) mod person;
pub(crate) mod rttm;
pub(crate) mod summary;
pub(crate) mod turn_record;
pub mod turns;
pub(crate) mod vtt;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::core::evidence::FrameEvidence;
use crate::core::geometry::Rect;

pub use super::atomic_file::FileError as RecordError;
use super::atomic_file::{AtomicFile, incomplete_name};
use event::Event;
use turns::TurnRules;

/// The run, for its records.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordContext {
    /// The stream's name.
    pub stream: String,
    /// The video's name in records that are compared with others: the file name without extension.
    pub video_id: String,
    /// The size of the source frame, upright.
    pub frame_size: FrameSize,
    /// The rules for turns.
    pub turns: TurnRules,
}

/// Width and height of a frame in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSize {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl FrameSize {
    /// `[x, y]` in pixels as fractions of the frame, rounded to 1e-6 (a 250th of a pixel at 4K).
    fn fractions(self, x: f32, y: f32) -> [f64; 2] {
        let part =
            |v: f32, whole: u32| (f64::from(v) / f64::from(whole.max(1)) * 1e6).round() / 1e6;
        [part(x, self.width), part(y, self.height)]
    }

    /// `[x1, y1, x2, y2]` as fractions of the frame; may lie outside 0..1, as the rectangle may.
    fn box_fractions(self, r: Rect) -> [f64; 4] {
        let ([x1, y1], [x2, y2]) = (self.fractions(r.x1, r.y1), self.fractions(r.x2, r.y2));
        [x1, y1, x2, y2]
    }
}

/// Whether a run is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The whole source was read: the record gets its name.
    Complete,
    /// The run was stopped: the record is kept as `NAME.incomplete.EXT`.
    Stopped,
}

/// A record being written.
pub trait Record: Send {
    /// Writes the evidence of the next frame. Every frame comes once, in order.
    ///
    /// # Errors
    /// If the file cannot be written.
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError>;

    /// Writes an event. Most records ignore most events.
    ///
    /// # Errors
    /// If the file cannot be written.
    fn event(&mut self, event: &Event) -> Result<(), RecordError>;

    /// Writes what is pending and gives the file its name. Returns the name.
    ///
    /// # Errors
    /// If the file cannot be written. It is removed then.
    fn close(self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError>;

    /// [`Record::close`] for a complete run.
    ///
    /// # Errors
    /// As [`Record::close`].
    fn finish(self: Box<Self>) -> Result<(), RecordError> {
        self.close(Ending::Complete).map(drop)
    }
}

/// The file of a record: created at the start, named at the end.
struct RecordFile(AtomicFile);

impl RecordFile {
    fn create(path: &Path) -> Result<Self, RecordError> {
        AtomicFile::create(path).map(Self)
    }

    /// Adds the file's name to the error of a write.
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
