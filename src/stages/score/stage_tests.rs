//! Scoring while faces are still being encoded: nothing is lost, nothing changes, nobody sleeps on.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::super::budget::ENCODE_AHEAD;
use super::super::decide::DecisionRule;
use super::super::floor::FloorRules;
use super::super::hearing::Hearing;
use super::super::judge::Window;
use super::super::model::{
    Encoding, FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape, SpeakerModel, Started,
};
use super::super::scorer::ScorerSettings;
use super::*;
use crate::core::bell::Bell;
use crate::core::edge::{Capacity, WhenFull, edge};
use crate::core::evidence::TrackId;
use crate::core::geometry::{Landmarks, Rect};
use crate::core::picture::{Frame, Grey};
use crate::core::seeded::Seeded;
use crate::core::time::{Epoch, FrameRef, Pts};
use crate::stages::explain::Mode;
use crate::stages::explain::scale::ScaleRule;
use crate::stages::features::audio_line::{AudioLine, Spectrum};
use crate::stages::features::mfcc::Mfcc;
use crate::stages::track::{TrackedFace, TrackedFrame};

/// Says of a tick what its track's brightness had added up to before; lags one tick.
struct Sums(ModelShape);

impl Sums {
    fn new() -> Self {
        Self(ModelShape { face_delay_ticks: 1, face_states: vec![1], ..ModelShape::smallest() })
    }
}

/// What is made of one track's next ticks.
fn encoded(mut job: FaceJob) -> FaceFeatures {
    let crop = job.crops.len() / job.valid.len();
    let mut embeddings = Vec::new();
    for (crop, valid) in job.crops.chunks(crop).zip(&job.valid) {
        embeddings.push(job.state.0[0][0]);
        job.state.0[0][0] += valid * f32::from(crop[crop.len() / 2]) / 255.0;
    }
    let (maps, gates, contributions) = (embeddings.clone(), None, None);
    FaceFeatures { state: job.state, embeddings, maps, gates, contributions }
}

impl SpeakerModel for Sums {
    fn shape(&self) -> &ModelShape {
        &self.0
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, ModelFault> {
        Ok(jobs.into_iter().map(encoded).collect())
    }

    fn encode_sound(&mut self, _: Vec<f32>, ticks: usize) -> Result<Vec<f32>, ModelFault> {
        Ok(vec![0.0; ticks])
    }

    fn judge(&mut self, job: HeadJob) -> Result<HeadResult, ModelFault> {
        let logits = job.face.iter().flat_map(|sum| [0.0, sum - 3.0]).collect();
        Ok(HeadResult { logits, forward: job.face, gates: None })
    }
}

/// The same, encoded by threads that each take their time; the one of job `dies` dies of it.
struct Later {
    sums: Sums,
    dice: Seeded,
    started: usize,
    dies: usize,
}

impl Later {
    fn new(dies: usize) -> Self {
        Self { sums: Sums::new(), dice: Seeded::new(7), started: 0, dies }
    }
}

impl ByteSize for FaceFeatures {
    fn byte_size(&self) -> usize {
        0
    }
}

impl Encoding for Receiver<FaceFeatures> {
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, ModelFault>> {
        match self.try_recv() {
            Err(NoItem::Empty) => None,
            come => Some(come.map(|f| vec![f]).map_err(|_| dead())),
        }
    }

    fn wait(&mut self) -> Result<Vec<FaceFeatures>, ModelFault> {
        self.recv().map(|f| vec![f]).ok_or_else(dead)
    }
}

fn dead() -> ModelFault {
    ModelFault { package: "p".into(), graph: "face", reason: "it died".into() }
}

/// Rings when it goes.
struct Rings(Option<Bell>);

impl Drop for Rings {
    fn drop(&mut self) {
        self.0.iter().for_each(Bell::ring);
    }
}

impl SpeakerModel for Later {
    fn shape(&self) -> &ModelShape {
        self.sums.shape()
    }

    fn encode_faces(&mut self, _: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, ModelFault> {
        unreachable!("scoring starts what it wants")
    }

    fn start_faces(
        &mut self,
        jobs: Vec<FaceJob>,
        bell: Option<&Bell>,
    ) -> Result<Vec<Started>, ModelFault> {
        let start = |job| {
            self.started += 1;
            let (dies, rings) = (self.started == self.dies, Rings(bell.cloned()));
            let patience = Duration::from_micros(self.dice.below(3_000) as u64);
            let (tx, rx) = edge("model→test", ONE, WhenFull::Block);
            let work = move || {
                let _rings = rings;
                // Goes before the bell rings, even where the thread dies.
                let tx = tx;
                thread::sleep(patience);
                assert!(!dies, "as the test wants");
                tx.send(encoded(job)).expect("somebody waits");
            };
            thread::Builder::new().name("late".into()).spawn(work).expect("a thread");
            Started { jobs: 1, encoding: Box::new(rx) }
        };
        Ok(jobs.into_iter().map(start).collect())
    }

    fn encode_sound(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, ModelFault> {
        self.sums.encode_sound(rows, ticks)
    }

    fn judge(&mut self, job: HeadJob) -> Result<HeadResult, ModelFault> {
        self.sums.judge(job)
    }
}

const ONE: Capacity = Capacity { items: 1, bytes: usize::MAX };
const FRAMES: u64 = 120;
/// Frames that the source gives before it waits for evidence.
const HELD: u64 = 60;
/// Frames that wait where the sound is late; all that is encoded at once waits for fewer.
const GIVE_UP_AT: usize = 50;

/// Three faces, of which one goes at frame 40 and one comes at 30.
fn frame(seq: u64) -> ScoreInput {
    let there = [(1, 0..FRAMES), (2, 0..40), (3, 30..FRAMES)];
    let seen = there.iter().filter(|(_, when)| when.contains(&seq)).map(|&(track, _)| track);
    let ended = if seq == 40 { vec![TrackId(2)] } else { Vec::new() };
    ScoreInput::Frame(showing(seq, seen, ended))
}

/// A frame of a brightness of its own with these tracks on it.
fn showing(seq: u64, seen: impl Iterator<Item = u32>, ended: Vec<TrackId>) -> Looked {
    let pts = Pts::from_ns(i64::try_from(seq).expect("few") * Tick::SPAN.ns());
    let id = FrameRef { epoch: Epoch(0), seq, pts };
    let brightness = 40 + u8::try_from(seq % 200).expect("few");
    let picture = Arc::new(Grey::new(120, brightness));
    let faces = seen.map(|track| TrackedFace {
        track: TrackId(track),
        rect: Rect::new(8.0 * (track % 7) as f32, 20.0, 8.0 * (track % 7) as f32 + 50.0, 80.0),
        landmarks: Landmarks::default(),
        detected: true,
    });
    let tracked = TrackedFrame { frame: id, faces: faces.collect(), ended };
    (Frame { id, span: None, picture }, tracked)
}

fn settings() -> ScorerSettings {
    ScorerSettings {
        window: Window { hop: 10, lookahead: 20 },
        face_chunk: 4,
        encode_ahead: Some(ENCODE_AHEAD),
        crop_lag: 3,
        mode: Mode::GateActivation,
        scale: ScaleRule::default(),
    }
}

fn ear() -> Hearing {
    Hearing::new(Some(AudioLine::new(Spectrum::Mfcc(Box::new(Mfcc::new())), Tick(0))), Tick(0))
}

/// Scores all frames with `model`, fed as a recording's are: no more than [`HELD`] frames ahead.
fn scored(model: Box<dyn SpeakerModel>) -> (Result<ScoreCounts, ModelFault>, Vec<FrameEvidence>) {
    let all = Capacity { items: usize::MAX, bytes: usize::MAX };
    let (inputs, found) = edge("test→score", all, WhenFull::Block);
    let (out, evidence) = edge("score→test", all, WhenFull::Block);
    let scorer = Scorer::new(model, settings(), ear(), true);
    let rule = DecisionRule::new(0.5, 3).expect("a rule");
    let join = Join::new(rule, FloorRules::default(), true);
    let scoring = thread::Builder::new()
        .name("score".into())
        .spawn(move || score(&found, scorer, join, GIVE_UP_AT, &out, &mut Nobody));
    let scoring = scoring.expect("a thread");
    let mut got = Vec::new();
    // An edge that is gone says that scoring has ended, and why is asked below.
    for seq in 0..FRAMES {
        let samples = vec![0; 640];
        let pts = Some(Pts::from_seconds(seq as f64 / 25.0));
        drop(inputs.send(ScoreInput::Sound(SoundBlock { pts, samples })));
        drop(inputs.send(frame(seq)));
        if seq >= HELD {
            got.extend(evidence.recv());
        }
    }
    drop(inputs.send(ScoreInput::SoundEnd));
    drop(inputs.send(ScoreInput::FramesEnd));
    drop(inputs);
    got.extend(evidence);
    (scoring.join().expect("no panic"), got)
}

#[test]
fn faces_that_are_encoded_later_get_the_same_verdicts() {
    let (counts, at_once) = scored(Box::new(Sums::new()));
    assert_eq!(counts.expect("it scores").sound_given_up, 0);
    assert_eq!(at_once.len(), usize::try_from(FRAMES).expect("few"));
    let scores = at_once.iter().flat_map(|e| &e.faces).filter(|f| f.verdict.p().is_some());
    assert!(scores.count() > 200, "nearly every face of {} frames", at_once.len());
    let (counts, later) = scored(Box::new(Later::new(usize::MAX)));
    assert_eq!(counts.expect("it scores").sound_given_up, 0);
    assert_eq!(format!("{later:?}"), format!("{at_once:?}"));
}

#[test]
fn a_worker_that_dies_ends_scoring_with_its_fault() {
    let (counts, some) = scored(Box::new(Later::new(9)));
    assert_eq!(counts.expect_err("a fault").reason, "it died");
    assert!(some.len() < usize::try_from(FRAMES).expect("few"));
}

#[test]
fn short_tracks_one_after_the_other_do_not_pile_up() {
    // None of them alone has as much to encode as may wait.
    let most = 12;
    let settings = ScorerSettings { encode_ahead: Some(most), ..settings() };
    let mut scorer = Scorer::new(Box::new(Later::new(usize::MAX)), settings, ear(), true);
    for seq in 0..600 {
        let track = u32::try_from(seq / 10).expect("few");
        let ended = if seq % 10 == 0 && track > 0 { vec![TrackId(track - 1)] } else { Vec::new() };
        let (frame, tracked) = showing(seq, std::iter::once(track), ended);
        scorer.push(&frame, &tracked);
        scorer.advance().expect("it scores");
        assert!(scorer.ticks_waiting() <= most, "{} at {seq}", scorer.ticks_waiting());
    }
}
