//! Faces compete: what the others on screen score counts for or against a face.
//!
//! Takes the verdicts of every track as the head gives them; gives them on once every other track
//! that is on screen at that tick has been judged there too, with the score that the package's
//! competition makes of the face's own logits and of its best rival's. All tracks are judged up
//! to the same ticks, so nothing waits longer than the slowest face takes anyway.
//!
//! A face without a rival keeps its score, and so does every face of a package without
//! competition: then nothing is held at all. Tracks of two epochs are never rivals.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use smallvec::SmallVec;

use super::head_runner::TickVerdict;
use super::model::{CrossFaceJob, InferenceError, SpeakerModel};
use super::scorer::TrackUpdate;
use crate::core::evidence::{Probability, TrackId, Unknown};
use crate::core::time::{Epoch, Tick};

/// A face's logit at a tick, and its best rival's.
#[derive(Clone, Copy, Debug)]
struct TickLogits {
    z: f32,
    rival: Option<f32>,
}

/// For each epoch that has open tracks, up to which tick all of them have been judged.
pub type ScoredUntil = SmallVec<[(Epoch, Tick); 2]>;

/// One track's verdicts that wait for those of others.
struct PendingTrack {
    epoch: Epoch,
    /// The last ticks that were let go, without a hole.
    past: VecDeque<TickLogits>,
    pending: VecDeque<TickVerdict>,
    complete: bool,
}

/// Every track of a stream, between the head and the decision.
#[derive(Default)]
pub struct CrossFace {
    tracks: BTreeMap<TrackId, PendingTrack>,
}

impl CrossFace {
    /// Takes a track's next verdicts; `complete` says that they were the last.
    pub fn push(
        &mut self,
        (track, epoch): (TrackId, Epoch),
        verdicts: Vec<TickVerdict>,
        complete: bool,
    ) {
        let waiting = self.tracks.entry(track).or_insert_with(|| PendingTrack {
            epoch,
            past: VecDeque::new(),
            pending: VecDeque::new(),
            complete: false,
        });
        waiting.pending.extend(verdicts);
        waiting.complete |= complete;
    }

    /// Lets go what no later verdict can change. `scored_until` says, for each epoch that has open
    /// tracks, up to which tick all of them have been judged.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(
        &mut self,
        model: &mut dyn SpeakerModel,
        scored_until: &ScoredUntil,
    ) -> Result<Vec<TrackUpdate>, InferenceError> {
        let past_ticks = model.shape().cross_face_past_ticks;
        let until = |epoch| {
            scored_until.iter().find(|(scored_until, _)| *scored_until == epoch).map(|(_, t)| *t)
        };
        let held = |w: &PendingTrack| until(w.epoch).filter(|_| past_ticks.is_some());
        let best = past_ticks.map(|_| TopLogits::of(self.tracks.values())).unwrap_or_default();
        let mut updates = Vec::new();
        let (mut jobs, mut places) = (Vec::new(), Vec::new());
        for (&track, waiting) in &mut self.tracks {
            let until = held(waiting);
            let ready = waiting.pending.iter().take_while(|v| until.is_none_or(|u| v.tick < u));
            let ready = ready.count();
            let verdicts: Vec<TickVerdict> = waiting.pending.drain(..ready).collect();
            if let Some(past_ticks) = past_ticks {
                for segment in waiting.segment_jobs(&verdicts, &best, past_ticks) {
                    jobs.push(segment.job);
                    places.push((updates.len(), segment.skip, segment.over));
                }
            }
            let complete = waiting.complete && waiting.pending.is_empty();
            if complete || !verdicts.is_empty() {
                updates.push(TrackUpdate { track, verdicts, complete });
            }
        }
        self.tracks.retain(|_, w| !(w.complete && w.pending.is_empty()));
        if !jobs.is_empty() {
            for ((at, skip, over), after) in places.into_iter().zip(model.run_cross_faces(jobs)?) {
                let verdicts = updates.get_mut(at).map_or(&mut [][..], |n| &mut n.verdicts[over]);
                for (verdict, z) in verdicts.iter_mut().zip(after.iter().skip(skip)) {
                    verdict.p = Probability::from_logits(0.0, *z).ok_or(Unknown::NotScored);
                }
            }
        }
        Ok(updates)
    }
}

/// A stretch of one track's verdicts that competes.
struct SegmentJob {
    job: CrossFaceJob,
    /// Ticks of the job before the stretch.
    skip: usize,
    /// Which of the verdicts it is.
    over: Range<usize>,
}

impl PendingTrack {
    /// What competes of `verdicts`, stretch by stretch without a hole.
    fn segment_jobs(
        &mut self,
        verdicts: &[TickVerdict],
        best: &TopLogits,
        past_ticks: usize,
    ) -> Vec<SegmentJob> {
        let (mut segment_jobs, mut from) = (Vec::new(), 0);
        for stretch in verdicts.chunk_by(|a, b| a.z.is_some() == b.z.is_some()) {
            let over = from..from + stretch.len();
            from = over.end;
            let seen: Vec<TickLogits> = stretch
                .iter()
                .filter_map(|v| Some(TickLogits { z: v.z?, rival: best.best_other(self.epoch, v) }))
                .collect();
            if seen.is_empty() {
                self.past.clear();
                continue;
            }
            if seen.iter().any(|s| s.rival.is_some()) {
                let all: Vec<TickLogits> = self.past.iter().chain(&seen).copied().collect();
                let job = CrossFaceJob {
                    score: all.iter().map(|s| s.z).collect(),
                    rival: all.iter().map(|s| s.rival.unwrap_or(0.0)).collect(),
                    present: all.iter().map(|s| f32::from(s.rival.is_some())).collect(),
                };
                segment_jobs.push(SegmentJob { job, skip: self.past.len(), over });
            }
            self.past.extend(seen);
            while self.past.len() > past_ticks {
                self.past.pop_front();
            }
        }
        segment_jobs
    }
}

/// The two largest logits at every tick, and whose: enough to know everyone's best rival.
#[derive(Default)]
struct TopLogits(BTreeMap<(Epoch, Tick), (f32, Option<f32>)>);

impl TopLogits {
    fn of<'a>(tracks: impl Iterator<Item = &'a PendingTrack>) -> Self {
        let mut best = BTreeMap::new();
        for waiting in tracks {
            for (tick, z) in waiting.pending.iter().filter_map(|v| Some((v.tick, v.z?))) {
                let entry = best.entry((waiting.epoch, tick));
                let two = entry.or_insert((f32::NEG_INFINITY, None));
                *two = match *two {
                    (f32::NEG_INFINITY, None) => (z, None),
                    (first, _) if z > first => (z, Some(first)),
                    (first, second) => (first, Some(second.map_or(z, |s| s.max(z)))),
                };
            }
        }
        Self(best)
    }

    /// The best of the others where `verdict`'s face is one of them.
    fn best_other(&self, epoch: Epoch, verdict: &TickVerdict) -> Option<f32> {
        let (first, second) = *self.0.get(&(epoch, verdict.tick))?;
        if verdict.z.is_some_and(|z| z < first) { Some(first) } else { second }
    }
}

#[cfg(test)]
#[path = "cross_face_tests.rs"]
mod tests;
