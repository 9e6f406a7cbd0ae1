//! RTTM, the format in which diarization is scored: one `SPEAKER` line per turn.
//!
//! A line is `SPEAKER FILE 1 ONSET DURATION <NA> <NA> Person_N <NA> <NA>`, with seconds to the
//! millisecond, sorted by onset. The format has no quotes and no escapes, so white space in the
//! file's name becomes `_`. RTTM cannot express "unknown": unscored speech is left out.

use super::RecordContext;
use super::person::Person;
use super::turn_record::{TurnFormat, TurnRecord};
use super::turns::Turn;

/// The RTTM record.
pub(crate) type Rttm = TurnRecord<RttmFormat>;

/// The lines of an RTTM file.
pub(crate) struct RttmFormat {
    file: String,
}

impl TurnFormat for RttmFormat {
    fn new(context: &RecordContext) -> Self {
        Self { file: one_word(&context.video_id) }
    }

    fn turn(&mut self, turn: &Turn) -> Option<String> {
        let (onset, duration) = (turn.start.seconds(), (turn.end - turn.start).seconds());
        let (file, speaker) = (&self.file, one_word(&Person(turn.track).to_string()));
        Some(format!("SPEAKER {file} 1 {onset:.3} {duration:.3} <NA> <NA> {speaker} <NA> <NA>\n"))
    }
}

/// A name without white space; never empty.
fn one_word(name: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let word: String = name.chars().map(|c| if blank(c) { '_' } else { c }).collect();
    if word.is_empty() { "_".to_owned() } else { word }
}
