//! The floor: a debounced state beside the raw decisions, held by one person at most.
//!
//! Takes, for every frame, the visible faces, whether each is speaking, and its score. Gives the
//! track that has the floor. A person gets the floor after speaking for the on-delay, so that a
//! cough does not take it; keeps it through pauses shorter than the hold; and keeps it at least
//! for the minimum dwell. While several people speak, the holder keeps it.
//!
//! The same frames give the same results; only media time counts. The floor is released at once
//! when its holder leaves the frame and when a new epoch begins. A holder without a known verdict
//! counts as pausing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::evidence::TrackId;
use crate::core::time::{Epoch, FrameRef, Pts, Span};

/// When the floor changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloorRules {
    /// Seconds of unbroken speech needed to get the floor.
    pub on_delay_seconds: f64,
    /// Seconds of silence through which the floor is kept.
    pub hold_seconds: f64,
    /// Minimum time in seconds that the floor is kept.
    pub min_dwell_seconds: f64,
}

impl Default for FloorRules {
    /// 0.3 s is longer than most coughs and "mhm"s; 0.5 s is longer than most pauses inside a
    /// sentence; 1 s is what a viewer needs to notice a change.
    fn default() -> Self {
        Self { on_delay_seconds: 0.3, hold_seconds: 0.5, min_dwell_seconds: 1.0 }
    }
}

/// One face in a frame, as input to the floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FloorFace {
    /// The face's track.
    pub track: TrackId,
    /// Whether the person is known to be speaking.
    pub speaking: bool,
    /// The smoothed score: of two candidates in the same frame, the higher one gets the floor.
    pub smoothed: f32,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    track: TrackId,
    since: Pts,
    last_spoke: Pts,
}

/// Tracks which person has the floor.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    on_delay: Span,
    hold: Span,
    min_dwell: Span,
    epoch: Option<Epoch>,
    /// Start of speech of each track that is speaking.
    speaking_since: BTreeMap<TrackId, Pts>,
    holder: Option<Holder>,
}

impl Floor {
    /// Creates a floor without a holder.
    pub(crate) fn new(rules: FloorRules) -> Self {
        Self {
            on_delay: Span::from_seconds(rules.on_delay_seconds),
            hold: Span::from_seconds(rules.hold_seconds),
            min_dwell: Span::from_seconds(rules.min_dwell_seconds),
            epoch: None,
            speaking_since: BTreeMap::new(),
            holder: None,
        }
    }

    /// Updates the floor by the next frame with its `faces`; returns the holder.
    pub(crate) fn update(&mut self, frame: FrameRef, faces: &[FloorFace]) -> Option<TrackId> {
        if self.epoch != Some(frame.epoch) {
            self.epoch = Some(frame.epoch);
            self.speaking_since.clear();
            self.holder = None;
        }
        let now = frame.pts;
        let find = |track| faces.iter().find(|f| f.track == track);
        self.speaking_since.retain(|track, _| find(*track).is_some_and(|f| f.speaking));
        for face in faces.iter().filter(|f| f.speaking) {
            self.speaking_since.entry(face.track).or_insert(now);
        }
        if let Some(mut holder) = self.holder.take() {
            let face = find(holder.track);
            if face.is_some_and(|f| f.speaking) {
                holder.last_spoke = now;
            }
            let paused = now - holder.last_spoke < self.hold;
            let young = now - holder.since < self.min_dwell;
            if face.is_some() && (paused || young) {
                self.holder = Some(holder);
            }
        }
        if self.holder.is_none() {
            self.holder = self.best_candidate(now, faces);
        }
        self.holder.map(|h| h.track)
    }

    /// Of the tracks that have been speaking for the on-delay, the one with the highest smoothed
    /// score; of equal ones the lowest track number.
    fn best_candidate(&self, now: Pts, faces: &[FloorFace]) -> Option<Holder> {
        let long_enough = |f: &&FloorFace| {
            self.speaking_since.get(&f.track).is_some_and(|since| now - *since >= self.on_delay)
        };
        let best = faces
            .iter()
            .filter(long_enough)
            .max_by(|a, b| a.smoothed.total_cmp(&b.smoothed).then(b.track.cmp(&a.track)))?;
        Some(Holder { track: best.track, since: now, last_spoke: now })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(n: i64) -> FrameRef {
        FrameRef { epoch: Epoch(0), seq: n as u64, pts: Pts::from_ns(n * 40_000_000) }
    }

    fn face(track: u32, speaking: bool) -> FloorFace {
        FloorFace { track: TrackId(track), speaking, smoothed: if speaking { 0.9 } else { 0.1 } }
    }

    /// Runs two people who speak as `a` and `b` state; gives (track, first frame) per change.
    fn changes(frames: i64, a: impl Fn(i64) -> bool, b: impl Fn(i64) -> bool) -> Vec<(u32, i64)> {
        let mut floor = Floor::new(FloorRules::default());
        let mut out = vec![(0, 0)];
        for n in 0..frames {
            let person = floor.update(frame(n), &[face(1, a(n)), face(2, b(n))]);
            let person = person.map_or(0, |t| t.0);
            if out[out.len() - 1].0 != person {
                out.push((person, n));
            }
        }
        out
    }

    #[test]
    fn the_floor_is_given_after_the_on_delay_and_released_after_the_hold() {
        // Speaks in frames 10..60; 0.3 s after frame 10 is frame 18; 0.5 s after frame 59 is 72.
        let got = changes(100, |n| (10..60).contains(&n), |_| false);
        assert_eq!(got, [(0, 0), (1, 18), (0, 72)]);
    }

    #[test]
    fn a_cough_does_not_take_it_and_a_pause_does_not_lose_it() {
        let got = changes(100, |n| n != 30 && n != 41, |n| (50..57).contains(&n));
        assert_eq!(got, [(0, 0), (1, 8)]);
    }

    #[test]
    fn the_holder_keeps_it_while_another_person_speaks() {
        let got = changes(150, |n| n < 100, |n| n >= 20);
        assert_eq!(got, [(0, 0), (1, 8), (2, 112)]);
    }

    #[test]
    fn the_holder_keeps_it_for_the_minimum_dwell() {
        // Speaks in frames 0..9 only: gets it in frame 8 and keeps it for 1 s instead of 0.5 s.
        assert_eq!(changes(80, |n| n < 9, |_| false), [(0, 0), (1, 8), (0, 33)]);
    }

    #[test]
    fn the_highest_score_gets_it_and_absence_loses_it() {
        let mut floor = Floor::new(FloorRules::default());
        let highest = FloorFace { smoothed: 0.95, ..face(2, true) };
        let mut last = None;
        for n in 0..20 {
            last = floor.update(frame(n), &[face(1, true), highest, face(3, true)]);
        }
        assert_eq!(last, Some(TrackId(2)));
        assert_eq!(floor.update(frame(20), &[face(1, true), face(3, true)]), Some(TrackId(1)));
        let new_epoch = FrameRef { epoch: Epoch(1), ..frame(21) };
        assert_eq!(floor.update(new_epoch, &[face(1, true)]), None);
    }

    proptest! {
        #[test]
        fn the_floor_keeps_its_rules(
            // Each step changes one person at most, to get long periods of speech.
            steps in prop::collection::vec(
                (10..90_i64, prop::option::weighted(0.3, (0..4_usize, 0..3_u8)), 0.0..1.0_f32),
                1..300,
            ),
        ) {
            let rules = FloorRules::default();
            let (mut floor, mut again) = (Floor::new(rules), Floor::new(rules));
            let (mut ms, mut holder, mut since) = (0, None, 0);
            let mut spoke_since: BTreeMap<u32, i64> = BTreeMap::new();
            // 0: absent, 1: silent, 2: speaking.
            let mut people = [1_u8; 4];
            for (gap, change, smoothed) in steps {
                ms += gap;
                if let Some((person, what)) = change {
                    people[person] = what;
                }
                let by_track: BTreeMap<u32, FloorFace> = (1..)
                    .zip(people)
                    .filter(|(_, what)| *what > 0)
                    .map(|(t, what)| (t, FloorFace { smoothed, ..face(t, what == 2) }))
                    .collect();
                let faces: Vec<FloorFace> = by_track.values().copied().collect();
                let at = FrameRef { pts: Pts::from_ns(ms * 1_000_000), ..frame(0) };
                let now = floor.update(at, &faces);
                prop_assert_eq!(now, again.update(at, &faces));
                spoke_since.retain(|t, _| by_track.get(t).is_some_and(|f| f.speaking));
                for f in faces.iter().filter(|f| f.speaking) {
                    spoke_since.entry(f.track.0).or_insert(ms);
                }
                if let Some(track) = now {
                    // The holder is in the frame.
                    prop_assert!(by_track.contains_key(&track.0));
                }
                if now != holder {
                    if let Some(TrackId(track)) = now {
                        // The new holder has been speaking for the on-delay without a break.
                        prop_assert!(ms - spoke_since[&track] >= 300);
                    }
                    if let Some(TrackId(before)) = holder && let Some(face) = by_track.get(&before) {
                        // A holder loses it neither while present and speaking nor too early.
                        prop_assert!(!face.speaking && ms - since >= 1000);
                    }
                    (holder, since) = (now, ms);
                }
            }
        }
    }
}
