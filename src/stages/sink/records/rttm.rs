//! RTTM, as diarization is scored: one `SPEAKER` line per turn.
//!
//! Takes evidence, gives `SPEAKER FILE 1 ONSET DURATION <NA> <NA> Person_N <NA> <NA>` in seconds to
//! the millisecond, sorted by onset. Turns are those of [`super::turns`]. The format knows neither
//! quotes nor escapes, so that white space in the file's name becomes `_`. Speech that the model
//! could not score is not in it: RTTM has no word for "unknown".

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::core::evidence::FrameEvidence;

use super::event::Event;
use super::turns::{Turn, Turns};
use super::{Ending, Record, RecordContext, RecordError, RecordFile, person};

/// Writes the RTTM record.
pub struct Rttm {
    out: RecordFile,
    file: String,
    turns: Turns,
}

impl Rttm {
    /// Begins the record that shall be called `path`.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(path: &Path, context: &RecordContext) -> Result<Self, RecordError> {
        Ok(Self {
            out: RecordFile::create(path)?,
            file: one_word(&context.video_id),
            turns: Turns::new(context.turns),
        })
    }

    fn lines(&mut self, turns: &[Turn]) -> Result<(), RecordError> {
        for turn in turns {
            let (onset, lasts) = (turn.start.seconds(), (turn.end - turn.start).seconds());
            let who = one_word(&person(turn.track));
            let file = &self.file;
            let line =
                format!("SPEAKER {file} 1 {onset:.3} {lasts:.3} <NA> <NA> {who} <NA> <NA>\n");
            let outcome = self.out.0.write_all(line.as_bytes());
            self.out.check(outcome)?;
        }
        Ok(())
    }
}

impl Record for Rttm {
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        let turns = self.turns.push(evidence);
        self.lines(&turns)
    }

    fn event(&mut self, _event: &Event) -> Result<(), RecordError> {
        Ok(())
    }

    fn close(mut self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError> {
        let turns = self.turns.finish();
        self.lines(&turns)?;
        self.out.close(ending)
    }
}

/// A name without white space; never empty.
fn one_word(name: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let word: String = name.chars().map(|c| if blank(c) { '_' } else { c }).collect();
    if word.is_empty() { "_".to_owned() } else { word }
}
