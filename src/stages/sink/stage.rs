//! The last stage: takes the evidence of every frame and writes records and, if wanted, the
//! annotated frame.
//!
//! The fast path and the slow path meet here. Evidence comes for every frame and in order, so its
//! frame is always the next one on the fast path. A mismatch is a bug.

use super::records::event::Event;
use super::records::summary::{Summary, SummaryBuilder};
use super::records::{Ending, Record, RecordError};
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::progress::Progress;
use crate::core::queue::Receiver;

/// All records of a run.
pub struct Records {
    open: Vec<Box<dyn Record>>,
    summary: SummaryBuilder,
}

impl Records {
    /// A set of these records.
    pub fn new(open: Vec<Box<dyn Record>>) -> Self {
        Self { open, summary: SummaryBuilder::new() }
    }

    /// Adds a record.
    pub fn add(&mut self, record: Box<dyn Record>) {
        self.open.push(record);
    }

    /// Writes an event.
    ///
    /// # Errors
    /// If a record cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), RecordError> {
        self.open.iter_mut().try_for_each(|r| r.event(event))
    }

    /// Writes the evidence of the next frame.
    ///
    /// # Errors
    /// If a record cannot be written.
    pub fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        self.summary.push(evidence);
        self.open.iter_mut().try_for_each(|r| r.write(evidence))
    }

    /// Records that something could not be done as requested.
    ///
    /// # Errors
    /// If a record cannot be written.
    pub fn degraded(&mut self, what: &str) -> Result<(), RecordError> {
        self.summary.degraded(what);
        let what = what.to_owned();
        self.event(&Event::Degraded { epoch: 0, pts_ns: None, what })
    }

    /// Closes all records and returns the summary.
    ///
    /// # Errors
    /// If a record cannot be written.
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

/// The next frame is not the one of the evidence.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "frames and evidence do not match: evidence for frame {evidence}, but the frame is {frame:?}"
)]
pub struct FrameMismatch {
    evidence: u64,
    frame: Option<u64>,
}

impl FrameMismatch {
    /// The evidence is of frame `evidence`, the next frame is `frame`.
    pub const fn new(evidence: u64, frame: Option<u64>) -> Self {
        Self { evidence, frame }
    }
}

/// Writes records, and calls `write_frame` with each frame and its evidence, until the evidence
/// ends.
///
/// # Errors
/// If a record cannot be written, `write_frame` fails, or frames and evidence do not match.
pub fn write<E: From<RecordError> + From<FrameMismatch>>(
    evidence: &Receiver<FrameEvidence>,
    frames: Option<&Receiver<Frame>>,
    records: &mut Records,
    progress: &Progress,
    mut write_frame: impl FnMut(Frame, &FrameEvidence) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(evidence) = evidence.recv() {
        records.write(&evidence)?;
        if let Some(frames) = frames {
            let frame = frames.recv();
            match frame {
                Some(frame) if frame.id == evidence.frame => write_frame(frame, &evidence)?,
                other => {
                    let frame = other.map(|f| f.id.seq);
                    return Err(FrameMismatch { evidence: evidence.frame.seq, frame }.into());
                }
            }
        }
        progress.count_frame(&evidence);
    }
    Ok(())
}
