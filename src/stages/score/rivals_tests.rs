//! Faces that compete, with a competition that is easy to follow.

use super::super::model::{FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape};
use super::*;
use crate::core::geometry::Rect;

/// Takes half of the best rival's logit off, averaged over this tick and the one before.
struct Halver {
    shape: ModelShape,
    runs: usize,
}

impl Halver {
    fn new(compete_past_ticks: Option<usize>) -> Self {
        let shape = ModelShape { compete_past_ticks, ..ModelShape::smallest() };
        Self { shape, runs: 0 }
    }
}

impl SpeakerModel for Halver {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn encode_faces(&mut self, _: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, ModelFault> {
        unreachable!("competition encodes nothing")
    }

    fn encode_sound(&mut self, _: Vec<f32>, _: usize) -> Result<Vec<f32>, ModelFault> {
        unreachable!("competition encodes nothing")
    }

    fn judge(&mut self, _: HeadJob) -> Result<HeadResult, ModelFault> {
        unreachable!("competition comes after the head")
    }

    fn compete(&mut self, job: CompeteJob) -> Result<Vec<f32>, ModelFault> {
        self.runs += 1;
        let held: Vec<f32> = job.rival.iter().zip(&job.present).map(|(r, p)| r * p).collect();
        let out = (0..held.len()).map(|t| {
            let mean = (held[t] + held[t.saturating_sub(1)]) / 2.0;
            job.score[t] - 0.5 * mean * job.present[t]
        });
        Ok(out.collect())
    }
}

fn said(tick: i64, z: Option<f32>) -> TickVerdict {
    let p = z.and_then(|z| Probability::from_logits(0.0, z)).ok_or(Unknown::SoundGap);
    TickVerdict { tick: Tick(tick), z, p, shares: None, heat: None, over: Rect::default() }
}

fn stretch(first: i64, zs: &[f32]) -> Vec<TickVerdict> {
    (first..).zip(zs).map(|(tick, z)| said(tick, Some(*z))).collect()
}

/// The logits of a track's news, in tenths.
fn logits(news: &[TrackNews], track: TrackId) -> Vec<i32> {
    let mine = news.iter().filter(|n| n.track == track).flat_map(|n| &n.verdicts);
    let logit = |p: f32| (p / (1.0 - p)).ln();
    mine.map(|v| (10.0 * logit(v.p.expect("a score").get())).round() as i32).collect()
}

const A: TrackId = TrackId(1);
const B: TrackId = TrackId(2);

fn here(track: TrackId) -> (TrackId, Epoch) {
    (track, Epoch::default())
}

fn judged(tick: i64) -> Judged {
    [(Epoch::default(), Tick(tick))].into_iter().collect()
}

#[test]
fn verdicts_wait_for_the_slower_face_and_then_count_each_other() {
    let (mut rivals, mut model) = (Rivals::default(), Halver::new(Some(4)));
    rivals.push(here(A), stretch(0, &[1.0, 1.0, 1.0]), false);
    assert!(rivals.settle(&mut model, &judged(0)).expect("no fault").is_empty());
    rivals.push(here(B), stretch(0, &[2.0, 2.0]), false);
    let news = rivals.settle(&mut model, &judged(2)).expect("no fault");
    assert_eq!(logits(&news, A), [0, 0]);
    assert_eq!(logits(&news, B), [15, 15]);
    assert!(news.iter().all(|n| !n.complete));
}

#[test]
fn what_was_let_go_is_the_past_of_what_follows() {
    let (mut rivals, mut model) = (Rivals::default(), Halver::new(Some(4)));
    rivals.push(here(A), stretch(0, &[0.0]), false);
    rivals.push(here(B), stretch(0, &[4.0]), false);
    rivals.settle(&mut model, &judged(1)).expect("no fault");
    rivals.push(here(A), stretch(1, &[0.0]), false);
    rivals.push(here(B), stretch(1, &[2.0]), false);
    let news = rivals.settle(&mut model, &judged(2)).expect("no fault");
    // The mean of 4 and 2, halved; without the past it would be half of 2.
    assert_eq!(logits(&news, A), [-15]);
}

#[test]
fn a_face_alone_keeps_its_score_and_asks_nothing() {
    let (mut rivals, mut model) = (Rivals::default(), Halver::new(Some(4)));
    rivals.push(here(A), stretch(0, &[1.0, -1.0]), true);
    let news = rivals.settle(&mut model, &Judged::new()).expect("no fault");
    assert_eq!(logits(&news, A), [10, -10]);
    assert!(news[0].complete);
    assert_eq!(model.runs, 0);
}

#[test]
fn without_competition_nothing_is_held() {
    let (mut rivals, mut model) = (Rivals::default(), Halver::new(None));
    rivals.push(here(A), stretch(0, &[1.0]), false);
    rivals.push(here(B), stretch(0, &[3.0]), false);
    let news = rivals.settle(&mut model, &judged(0)).expect("no fault");
    assert_eq!((logits(&news, A), logits(&news, B)), (vec![10], vec![30]));
    assert_eq!(model.runs, 0);
}

#[test]
fn an_ended_track_lets_go_at_its_end_and_no_other_epoch_is_a_rival() {
    let (mut rivals, mut model) = (Rivals::default(), Halver::new(Some(4)));
    rivals.push(here(A), stretch(5, &[1.0]), true);
    rivals.push((B, Epoch::default().next()), stretch(5, &[3.0]), false);
    // Another track of the first epoch is still behind.
    let news = rivals.settle(&mut model, &judged(5)).expect("no fault");
    assert_eq!((logits(&news, A), logits(&news, B)), (vec![], vec![30]));
    let news = rivals.settle(&mut model, &judged(6)).expect("no fault");
    assert_eq!(logits(&news, A), [10]);
    assert!(news[0].complete);
}

#[test]
fn unknown_ticks_are_nobodys_rival_and_end_the_past() {
    let (mut rivals, mut model) = (Rivals::default(), Halver::new(Some(4)));
    let gap = |first| vec![said(first, None)];
    rivals.push(here(A), [stretch(0, &[0.0]), gap(1), stretch(2, &[0.0])].concat(), true);
    rivals.push(here(B), [stretch(0, &[4.0]), gap(1), stretch(2, &[2.0])].concat(), true);
    let news = rivals.settle(&mut model, &Judged::new()).expect("no fault");
    let a = news.iter().find(|n| n.track == A).expect("news of the first");
    assert_eq!(a.verdicts[1].p, Err(Unknown::SoundGap));
    let logit = |v: &TickVerdict| v.p.map(|p| (p.get() / (1.0 - p.get())).ln());
    assert!(logit(&a.verdicts[0]).is_ok_and(|z| (z + 2.0).abs() < 1e-3));
    assert!(logit(&a.verdicts[2]).is_ok_and(|z| (z + 1.0).abs() < 1e-3));
}
