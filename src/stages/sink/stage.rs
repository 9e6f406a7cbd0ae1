//! The last stage as a loop: evidence for every frame in, records out, and where a film is wanted
//! the frame itself, drawn on, to the film.
//!
//! This is where the fast lane meets the slow one. Evidence comes for every frame and in order, so
//! the frame that belongs to it is always the next one on the fast lane: nothing is searched, and
//! a mismatch is a fault of the program.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::records::event::Event;
use super::records::summary::{Summary, SummaryBuilder};
use super::records::{Ending, Record, RecordError};
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::queue::Receiver;

/// How far a run has come; read by whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Frames written.
    pub frames: AtomicU64,
    /// Time of the last of them, in nanoseconds.
    pub pts_ns: AtomicI64,
    /// The highest person's number so far.
    pub people: AtomicU64,
    /// Whether the scores are known and the recording is read again to draw them.
    pub drawing: AtomicBool,
}

impl Progress {
    fn note(&self, evidence: &FrameEvidence) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.pts_ns.store(evidence.frame.pts.ns(), Ordering::Relaxed);
        let newest = evidence.faces.iter().map(|f| u64::from(f.track.0)).max().unwrap_or(0);
        self.people.fetch_max(newest, Ordering::Relaxed);
    }
}

/// Everything that is written of a run but the film.
pub struct Records {
    open: Vec<Box<dyn Record>>,
    summary: SummaryBuilder,
}

impl Records {
    /// Writes to `open`.
    pub fn new(open: Vec<Box<dyn Record>>) -> Self {
        Self { open, summary: SummaryBuilder::new() }
    }

    /// Writes to `record`, too.
    pub fn add(&mut self, record: Box<dyn Record>) {
        self.open.push(record);
    }

    /// Takes an event.
    ///
    /// # Errors
    /// Where a record cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), RecordError> {
        self.open.iter_mut().try_for_each(|r| r.event(event))
    }

    /// Takes the next frame's evidence.
    ///
    /// # Errors
    /// Where a record cannot be written.
    pub fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        self.summary.push(evidence);
        self.open.iter_mut().try_for_each(|r| r.write(evidence))
    }

    /// Notes that something could not be done as asked.
    ///
    /// # Errors
    /// Where a record cannot be written.
    pub fn degraded(&mut self, what: &str) -> Result<(), RecordError> {
        self.summary.degraded(what);
        let what = what.to_owned();
        self.event(&Event::Degraded { epoch: 0, pts_ns: None, what })
    }

    /// Ends all records and gives the run in figures.
    ///
    /// # Errors
    /// Where a record cannot be written.
    pub fn close(self, ending: Ending) -> Result<Summary, RecordError> {
        let summary = self.summary.finish();
        let complete = ending == Ending::Complete;
        let end = Event::End { complete, summary: summary.clone() };
        for mut record in self.open {
            record.event(&end)?;
            record.close(ending)?;
        }
        Ok(summary)
    }
}

/// A frame for which there is no evidence, or the other way round.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the lanes have come apart: evidence for frame {evidence}, but the frame is {frame:?}")]
pub struct FrameMismatch {
    evidence: u64,
    frame: Option<u64>,
}

impl FrameMismatch {
    /// Evidence for frame `evidence` met frame `frame`.
    pub const fn new(evidence: u64, frame: Option<u64>) -> Self {
        Self { evidence, frame }
    }
}

/// Writes records, and hands each frame with its evidence to `film`, until the evidence ends.
///
/// # Errors
/// Where a record cannot be written, `film` fails, or the lanes come apart.
pub fn write<E: From<RecordError> + From<FrameMismatch>>(
    evidence: &Receiver<FrameEvidence>,
    frames: Option<&Receiver<Frame>>,
    records: &mut Records,
    progress: &Progress,
    mut film: impl FnMut(Frame, &FrameEvidence) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(evidence) = evidence.recv() {
        records.write(&evidence)?;
        if let Some(frames) = frames {
            let frame = frames.recv();
            match frame {
                Some(frame) if frame.id == evidence.frame => film(frame, &evidence)?,
                other => {
                    let frame = other.map(|f| f.id.seq);
                    return Err(FrameMismatch { evidence: evidence.frame.seq, frame }.into());
                }
            }
        }
        progress.note(&evidence);
    }
    Ok(())
}
