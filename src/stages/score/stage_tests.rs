//! Scoring with asynchronous face encoding: no lost frames, the same verdicts, no missed wake-ups.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::super::audio_encoder::AudioEncoder;
use super::super::budget::ENCODE_AHEAD_TICKS;
use super::super::decide::DecisionRule;
use super::super::floor::FloorRules;
use super::super::scorer::ScorerSettings;
use super::super::window::Window;
use super::*;
use crate::core::evidence::TrackId;
use crate::core::frame::{Frame, GreyImage};
use crate::core::geometry::{Landmarks, Rect};
use crate::core::notify::Notify;
use crate::core::queue::{Capacity, Overflow, bounded};
use crate::core::rng::SeededRng;
use crate::core::time::{Epoch, FrameRef, Pts};
use crate::models::explain::Mode;
use crate::models::explain::ScaleRule;
use crate::models::speaker_model::{
    FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape, PendingFeatures, SpeakerModel,
    StartedBatch,
};
use crate::stages::explain::track_explainer::TrackExplainer;
use crate::stages::features::audio_features::{AudioFeatures, Spectrum};
use crate::stages::features::mfcc::Mfcc;
use crate::stages::track::{TrackedFace, TrackedFrame};

/// Scores a tick by the sum of its track's brightness so far; lags one tick.
struct SummingModel(ModelShape);

impl SummingModel {
    fn new() -> Self {
        Self(ModelShape { face_delay_ticks: 1, face_states: vec![1], ..ModelShape::smallest() })
    }
}

/// Encodes one track's next ticks.
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

impl SpeakerModel for SummingModel {
    fn shape(&self) -> &ModelShape {
        &self.0
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        Ok(jobs.into_iter().map(encoded).collect())
    }

    fn encode_audio(&mut self, _: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
        Ok(vec![0.0; ticks])
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        let logits = job.face.iter().flat_map(|sum| [0.0, sum - 3.0]).collect();
        Ok(HeadResult { logits, forward: job.face, gates: None })
    }
}

/// The same model, encoding in threads with random delays; the thread of job `fails` panics.
struct AsyncModel {
    summing: SummingModel,
    dice: SeededRng,
    started: usize,
    fails: usize,
}

impl AsyncModel {
    fn new(fails: usize) -> Self {
        Self { summing: SummingModel::new(), dice: SeededRng::new(7), started: 0, fails }
    }
}

impl ByteSize for FaceFeatures {
    fn byte_size(&self) -> usize {
        0
    }
}

impl PendingFeatures for Receiver<FaceFeatures> {
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, InferenceError>> {
        match self.try_recv() {
            Err(NoItem::Empty) => None,
            come => Some(come.map(|f| vec![f]).map_err(|_| worker_failed())),
        }
    }

    fn wait(&mut self) -> Result<Vec<FaceFeatures>, InferenceError> {
        self.recv().map(|f| vec![f]).ok_or_else(worker_failed)
    }
}

fn worker_failed() -> InferenceError {
    InferenceError { package: "p".into(), graph: "face", reason: "it died".into() }
}

/// Notifies when it is dropped.
struct NotifyOnDrop(Option<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.iter().for_each(Notify::notify);
    }
}

impl SpeakerModel for AsyncModel {
    fn shape(&self) -> &ModelShape {
        self.summing.shape()
    }

    fn encode_faces(&mut self, _: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        unreachable!("scoring starts faces asynchronously")
    }

    fn start_faces(
        &mut self,
        jobs: Vec<FaceJob>,
        notify: Option<&Notify>,
    ) -> Result<Vec<StartedBatch>, InferenceError> {
        let start = |job| {
            self.started += 1;
            let (fails, notify_on_drop) =
                (self.started == self.fails, NotifyOnDrop(notify.cloned()));
            let delay = Duration::from_micros(self.dice.next_below(3_000) as u64);
            let (tx, rx) = bounded("model→test", ONE, Overflow::Block);
            let work = move || {
                let _rings = notify_on_drop;
                // Dropped before the notification, even if the thread panics.
                let tx = tx;
                thread::sleep(delay);
                assert!(!fails, "the test requests a failure");
                tx.send(encoded(job)).expect("a receiver");
            };
            thread::Builder::new().name("late".into()).spawn(work).expect("a thread");
            StartedBatch { jobs: 1, pending: Box::new(rx) }
        };
        Ok(jobs.into_iter().map(start).collect())
    }

    fn encode_audio(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
        self.summing.encode_audio(rows, ticks)
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        self.summing.run_head(job)
    }
}

const ONE: Capacity = Capacity { items: 1, bytes: usize::MAX };
const FRAMES: u64 = 120;
/// Frames pushed before the source waits for evidence.
const HELD: u64 = 60;
/// Frames that wait for late audio; encoding holds fewer.
const MAX_WAITING_FRAMES: usize = 50;

/// Three faces: one ends at frame 40, one starts at frame 30.
fn frame(seq: u64) -> ScoreInput {
    let there = [(1, 0..FRAMES), (2, 0..40), (3, 30..FRAMES)];
    let seen = there.iter().filter(|(_, when)| when.contains(&seq)).map(|&(track, _)| track);
    let ended = if seq == 40 { vec![TrackId(2)] } else { Vec::new() };
    ScoreInput::Frame(tracked_frame(seq, seen, ended))
}

/// A frame of its own brightness with these tracks.
fn tracked_frame(seq: u64, seen: impl Iterator<Item = u32>, ended: Vec<TrackId>) -> FrameWithFaces {
    let pts = Pts::from_ns(i64::try_from(seq).expect("few") * Tick::SPAN.ns());
    let id = FrameRef { epoch: Epoch(0), seq, pts };
    let brightness = 40 + u8::try_from(seq % 200).expect("few");
    let image = Arc::new(GreyImage::new(120, brightness));
    let faces = seen.map(|track| TrackedFace {
        track: TrackId(track),
        rect: Rect::new(8.0 * (track % 7) as f32, 20.0, 8.0 * (track % 7) as f32 + 50.0, 80.0),
        landmarks: Landmarks::default(),
        detected: true,
    });
    let tracked = TrackedFrame { frame: id, faces: faces.collect(), ended };
    (Frame { id, duration: None, image }, tracked)
}

fn settings() -> ScorerSettings {
    ScorerSettings {
        window: Window { hop: 10, lookahead: 20 },
        face_chunk_ticks: 4,
        encode_ahead_ticks: Some(ENCODE_AHEAD_TICKS),
        crop_lag_ticks: 3,
        mode: Mode::GateActivation,
    }
}

fn test_audio_encoder() -> AudioEncoder {
    AudioEncoder::new(
        Some(AudioFeatures::new(Spectrum::Mfcc(Box::new(Mfcc::new())), Tick(0))),
        Tick(0),
    )
}

/// Scores all frames with `model`, fed like a recording: at most [`HELD`] frames ahead.
fn scored(
    model: Box<dyn SpeakerModel>,
) -> (Result<ScoreCounts, InferenceError>, Vec<FrameEvidence>) {
    let all = Capacity { items: usize::MAX, bytes: usize::MAX };
    let (inputs, found) = bounded("test→score", all, Overflow::Block);
    let (out, evidence) = bounded("score→test", all, Overflow::Block);
    let explainers = TrackExplainer::factory(ScaleRule::default());
    let scorer = Scorer::new(model, explainers, settings(), test_audio_encoder(), true);
    let rule = DecisionRule::new(0.5, 3).expect("a rule");
    let join = FrameAssembler::new(rule, FloorRules::default(), true);
    let scoring = thread::Builder::new()
        .name("score".into())
        .spawn(move || score(&found, scorer, join, MAX_WAITING_FRAMES, &out, &mut NoObserver));
    let scoring = scoring.expect("a thread");
    let mut got = Vec::new();
    // A closed queue means that scoring has ended; the reason is checked below.
    for seq in 0..FRAMES {
        let samples = vec![0; 640];
        let pts = Some(Pts::from_seconds(seq as f64 / 25.0));
        drop(inputs.send(ScoreInput::Audio(AudioBlock { pts, samples })));
        drop(inputs.send(frame(seq)));
        if seq >= HELD {
            got.extend(evidence.recv());
        }
    }
    drop(inputs.send(ScoreInput::AudioEnd));
    drop(inputs.send(ScoreInput::FramesEnd));
    drop(inputs);
    got.extend(evidence);
    (scoring.join().expect("no panic"), got)
}

#[test]
fn asynchronous_encoding_gives_the_same_verdicts() {
    let (counts, at_once) = scored(Box::new(SummingModel::new()));
    assert_eq!(counts.expect("it scores").audio_timeouts, 0);
    assert_eq!(at_once.len(), usize::try_from(FRAMES).expect("few"));
    let scores = at_once.iter().flat_map(|e| &e.faces).filter(|f| f.verdict.p().is_some());
    assert!(scores.count() > 200, "nearly every face of {} frames", at_once.len());
    let (counts, later) = scored(Box::new(AsyncModel::new(usize::MAX)));
    assert_eq!(counts.expect("it scores").audio_timeouts, 0);
    assert_eq!(format!("{later:?}"), format!("{at_once:?}"));
}

#[test]
fn a_failed_worker_ends_scoring_with_its_error() {
    let (counts, evidence) = scored(Box::new(AsyncModel::new(9)));
    assert_eq!(counts.expect_err("an error").reason, "it died");
    assert!(evidence.len() < usize::try_from(FRAMES).expect("few"));
}

#[test]
fn many_short_tracks_do_not_accumulate() {
    // No single track exceeds the limit of waiting ticks.
    let max = 12;
    let settings = ScorerSettings { encode_ahead_ticks: Some(max), ..settings() };
    let model = Box::new(AsyncModel::new(usize::MAX));
    let explainers = TrackExplainer::factory(ScaleRule::default());
    let mut scorer = Scorer::new(model, explainers, settings, test_audio_encoder(), true);
    for seq in 0..600 {
        let track = u32::try_from(seq / 10).expect("few");
        let ended = if seq % 10 == 0 && track > 0 { vec![TrackId(track - 1)] } else { Vec::new() };
        let (frame, tracked) = tracked_frame(seq, std::iter::once(track), ended);
        scorer.push(&frame, &tracked);
        scorer.advance().expect("it scores");
        assert!(scorer.waiting_ticks() <= max, "{} at {seq}", scorer.waiting_ticks());
    }
}
