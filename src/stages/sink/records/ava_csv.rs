//! AVA-ActiveSpeaker CSV, in the format of its evaluation: one row per scored face and frame.
//!
//! The label is always `SPEAKING_AUDIBLE`, and `score` is its probability, as the evaluation
//! expects. A face with an unknown score has no row. Boxes are fractions, clipped to the frame.
//! Times are seconds on the run's clock, which in the first epoch is that of the source. Scores are
//! written with all digits, as rounding would create ties in the ranking.

use std::path::{Path, PathBuf};

use crate::core::evidence::FrameEvidence;

use super::super::atomic_file::AtomicFile;
use super::clock::RunClock;
use super::event::Event;
use super::{Ending, FrameSize, Record, RecordContext, RecordError, RecordFile};

/// The columns.
pub const HEADER: [&str; 9] = [
    "video_id",
    "frame_timestamp",
    "entity_box_x1",
    "entity_box_y1",
    "entity_box_x2",
    "entity_box_y2",
    "label",
    "entity_id",
    "score",
];

/// Writes the CSV record.
pub struct AvaCsv {
    rows: csv::Writer<AtomicFile>,
    path: PathBuf,
    video_id: String,
    frame_size: FrameSize,
    clock: RunClock,
}

impl AvaCsv {
    /// Starts the record with the later name `path`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(path: &Path, context: &RecordContext) -> Result<Self, RecordError> {
        let mut record = Self {
            rows: csv::Writer::from_writer(AtomicFile::create(path)?),
            path: path.to_path_buf(),
            video_id: context.video_id.clone(),
            frame_size: context.frame_size,
            clock: RunClock::default(),
        };
        let outcome = record.rows.write_record(HEADER);
        record.check(outcome)?;
        Ok(record)
    }

    fn check(&self, outcome: Result<(), csv::Error>) -> Result<(), RecordError> {
        outcome.map_err(|e| {
            // Unwrapped by hand: the library's own conversion loses the kind of error.
            let reason = match e.into_kind() {
                csv::ErrorKind::Io(reason) => reason,
                other => std::io::Error::other(format!("{other:?}")),
            };
            RecordError::new(&self.path, reason)
        })
    }
}

impl Record for AvaCsv {
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        let seconds = self.clock.next(evidence.frame).at.seconds();
        for face in &evidence.faces {
            let Some(score) = face.verdict.p() else {
                continue;
            };
            let [x1, y1, x2, y2] =
                self.frame_size.box_fractions(face.rect).map(|v| v.clamp(0.0, 1.0));
            if x2 <= x1 || y2 <= y1 {
                continue;
            }
            let row = [
                self.video_id.clone(),
                format!("{seconds:.6}"),
                format!("{x1:.6}"),
                format!("{y1:.6}"),
                format!("{x2:.6}"),
                format!("{y2:.6}"),
                "SPEAKING_AUDIBLE".to_owned(),
                format!("{}:{}", self.video_id, face.track),
                // The shortest decimal that parses to the same number.
                score.to_string(),
            ];
            let outcome = self.rows.write_record(&row);
            self.check(outcome)?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), RecordError> {
        if let Event::Epoch { width, height, .. } = *event {
            self.frame_size = FrameSize { width, height };
        }
        Ok(())
    }

    fn close(self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError> {
        let Self { rows, path, .. } = *self;
        let file = rows.into_inner();
        let file = file.map_err(|e| RecordError::new(&path, e.into_error()))?;
        RecordFile(file).close(ending)
    }
}
