//! Speaker turns: runs of speaking frames, per person.
//!
//! Takes the evidence of every frame. Returns turns sorted by start, each as soon as no earlier
//! turn can follow. Pauses shorter than `merge_gap` do not end a turn. Turns shorter than
//! `min_duration` are dropped. Turns of different people may overlap.
//!
//! A turn here is speech. The floor, which at most one person has, is in `FrameEvidence::floor`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::evidence::{FrameEvidence, TrackId};
use crate::core::time::{Pts, Span};

use super::clock::RunClock;

/// The rules for turns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnRules {
    /// Pauses shorter than this do not end a turn, in seconds.
    pub merge_gap_seconds: f64,
    /// Turns shorter than this are dropped, in seconds.
    pub min_duration_seconds: f64,
}

impl Default for TurnRules {
    /// 0.2 s is shorter than most pauses between two speakers. No spoken word is shorter than 0.1
    /// s.
    fn default() -> Self {
        Self { merge_gap_seconds: 0.2, min_duration_seconds: 0.1 }
    }
}

/// One person's speech without a long pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// The speaker.
    pub track: TrackId,
    /// Start on the run's clock; never negative.
    pub start: Pts,
    /// End on the run's clock.
    pub end: Pts,
}

/// Collects turns from frames.
#[derive(Debug)]
pub struct TurnCollector {
    merge_gap: Span,
    min_duration: Span,
    clock: RunClock,
    /// The frame before: its time and its speakers.
    previous: Option<(Pts, Vec<TrackId>)>,
    open: BTreeMap<TrackId, Turn>,
    /// Closed turns that wait for an open turn with an earlier start.
    closed: Vec<Turn>,
}

impl TurnCollector {
    /// A collector without turns.
    pub fn new(rules: TurnRules) -> Self {
        Self {
            merge_gap: Span::from_seconds(rules.merge_gap_seconds),
            min_duration: Span::from_seconds(rules.min_duration_seconds),
            clock: RunClock::default(),
            previous: None,
            open: BTreeMap::new(),
            closed: Vec::new(),
        }
    }

    /// Takes the next frame. Returns the turns that are final now.
    pub fn push(&mut self, evidence: &FrameEvidence) -> Vec<Turn> {
        let timing = self.clock.next(evidence.frame);
        self.extend(timing.previous_duration.unwrap_or_default());
        let speaking = evidence.faces.iter().filter(|f| f.verdict.speaking()).map(|f| f.track);
        self.previous = Some((timing.at, speaking.collect()));
        let over = |t: &Turn| timing.at - t.end >= self.merge_gap;
        let closed: Vec<Turn> = self.open.values().filter(|t| over(t)).copied().collect();
        for turn in closed {
            self.open.remove(&turn.track);
            self.close(turn);
        }
        let earliest = self.open.values().map(|t| t.start).min();
        self.take_closed(earliest)
    }

    /// Ends the run. Returns the remaining turns.
    pub fn finish(&mut self) -> Vec<Turn> {
        self.extend(self.clock.last_duration());
        self.previous = None;
        for turn in std::mem::take(&mut self.open).into_values() {
            self.close(turn);
        }
        self.take_closed(None)
    }

    /// Extends the turns of the previous frame's speakers by its duration.
    fn extend(&mut self, duration: Span) {
        let Some((at, speaking)) = self.previous.take() else {
            return;
        };
        let end = at + duration;
        for track in speaking {
            let continued = self.open.get(&track).filter(|t| at - t.end < self.merge_gap).copied();
            match continued {
                Some(turn) => {
                    self.open.insert(track, Turn { end, ..turn });
                }
                None => {
                    let start = at.max(Pts::ZERO);
                    if let Some(before) = self.open.insert(track, Turn { track, start, end }) {
                        self.close(before);
                    }
                }
            }
        }
    }

    fn close(&mut self, turn: Turn) {
        if turn.end > turn.start && turn.end - turn.start >= self.min_duration {
            self.closed.push(turn);
        }
    }

    /// The closed turns that start before `earliest`, sorted.
    fn take_closed(&mut self, earliest: Option<Pts>) -> Vec<Turn> {
        let is_final = |t: &mut Turn| earliest.is_none_or(|e| t.start < e);
        let mut out: Vec<Turn> = self.closed.extract_if(.., is_final).collect();
        out.sort_by_key(|t| (t.start, t.track));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{evidence, scored};
    use super::*;

    fn turns_of(rules: TurnRules, speaking: &[&[u32]]) -> Vec<(u32, i64, i64)> {
        let mut turns = TurnCollector::new(rules);
        let mut out = Vec::new();
        for (n, speakers) in speaking.iter().enumerate() {
            let faces = (1..=3).map(|t| scored(t, 0.5, speakers.contains(&t))).collect();
            out.extend(turns.push(&evidence(n as u64, faces)));
        }
        out.extend(turns.finish());
        assert!(out.is_sorted_by_key(|t| t.start));
        out.iter().map(|t| (t.track.0, t.start.ns() / 1_000_000, t.end.ns() / 1_000_000)).collect()
    }

    #[test]
    fn short_pauses_are_bridged_and_long_ones_are_not() {
        let mut frames: Vec<&[u32]> = vec![&[1]; 5];
        frames.extend(vec![&[][..]; 4]); // 160 ms
        frames.extend(vec![&[1][..]; 5]);
        frames.extend(vec![&[][..]; 5]); // 200 ms
        frames.extend(vec![&[1][..]; 5]);
        let got = turns_of(TurnRules::default(), &frames);
        assert_eq!(got, [(1, 0, 560), (1, 760, 960)]);
    }

    #[test]
    fn a_short_flicker_is_not_a_turn() {
        let rules = TurnRules::default();
        assert_eq!(turns_of(rules, &[&[], &[2], &[2], &[], &[]]), []);
        assert_eq!(turns_of(rules, &[&[], &[2], &[2], &[2], &[]]), [(2, 40, 160)]);
        let all = TurnRules { min_duration_seconds: 0.0, ..rules };
        assert_eq!(turns_of(all, &[&[], &[2], &[], &[], &[]]), [(2, 40, 80)]);
    }

    #[test]
    fn turns_are_sorted_by_start_even_if_the_first_is_the_longest() {
        let mut frames: Vec<&[u32]> = vec![&[3]; 2];
        frames.extend(vec![&[1, 3][..]; 5]);
        frames.extend(vec![&[3][..]; 10]);
        frames.extend(vec![&[2, 3][..]; 5]);
        let got = turns_of(TurnRules::default(), &frames);
        assert_eq!(got, [(3, 0, 880), (1, 80, 280), (2, 680, 880)]);
    }
}
