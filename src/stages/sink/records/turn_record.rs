//! A record with one text block per turn: what RTTM and WebVTT share.
//!
//! [`TurnRecord`] collects the turns of [`super::turns`] and writes the file. A [`TurnFormat`] only
//! turns one turn into text.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::core::evidence::FrameEvidence;

use super::event::Event;
use super::turns::{Turn, TurnCollector};
use super::{Ending, Record, RecordContext, RecordError, RecordFile};

/// The text format of a record of turns.
pub(crate) trait TurnFormat: Send {
    /// The format for one run.
    fn new(context: &RecordContext) -> Self;

    /// What the file begins with.
    fn header(&self) -> &'static str {
        ""
    }

    /// The text of one turn; `None` if the format cannot hold it. Turns come sorted by start.
    fn turn(&mut self, turn: &Turn) -> Option<String>;

    /// What the file ends with: a whole document where a format must know all turns to begin.
    fn footer(&mut self) -> String {
        String::new()
    }
}

/// Writes turns as `F`.
pub(crate) struct TurnRecord<F> {
    out: RecordFile,
    turns: TurnCollector,
    format: F,
}

impl<F: TurnFormat> TurnRecord<F> {
    /// Starts the record with the later name `path`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(crate) fn create(path: &Path, context: &RecordContext) -> Result<Self, RecordError> {
        let (out, format) = (RecordFile::create(path)?, F::new(context));
        let mut record = Self { out, turns: TurnCollector::new(context.turns), format };
        record.write_text(record.format.header())?;
        Ok(record)
    }

    fn write_turns(&mut self, turns: &[Turn]) -> Result<(), RecordError> {
        for turn in turns {
            if let Some(text) = self.format.turn(turn) {
                self.write_text(&text)?;
            }
        }
        Ok(())
    }

    fn write_text(&mut self, text: &str) -> Result<(), RecordError> {
        let outcome = self.out.0.write_all(text.as_bytes());
        self.out.check(outcome)
    }
}

impl<F: TurnFormat> Record for TurnRecord<F> {
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        let turns = self.turns.push(evidence);
        self.write_turns(&turns)
    }

    fn event(&mut self, _event: &Event) -> Result<(), RecordError> {
        Ok(())
    }

    fn close(mut self: Box<Self>, ending: Ending) -> Result<PathBuf, RecordError> {
        let turns = self.turns.finish();
        self.write_turns(&turns)?;
        let footer = self.format.footer();
        self.write_text(&footer)?;
        self.out.close(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FrameSize;
    use super::super::fixtures::{evidence, scored};
    use super::super::turns::TurnRules;
    use super::*;

    /// Numbered blocks, as SubRip has them; a turn of person 2 cannot be written.
    struct Numbered(u32);

    impl TurnFormat for Numbered {
        fn new(_: &RecordContext) -> Self {
            Self(0)
        }

        fn header(&self) -> &'static str {
            "begin\n"
        }

        fn turn(&mut self, turn: &Turn) -> Option<String> {
            self.0 += 1;
            (turn.track.0 != 2).then(|| format!("{} {}\n", self.0, turn.track))
        }

        fn footer(&mut self) -> String {
            format!("{} turns\n", self.0)
        }
    }

    #[test]
    fn a_format_gets_the_turns_in_order_and_may_leave_one_out() {
        let dir = tempfile::tempdir().expect("temp");
        let context = RecordContext {
            stream: "file".to_owned(),
            video_id: "talk".to_owned(),
            frame_size: FrameSize { width: 320, height: 200 },
            turns: TurnRules::default(),
        };
        let path = dir.path().join("a.txt");
        let mut record = Box::new(TurnRecord::<Numbered>::create(&path, &context).expect("create"));
        for n in 0..30 {
            let speaker = u32::try_from(n / 10 + 1).expect("small");
            record.write(&evidence(n, vec![scored(speaker, 0.9, true)])).expect("write");
        }
        record.finish().expect("finish");
        assert_eq!(std::fs::read_to_string(path).expect("read"), "begin\n1 1\n3 3\n3 turns\n");
    }
}
