//! The summary of a run: speaking time per person, and what was degraded.
//!
//! Takes the evidence of every frame. Computes per person the speaking time (the duration of frames
//! in which they speak), the share, the turns (how often they got the floor), and the time with a
//! face but no score; and the overlap. `--json` prints a [`Summary`], and the table at the end
//! shows it.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::core::evidence::{FrameEvidence, TrackId, Verdict};
use crate::core::time::Span;

use super::clock::RunClock;
use super::person::Person;

/// Maximum number of people in the table; the others share a line.
const TABLE_ROWS: usize = 20;

/// The summary of one person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonSummary {
    /// The person's label.
    pub person: String,
    /// The person's track.
    pub track: u32,
    /// Speaking time in seconds.
    pub talk_seconds: f64,
    /// Share of the speaking time of all people, 0..=1; 0 if nobody speaks.
    pub share: f64,
    /// How often this person got the floor.
    pub turns: u32,
    /// Seconds in which the face is visible.
    pub seen_seconds: f64,
    /// Seconds in which the face is visible but has no score.
    pub unknown_seconds: f64,
}

/// The summary of a run. Field names are part of `locutor.event/1`.
#[derive(Clone, Debug, PartialEq, Serialize, Default)]
pub struct Summary {
    /// Number of source frames.
    pub frames: u64,
    /// Seconds of video.
    pub seconds: f64,
    /// All people, by track.
    pub people: Vec<PersonSummary>,
    /// Seconds in which at least one person speaks.
    pub speech_seconds: f64,
    /// Seconds in which two or more speak at once.
    pub overlap_seconds: f64,
    /// How often somebody got the floor.
    pub turns: u32,
    /// What could not be done as requested, as readable messages.
    pub degraded: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PersonTotals {
    talk_ns: i64,
    seen_ns: i64,
    unknown_ns: i64,
    turns: u32,
}

/// Builds a [`Summary`], frame by frame.
#[derive(Debug, Default)]
pub(crate) struct SummaryBuilder {
    clock: RunClock,
    frames: u64,
    total_ns: i64,
    speech_ns: i64,
    overlap_ns: i64,
    turns: u32,
    people: BTreeMap<TrackId, PersonTotals>,
    floor: Option<TrackId>,
    /// The frame before; it is counted when its duration is known.
    previous: Vec<(TrackId, Verdict)>,
    degraded: Vec<String>,
}

impl SummaryBuilder {
    /// An empty summary.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the next frame.
    pub(crate) fn push(&mut self, evidence: &FrameEvidence) {
        if let Some(duration) = self.clock.next(evidence.frame).previous_duration {
            self.add_previous(duration);
        }
        self.frames += 1;
        self.previous.clear();
        self.previous.extend(evidence.faces.iter().map(|f| (f.track, f.verdict)));
        if evidence.floor != self.floor {
            self.floor = evidence.floor;
            if let Some(track) = evidence.floor {
                self.turns += 1;
                self.people.entry(track).or_default().turns += 1;
            }
        }
    }

    /// Records that something could not be done as requested; equal messages are kept once.
    pub(crate) fn degraded(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.degraded.contains(&what) {
            self.degraded.push(what);
        }
    }

    /// The summary of the run, which ends here.
    pub(crate) fn finish(mut self) -> Summary {
        if self.frames > 0 {
            self.add_previous(self.clock.last_duration());
        }
        let talk: f64 = self.people.values().map(|t| seconds(t.talk_ns)).sum();
        let people = self.people.iter().map(|(track, t)| PersonSummary {
            person: Person(*track).to_string(),
            track: track.0,
            talk_seconds: seconds(t.talk_ns),
            share: if talk > 0.0 { seconds(t.talk_ns) / talk } else { 0.0 },
            turns: t.turns,
            seen_seconds: seconds(t.seen_ns),
            unknown_seconds: seconds(t.unknown_ns),
        });
        Summary {
            frames: self.frames,
            seconds: seconds(self.total_ns),
            people: people.collect(),
            speech_seconds: seconds(self.speech_ns),
            overlap_seconds: seconds(self.overlap_ns),
            turns: self.turns,
            degraded: self.degraded,
        }
    }

    /// Adds the previous frame with its duration.
    fn add_previous(&mut self, duration: Span) {
        let lasted_ns = duration.ns();
        self.total_ns += lasted_ns;
        let mut speaking = 0;
        for (track, verdict) in &self.previous {
            let times = self.people.entry(*track).or_default();
            times.seen_ns += lasted_ns;
            match verdict {
                Verdict::Scored { speaking: true, .. } => {
                    times.talk_ns += lasted_ns;
                    speaking += 1;
                }
                Verdict::Scored { .. } => {}
                Verdict::Unknown(_) => times.unknown_ns += lasted_ns,
            }
        }
        if speaking > 0 {
            self.speech_ns += lasted_ns;
        }
        if speaking > 1 {
            self.overlap_ns += lasted_ns;
        }
    }
}

impl Summary {
    /// The summary as a table, longest speaking time first, and what was degraded.
    pub fn to_table(&self) -> String {
        let mut people: Vec<&PersonSummary> = self.people.iter().collect();
        people
            .sort_by(|a, b| b.talk_seconds.total_cmp(&a.talk_seconds).then(a.track.cmp(&b.track)));
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["person", "talk", "share", "turns", "seen", "unknown"]);
        for p in people.iter().take(TABLE_ROWS) {
            table.add_row([
                p.person.clone(),
                clock_time(p.talk_seconds),
                format!("{:.0} %", p.share * 100.0),
                p.turns.to_string(),
                clock_time(p.seen_seconds),
                clock_time(p.unknown_seconds),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text =
            if people.is_empty() { "no faces seen".to_owned() } else { table.trim_fmt() };
        if let Some(rest) = people.get(TABLE_ROWS..).filter(|r| !r.is_empty()) {
            let talk: f64 = rest.iter().map(|p| p.talk_seconds).sum();
            text += &format!("\nand {} more, who talk for {}", rest.len(), clock_time(talk));
        }
        text += &format!(
            "\nspeech {} of {}, overlap {}",
            clock_time(self.speech_seconds),
            clock_time(self.seconds),
            clock_time(self.overlap_seconds)
        );
        for what in &self.degraded {
            text += &format!("\ndegraded: {what}");
        }
        text
    }
}

fn seconds(ns: i64) -> f64 {
    Span::from_ns(ns).seconds()
}

/// `1:02:05.0`, `2:05.0` or `5.0 s`.
fn clock_time(seconds: f64) -> String {
    let tenths = (seconds.max(0.0) * 10.0).round() as u64;
    let (s, tenth) = (tenths / 10, tenths % 10);
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}.{tenth} s"),
        (0, m, s) => format!("{m}:{s:02}.{tenth}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}.{tenth}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{evidence, scored, unknown};
    use super::*;

    fn run() -> Summary {
        let mut builder = SummaryBuilder::new();
        for n in 0..100 {
            let faces =
                vec![scored(1, 0.9, n < 50), scored(2, 0.4, (40..60).contains(&n)), unknown(3)];
            let mut e = evidence(n, faces);
            e.floor = match n {
                5..50 => Some(TrackId(1)),
                50..60 => Some(TrackId(2)),
                70..80 => Some(TrackId(1)),
                _ => None,
            };
            builder.push(&e);
        }
        builder.degraded("heatmaps at half rate");
        builder.degraded("heatmaps at half rate");
        builder.finish()
    }

    #[test]
    fn talk_time_is_the_time_that_speaking_frames_are_shown() {
        let s = run();
        assert_eq!((s.frames, s.seconds), (100, 4.0));
        let talk: Vec<f64> = s.people.iter().map(|p| p.talk_seconds).collect();
        assert_eq!(talk, [2.0, 0.8, 0.0]);
        assert_eq!(s.people.iter().map(|p| p.turns).collect::<Vec<_>>(), [2, 1, 0]);
        assert!((s.people[0].share - 2.0 / 2.8).abs() < 1e-9);
        assert_eq!((s.speech_seconds, s.overlap_seconds, s.turns), (2.4, 0.4, 3));
        assert_eq!((s.people[2].unknown_seconds, s.people[1].unknown_seconds), (4.0, 0.0));
        assert_eq!(s.degraded.len(), 1);
    }

    #[test]
    fn the_table_names_everyone_and_what_was_degraded() {
        let text = run().to_table();
        for want in ["Person 1", "71 %", "Person 3", "overlap 0.4 s", "degraded: heatmaps"] {
            assert!(text.contains(want), "{want} is missing:\n{text}");
        }
        let crowd = Summary { people: vec![run().people[0].clone(); 30], ..run() };
        assert!(crowd.to_table().contains("and 10 more"));
        assert!(SummaryBuilder::new().finish().to_table().contains("no faces"));
        assert_eq!(clock_time(3725.04), "1:02:05.0");
        assert_eq!(clock_time(59.96), "1:00.0");
    }
}
