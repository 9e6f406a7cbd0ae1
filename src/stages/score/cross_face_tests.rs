//! Cross-face rescoring with a simple model.

use super::*;
use crate::core::geometry::Rect;
use crate::models::speaker_model::{FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape};

/// Subtracts half of the best rival's logit, averaged over this tick and the previous one.
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
        unreachable!("this test encodes nothing")
    }

    fn encode_audio(&mut self, _: Vec<f32>, _: usize) -> Result<Vec<f32>, InferenceError> {
        unreachable!("this test encodes nothing")
    }

    fn run_head(&mut self, _: HeadJob) -> Result<HeadResult, InferenceError> {
        unreachable!("this test does not run the head")
    }

    fn run_cross_face(&mut self, job: CrossFaceJob) -> Result<Vec<f32>, InferenceError> {
        self.runs += 1;
        let rival: Vec<f32> = job.rival.iter().zip(&job.present).map(|(r, p)| r * p).collect();
        let out = (0..rival.len()).map(|t| {
            let mean = (rival[t] + rival[t.saturating_sub(1)]) / 2.0;
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

/// The logits of a track's updates, in tenths.
fn logits(updates: &[TrackUpdate], track: TrackId) -> Vec<i32> {
    let mine = updates.iter().filter(|n| n.track == track).flat_map(|n| &n.verdicts);
    let logit = |p: f32| (p / (1.0 - p)).ln();
    mine.map(|v| (10.0 * logit(v.p.expect("a score").get())).round() as i32).collect()
}

const A: TrackId = TrackId(1);
const B: TrackId = TrackId(2);

fn first_epoch(track: TrackId) -> (TrackId, Epoch) {
    (track, Epoch::default())
}

fn scored_until(tick: i64) -> ScoredUntil {
    [(Epoch::default(), Tick(tick))].into_iter().collect()
}

#[test]
fn verdicts_wait_for_the_slower_face_and_are_rescored() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(first_epoch(A), segment(0, &[1.0, 1.0, 1.0]), false);
    assert!(cross_face.advance(&mut model, &scored_until(0)).expect("no error").is_empty());
    cross_face.push(first_epoch(B), segment(0, &[2.0, 2.0]), false);
    let updates = cross_face.advance(&mut model, &scored_until(2)).expect("no error");
    assert_eq!(logits(&updates, A), [0, 0]);
    assert_eq!(logits(&updates, B), [15, 15]);
    assert!(updates.iter().all(|n| !n.complete));
}

#[test]
fn released_ticks_are_the_past_of_later_ticks() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(first_epoch(A), segment(0, &[0.0]), false);
    cross_face.push(first_epoch(B), segment(0, &[4.0]), false);
    cross_face.advance(&mut model, &scored_until(1)).expect("no error");
    cross_face.push(first_epoch(A), segment(1, &[0.0]), false);
    cross_face.push(first_epoch(B), segment(1, &[2.0]), false);
    let updates = cross_face.advance(&mut model, &scored_until(2)).expect("no error");
    // The mean of 4 and 2, halved; without the past it would be half of 2.
    assert_eq!(logits(&updates, A), [-15]);
}

#[test]
fn a_single_face_keeps_its_score_without_a_run() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(first_epoch(A), segment(0, &[1.0, -1.0]), true);
    let updates = cross_face.advance(&mut model, &ScoredUntil::new()).expect("no error");
    assert_eq!(logits(&updates, A), [10, -10]);
    assert!(updates[0].complete);
    assert_eq!(model.runs, 0);
}

#[test]
fn without_cross_face_no_verdict_is_held() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(None));
    cross_face.push(first_epoch(A), segment(0, &[1.0]), false);
    cross_face.push(first_epoch(B), segment(0, &[3.0]), false);
    let updates = cross_face.advance(&mut model, &scored_until(0)).expect("no error");
    assert_eq!((logits(&updates, A), logits(&updates, B)), (vec![10], vec![30]));
    assert_eq!(model.runs, 0);
}

#[test]
fn an_ended_track_is_released_and_epochs_are_independent() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    cross_face.push(first_epoch(A), segment(5, &[1.0]), true);
    cross_face.push((B, Epoch::default().next()), segment(5, &[3.0]), false);
    // Another track of the first epoch is still behind.
    let updates = cross_face.advance(&mut model, &scored_until(5)).expect("no error");
    assert_eq!((logits(&updates, A), logits(&updates, B)), (vec![], vec![30]));
    let updates = cross_face.advance(&mut model, &scored_until(6)).expect("no error");
    assert_eq!(logits(&updates, A), [10]);
    assert!(updates[0].complete);
}

#[test]
fn unknown_ticks_are_not_compared_and_reset_the_past() {
    let (mut cross_face, mut model) = (CrossFace::default(), HalvingModel::new(Some(4)));
    let gap = |first| vec![verdict(first, None)];
    cross_face.push(
        first_epoch(A),
        [segment(0, &[0.0]), gap(1), segment(2, &[0.0])].concat(),
        true,
    );
    cross_face.push(
        first_epoch(B),
        [segment(0, &[4.0]), gap(1), segment(2, &[2.0])].concat(),
        true,
    );
    let updates = cross_face.advance(&mut model, &ScoredUntil::new()).expect("no error");
    let a = updates.iter().find(|n| n.track == A).expect("update of the first");
    assert_eq!(a.verdicts[1].p, Err(Unknown::AudioGap));
    let logit = |v: &TickVerdict| v.p.map(|p| (p.get() / (1.0 - p.get())).ln());
    assert!(logit(&a.verdicts[0]).is_ok_and(|z| (z + 2.0).abs() < 1e-3));
    assert!(logit(&a.verdicts[2]).is_ok_and(|z| (z + 1.0).abs() < 1e-3));
}
