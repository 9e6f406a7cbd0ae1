//! WebVTT: one cue per turn, for a player to show with the video.
//!
//! A cue is `<v Person N>[speaking]</v>` from the start to the end of the turn. Cues are sorted by
//! start, as the format requires, and overlap where people do. They hold no words: this program
//! does not transcribe.

use crate::core::time::Pts;

use super::RecordContext;
use super::person::Person;
use super::turn_record::{TurnFormat, TurnRecord};
use super::turns::Turn;

/// The WebVTT record.
pub(crate) type Vtt = TurnRecord<VttFormat>;

/// The cues of a WebVTT file.
pub(crate) struct VttFormat;

impl TurnFormat for VttFormat {
    fn new(_context: &RecordContext) -> Self {
        Self
    }

    fn header(&self) -> &'static str {
        "WEBVTT\n"
    }

    fn turn(&mut self, turn: &Turn) -> Option<String> {
        let (start, end) = (cue_time(turn.start), cue_time(turn.end));
        let speaker = Person(turn.track);
        // A cue must end after it starts, in whole milliseconds.
        (start != end).then(|| format!("\n{start} --> {end}\n<v {speaker}>[speaking]</v>\n"))
    }
}

/// `hh:mm:ss.mmm`; the hours may have more digits.
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
