//! Cross-face rescoring: the scores of the other faces on screen change a face's score.
//!
//! Takes the head's verdicts on every track. Holds a verdict until every other track on screen at
//! that tick has been scored too; then rescores it with the package's cross-face graph from the
//! face's own logit and the largest logit of the others. All tracks are scored up to the same
//! ticks, so no verdict waits longer than for the slowest face.
//!
//! A single face keeps its score. Without a cross-face graph all faces keep their scores and no
//! verdict is held. Tracks of different epochs do not affect each other.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use smallvec::SmallVec;

use super::head_runner::TickVerdict;
use crate::core::evidence::{Probability, TrackId, Unknown};
use crate::core::time::{Epoch, Tick};
use crate::models::speaker_model::{CrossFaceJob, InferenceError, SpeakerModel};

/// A face's logit at a tick, and the largest logit of the other faces.
#[derive(Clone, Copy, Debug)]
struct TickLogits {
    z: f32,
    rival: Option<f32>,
}

/// For each epoch with open tracks, the tick up to which all of them have been scored.
pub(crate) type ScoredUntil = SmallVec<[(Epoch, Tick); 2]>;

/// New verdicts of one track.
#[derive(Debug)]
pub struct TrackUpdate {
    /// The track.
    pub track: TrackId,
    /// New verdicts, in order of time, contiguous.
    pub verdicts: Vec<TickVerdict>,
    /// Whether these were the last.
    pub complete: bool,
}

/// One track's verdicts that wait for those of other tracks.
struct PendingTrack {
    epoch: Epoch,
    /// The last released ticks, contiguous.
    past: VecDeque<TickLogits>,
    pending: VecDeque<TickVerdict>,
    complete: bool,
}

/// Cross-face state of all tracks of a stream, between the head and the decision.
#[derive(Default)]
pub(crate) struct CrossFace {
    tracks: BTreeMap<TrackId, PendingTrack>,
}

impl CrossFace {
    /// Pushes a track's next verdicts; `complete`: these are the last.
    pub(crate) fn push(
        &mut self,
        (track, epoch): (TrackId, Epoch),
        verdicts: Vec<TickVerdict>,
        complete: bool,
    ) {
        let pending_track = self.tracks.entry(track).or_insert_with(|| PendingTrack {
            epoch,
            past: VecDeque::new(),
            pending: VecDeque::new(),
            complete: false,
        });
        pending_track.pending.extend(verdicts);
        pending_track.complete |= complete;
    }

    /// Releases verdicts that no later verdict can change. `scored_until`: for each epoch with open
    /// tracks, the tick up to which all of them have been scored.
    ///
    /// # Errors
    /// Where the model fails.
    pub(crate) fn advance(
        &mut self,
        model: &mut dyn SpeakerModel,
        scored_until: &ScoredUntil,
    ) -> Result<Vec<TrackUpdate>, InferenceError> {
        let past_ticks = model.shape().cross_face_past_ticks;
        let until = |epoch| {
            scored_until.iter().find(|(scored_until, _)| *scored_until == epoch).map(|(_, t)| *t)
        };
        let held_until = |w: &PendingTrack| until(w.epoch).filter(|_| past_ticks.is_some());
        let top = past_ticks.map(|_| TopLogits::of(self.tracks.values())).unwrap_or_default();
        let mut updates = Vec::new();
        let (mut jobs, mut targets) = (Vec::new(), Vec::new());
        for (&track, pending_track) in &mut self.tracks {
            let until = held_until(pending_track);
            let ready =
                pending_track.pending.iter().take_while(|v| until.is_none_or(|u| v.tick < u));
            let ready = ready.count();
            let verdicts: Vec<TickVerdict> = pending_track.pending.drain(..ready).collect();
            if let Some(past_ticks) = past_ticks {
                for segment in pending_track.segment_jobs(&verdicts, &top, past_ticks) {
                    jobs.push(segment.job);
                    targets.push((updates.len(), segment.skip, segment.over));
                }
            }
            let complete = pending_track.complete && pending_track.pending.is_empty();
            if complete || !verdicts.is_empty() {
                updates.push(TrackUpdate { track, verdicts, complete });
            }
        }
        self.tracks.retain(|_, w| !(w.complete && w.pending.is_empty()));
        if !jobs.is_empty() {
            for ((at, skip, over), rescored) in
                targets.into_iter().zip(model.run_cross_faces(jobs)?)
            {
                let verdicts = updates.get_mut(at).map_or(&mut [][..], |n| &mut n.verdicts[over]);
                for (verdict, z) in verdicts.iter_mut().zip(rescored.iter().skip(skip)) {
                    verdict.p = Probability::from_logits(0.0, *z).ok_or(Unknown::NotScored);
                }
            }
        }
        Ok(updates)
    }
}

/// A contiguous segment of one track's verdicts to rescore.
struct SegmentJob {
    job: CrossFaceJob,
    /// Ticks of the job before the segment.
    skip: usize,
    /// The segment's range in the verdicts.
    over: Range<usize>,
}

impl PendingTrack {
    /// The jobs to rescore `verdicts`, one per contiguous segment.
    fn segment_jobs(
        &mut self,
        verdicts: &[TickVerdict],
        top: &TopLogits,
        past_ticks: usize,
    ) -> Vec<SegmentJob> {
        let (mut segment_jobs, mut from) = (Vec::new(), 0);
        for segment in verdicts.chunk_by(|a, b| a.z.is_some() == b.z.is_some()) {
            let over = from..from + segment.len();
            from = over.end;
            let logits: Vec<TickLogits> = segment
                .iter()
                .filter_map(|v| Some(TickLogits { z: v.z?, rival: top.best_other(self.epoch, v) }))
                .collect();
            if logits.is_empty() {
                self.past.clear();
                continue;
            }
            if logits.iter().any(|s| s.rival.is_some()) {
                let all: Vec<TickLogits> = self.past.iter().chain(&logits).copied().collect();
                let job = CrossFaceJob {
                    score: all.iter().map(|s| s.z).collect(),
                    rival: all.iter().map(|s| s.rival.unwrap_or(0.0)).collect(),
                    present: all.iter().map(|s| f32::from(s.rival.is_some())).collect(),
                };
                segment_jobs.push(SegmentJob { job, skip: self.past.len(), over });
            }
            self.past.extend(logits);
            while self.past.len() > past_ticks {
                self.past.pop_front();
            }
        }
        segment_jobs
    }
}

/// The two largest logits at every tick: enough to find the largest logit of the others.
#[derive(Default)]
struct TopLogits(BTreeMap<(Epoch, Tick), (f32, Option<f32>)>);

impl TopLogits {
    fn of<'a>(tracks: impl Iterator<Item = &'a PendingTrack>) -> Self {
        let mut top = BTreeMap::new();
        for pending_track in tracks {
            for (tick, z) in pending_track.pending.iter().filter_map(|v| Some((v.tick, v.z?))) {
                let entry = top.entry((pending_track.epoch, tick));
                let two = entry.or_insert((f32::NEG_INFINITY, None));
                *two = match *two {
                    (f32::NEG_INFINITY, None) => (z, None),
                    (first, _) if z > first => (z, Some(first)),
                    (first, second) => (first, Some(second.map_or(z, |s| s.max(z)))),
                };
            }
        }
        Self(top)
    }

    /// The largest logit of the faces other than `verdict`'s.
    fn best_other(&self, epoch: Epoch, verdict: &TickVerdict) -> Option<f32> {
        let (first, second) = *self.0.get(&(epoch, verdict.tick))?;
        if verdict.z.is_some_and(|z| z < first) { Some(first) } else { second }
    }
}

#[cfg(test)]
#[path = "cross_face_tests.rs"]
mod tests;
