//! WebVTT: a cue per turn, for a player to show beside the video.
//!
//! Takes evidence, gives `<v Person N>[speaking]</v>` from the turn's start to its end, sorted by
//! start as the format asks; where people overlap, so do their cues. There are no words in it: this
//! program does not transcribe. Turns are those of [`super::turns`].

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::core::evidence::FrameEvidence;
use crate::core::time::Pts;

use super::event::Event;
use super::turns::{Turn, Turns};
use super::{Ending, Record, RecordContext, RecordError, RecordFile, person};

/// Writes the WebVTT record.
pub struct Vtt {
    out: RecordFile,
    turns: Turns,
}

impl Vtt {
    /// Begins the record that shall be called `path`.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(path: &Path, context: &RecordContext) -> Result<Self, RecordError> {
        let mut out = RecordFile::create(path)?;
        let outcome = out.0.write_all(b"WEBVTT\n");
        out.check(outcome)?;
        Ok(Self { out, turns: Turns::new(context.turns) })
    }

    fn cues(&mut self, turns: &[Turn]) -> Result<(), RecordError> {
        for turn in turns {
            let (from, to) = (cue_time(turn.start), cue_time(turn.end));
            // The format wants a cue to end after it starts, in milliseconds.
            if from == to {
                continue;
            }
            let who = person(turn.track);
            let cue = format!("\n{from} --> {to}\n<v {who}>[speaking]</v>\n");
            let outcome = self.out.0.write_all(cue.as_bytes());
            self.out.check(outcome)?;
        }
        Ok(())
    }
}

impl Record for Vtt {
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        let turns = self.turns.push(evidence);
        self.cues(&turns)
    }

    fn event(&mut self, _event: &Event) -> Result<(), RecordError> {
        Ok(())
    }

    fn close(mut self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError> {
        let turns = self.turns.finish();
        self.cues(&turns)?;
        self.out.close(ending)
    }
}

/// `hh:mm:ss.mmm`, hours as many as it takes.
fn cue_time(at: Pts) -> String {
    let ms = (at.ns().max(0) + 500_000) / 1_000_000;
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cue_times_have_three_parts_and_milliseconds() {
        assert_eq!(cue_time(Pts::from_seconds(-0.003)), "00:00:00.000");
        assert_eq!(cue_time(Pts::from_ns(1_999_999_999)), "00:00:02.000");
        assert_eq!(cue_time(Pts::from_seconds(3_725.042)), "01:02:05.042");
        assert_eq!(cue_time(Pts::from_seconds(360_000.0)), "100:00:00.000");
    }
}
