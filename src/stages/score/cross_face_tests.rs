//! Faces that compete, with a competition that is easy to follow.

use super::super::model::{FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape};
use super::*;
use crate::core::geometry::Rect;

/// Takes half of the best rival's logit off, averaged over this tick and the one before.
struct HalvingModel {
    shape: ModelShape,
    runs: usize,
}

impl HalvingModel {
    fn new(cross_face_past_ticks: Option<usize>) -> Self {
        let shape = ModelShape { cross_face_past_ticks, ..ModelShape::smallest() };
        Self { shape, runs: 0 }
    }
}

impl SpeakerModel for HalvingModel {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn encode_faces(&mut self, _: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        unreachable!("competition encodes nothing")
    }

    fn encode_audio(&mut self, _: Vec<f32>, _: usize) -> Result<Vec<f32>, InferenceError> {
        unreachable!("competition encodes nothing")
    }

    fn run_head(&mut self, _: HeadJob) -> Result<HeadResult, InferenceError> {
        unreachable!("competition comes after the head")
    }

    fn run_cross_face(&mut self, job: CrossFaceJob) -> Result<Vec<f32>, InferenceError> {
        self.runs += 1;
        let held: Vec<f32> = job.rival.iter().zip(&job.present).map(|(r, p)| r * p).collect();
        let out = (0..held.len()).map(|t| {
            let mean = (held[t] + held[t.saturating_sub(1)]) / 2.0;
            job.score[t] - 0.5 * mean * job.present[t]
        });
        Ok(out.collect())
    }
}

fn verdict(tick: i64, z: Option<f32>) -> TickVerdict {
    let p = z.and_then(|z| Probability::from_logits(0.0, z)).ok_or(Unknown::AudioGap);
    TickVerdict { tick: Tick(tick), z, p, shares: None, heat: None, over: Rect::default() }
}

fn segment(first: i64, zs: &[f32]) -> Vec<TickVerdict> {
    (first..).zip(zs).map(|(tick, z)| verdict(tick, Some(*z))).collect()
}

/// The logits of a track's news, in tenths.
fn logits(updates: &[TrackUpdate], track: TrackId) -> Vec<i32> {
    let mine = updates.iter().filter(|n| n.track == track).flat_map(|n| &n.verdicts);
    let logit = |p: f32| (p / (1.0 - p)).ln();
    mine.map(|v| (10.0 * logit(v.p.expect("a score").get())).round() as i32).collect()
}

const A: TrackId = TrackId(1);
const B: TrackId = TrackId(2);

fn here(track: TrackId) -> (TrackId, Epoch) {
    (track, Epoch::default())
}

fn scored_until(tick: i64) -> ScoredUntil {
    [(Epoch::default(), Tick(tick))].into_iter().collect()
}

#[test]
fn verdicts_wait_for_the_slower_face_and_then_count_each_other() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(here(A), segment(0, &[1.0, 1.0, 1.0]), false);
    assert!(cross_face.advance(&mut model, &scored_until(0)).expect("no fault").is_empty());
    cross_face.push(here(B), segment(0, &[2.0, 2.0]), false);
    let updates = cross_face.advance(&mut model, &scored_until(2)).expect("no fault");
    assert_eq!(logits(&updates, A), [0, 0]);
    assert_eq!(logits(&updates, B), [15, 15]);
    assert!(updates.iter().all(|n| !n.complete));
}

#[test]
fn what_was_let_go_is_the_past_of_what_follows() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(here(A), segment(0, &[0.0]), false);
    cross_face.push(here(B), segment(0, &[4.0]), false);
    cross_face.advance(&mut model, &scored_until(1)).expect("no fault");
    cross_face.push(here(A), segment(1, &[0.0]), false);
    cross_face.push(here(B), segment(1, &[2.0]), false);
    let updates = cross_face.advance(&mut model, &scored_until(2)).expect("no fault");
    // The mean of 4 and 2, halved; without the past it would be half of 2.
    assert_eq!(logits(&updates, A), [-15]);
}

#[test]
fn a_face_alone_keeps_its_score_and_asks_nothing() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(here(A), segment(0, &[1.0, -1.0]), true);
    let updates = cross_face.advance(&mut model, &ScoredUntil::new()).expect("no fault");
    assert_eq!(logits(&updates, A), [10, -10]);
    assert!(updates[0].complete);
    assert_eq!(model.runs, 0);
}

#[test]
fn without_competition_nothing_is_held() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(None));
    cross_face.push(here(A), segment(0, &[1.0]), false);
    cross_face.push(here(B), segment(0, &[3.0]), false);
    let updates = cross_face.advance(&mut model, &scored_until(0)).expect("no fault");
    assert_eq!((logits(&updates, A), logits(&updates, B)), (vec![10], vec![30]));
    assert_eq!(model.runs, 0);
}

#[test]
fn an_ended_track_lets_go_at_its_end_and_no_other_epoch_is_a_rival() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(here(A), segment(5, &[1.0]), true);
    cross_face.push((B, Epoch::default().next()), segment(5, &[3.0]), false);
    // Another track of the first epoch is still behind.
    let updates = cross_face.advance(&mut model, &scored_until(5)).expect("no fault");
    assert_eq!((logits(&updates, A), logits(&updates, B)), (vec![], vec![30]));
    let updates = cross_face.advance(&mut model, &scored_until(6)).expect("no fault");
    assert_eq!(logits(&updates, A), [10]);
    assert!(updates[0].complete);
}

#[test]
fn unknown_ticks_are_nobodys_rival_and_end_the_past() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    let gap = |first| vec![verdict(first, None)];
    cross_face.push(here(A), [segment(0, &[0.0]), gap(1), segment(2, &[0.0])].concat(), true);
    cross_face.push(here(B), [segment(0, &[4.0]), gap(1), segment(2, &[2.0])].concat(), true);
    let updates = cross_face.advance(&mut model, &ScoredUntil::new()).expect("no fault");
    let a = updates.iter().find(|n| n.track == A).expect("news of the first");
    assert_eq!(a.verdicts[1].p, Err(Unknown::AudioGap));
    let logit = |v: &TickVerdict| v.p.map(|p| (p.get() / (1.0 - p.get())).ln());
    assert!(logit(&a.verdicts[0]).is_ok_and(|z| (z + 2.0).abs() < 1e-3));
    assert!(logit(&a.verdicts[2]).is_ok_and(|z| (z + 1.0).abs() < 1e-3));
}
