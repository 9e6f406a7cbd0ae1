//! Windows for the head, and a whole scorer, with a model that answers at once: what is left is what
//! the program does around its graphs.

use std::sync::Arc;

use divan::Bencher;
use locutor::core::evidence::TrackId;
use locutor::core::frame::Frame;
use locutor::core::geometry::Rect;
use locutor::core::time::{Pts, Tick};
use locutor::models::explain::Mode;
use locutor::models::explain::ScaleRule;
use locutor::models::speaker_model::{
    FaceFeatures, FaceJob, GateSource, HeadJob, HeadResult, InferenceError, ModelShape,
    SpeakerModel,
};
use locutor::stages::explain::track_explainer::TrackExplainer;
use locutor::stages::features::audio_features::{AudioFeatures, Spectrum};
use locutor::stages::features::mfcc::LogMel;
use locutor::stages::score::audio_encoder::AudioEncoder;
use locutor::stages::score::budget::{ENCODE_AHEAD_TICKS, Stride};
use locutor::stages::score::face_stream::FaceStream;
use locutor::stages::score::head_runner::HeadRunner;
use locutor::stages::score::scorer::{Scorer, ScorerSettings};
use locutor::stages::score::window::Window;
use locutor::stages::track::{TrackedFace, TrackedFrame};

use crate::kit::{P360, Still, faces, frame, second_of_audio};

/// Ticks that are judged once, which the next windows are given again.
const PAST_TICKS: usize = 75;
const MODE: Mode = Mode::GateActivation;

/// A model of the built-in one's sizes that says the same of everything.
struct AtOnce(ModelShape);

impl AtOnce {
    fn new() -> Self {
        Self(ModelShape {
            crop_px: 112,
            embedding: 128,
            map_channels: 64,
            map_height: 8,
            map_width: 8,
            map_area: Rect::new(0.07, 0.14, 0.93, 1.0),
            contributions: true,
            face_delay_ticks: 2,
            audio_reach_ticks: 2,
            row_width: 40,
            rows_per_tick: 4,
            face_states: vec![4 * 64 * 64, 4],
            forward_state: 64,
            past_ticks: PAST_TICKS,
            cross_face_past_ticks: Some(50),
            gate: GateSource::Face,
        })
    }
}

impl SpeakerModel for AtOnce {
    fn shape(&self) -> &ModelShape {
        &self.0
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        let answer = |job: FaceJob| {
            let (ticks, shape) = (job.valid.len(), &self.0);
            FaceFeatures {
                state: job.state,
                embeddings: vec![0.5; ticks * shape.embedding],
                maps: vec![0.5; ticks * shape.map_len()],
                gates: Some(vec![0.5; ticks * shape.map_channels]),
                contributions: None,
            }
        };
        Ok(jobs.into_iter().map(answer).collect())
    }

    fn encode_audio(&mut self, _: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
        Ok(vec![0.5; ticks * self.0.embedding])
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        let ticks = job.rows * job.ticks;
        let forward = vec![0.5; ticks * self.0.forward_state];
        Ok(HeadResult { logits: vec![0.5; ticks * 2], forward, gates: None })
    }
}

fn ear() -> AudioEncoder {
    let spectrum = Spectrum::LogMel(Box::new(LogMel::new()));
    AudioEncoder::new(Some(AudioFeatures::new(spectrum, Tick(0))), Tick(0))
}

/// A track that has its past, and `ticks` encoded ticks before the head.
fn ready(
    model: &mut AtOnce,
    audio_encoder: &AudioEncoder,
    window: Window,
    ticks: usize,
) -> (FaceStream, HeadRunner) {
    let still = Arc::new(Still::new((64, 64), 0));
    let shape = model.shape().clone();
    let explainer = TrackExplainer::new(&shape, ScaleRule::default());
    let mut face_stream = FaceStream::new(TrackId(1), Tick(0), &shape, Box::new(explainer));
    let mut judge = HeadRunner::new(&shape, Tick(0));
    let encode = |face_stream: &mut FaceStream, model: &mut AtOnce, until: usize| {
        // A box that is no face: no crop is cut.
        while face_stream.encoded_until() < Tick(until as i64) {
            face_stream.push(Rect::default(), Arc::clone(&still) as _);
            if let Some(job) = face_stream.take_job(12, MODE) {
                let answers = model.encode_faces(vec![job]).expect("it answers");
                answers
                    .into_iter()
                    .for_each(|features| face_stream.push_features(features, &shape, MODE));
            }
        }
    };
    encode(&mut face_stream, model, PAST_TICKS + window.lookahead);
    let mut out = Vec::new();
    judge
        .advance(&mut face_stream, audio_encoder, model, (window, MODE), &mut out)
        .expect("it answers");
    encode(&mut face_stream, model, PAST_TICKS + ticks + window.lookahead);
    (face_stream, judge)
}

/// One second of a face's windows, as (hop, lookahead): of a camera and of a file.
#[divan::bench(args = [(5, 9), (25, 50)], max_time = 2, sample_size = 1)]
fn head_windows_second(bencher: Bencher<'_, '_>, (hop, lookahead): (usize, usize)) {
    let (mut model, mut audio_encoder) = (AtOnce::new(), ear());
    for second in 0..8 {
        audio_encoder.push(Some(Pts::from_seconds(f64::from(second))), &second_of_audio());
    }
    audio_encoder.end();
    audio_encoder.advance(&mut model).expect("it answers");
    let window = Window { hop, lookahead };
    let mut setting_up = AtOnce::new();
    bencher.with_inputs(|| ready(&mut setting_up, &audio_encoder, window, 25)).bench_local_values(
        |(mut face_stream, mut judge)| {
            let mut out = Vec::new();
            judge
                .advance(&mut face_stream, &audio_encoder, &mut model, (window, MODE), &mut out)
                .expect("it answers");
            assert_eq!(out.len(), 25);
            (face_stream, judge, out)
        },
    );
}

/// One second of a recording through the scorer, crops and rows of audio included, by faces.
#[divan::bench(args = [0, 1, 8, 64], max_time = 2)]
fn scorer_second(bencher: Bencher<'_, '_>, count: usize) {
    let settings = ScorerSettings {
        window: Window { hop: 25, lookahead: 50 },
        face_chunk_ticks: Stride::FILE.face_chunk_ticks,
        encode_ahead_ticks: Some(ENCODE_AHEAD_TICKS),
        crop_lag_ticks: 6,
        mode: MODE,
    };
    let explainers = TrackExplainer::factory(ScaleRule::default());
    let mut scorer = Scorer::new(Box::new(AtOnce::new()), explainers, settings, ear(), true);
    let (still, audio) = (Arc::new(Still::new(P360, 0)), second_of_audio());
    let mut seq = 0;
    bencher.bench_local(|| {
        let at = frame(seq).pts;
        scorer.audio_encoder().push(Some(at), &audio);
        let mut verdicts = 0;
        for _ in 0..25 {
            let seen = faces(count, P360, seq);
            let face = |(i, face): (usize, &locutor::core::geometry::FaceBox)| TrackedFace {
                track: TrackId(i as u32 + 1),
                rect: face.rect,
                landmarks: face.landmarks,
                detected: true,
            };
            let faces = seen.iter().enumerate().map(face).collect();
            let tracked = TrackedFrame { frame: frame(seq), faces, ended: Vec::new() };
            let frame = Frame { id: frame(seq), duration: None, image: Arc::clone(&still) as _ };
            scorer.push(&frame, &tracked);
            let news = scorer.advance().expect("it answers");
            verdicts += news.iter().map(|n| n.verdicts.len()).sum::<usize>();
            seq += 1;
        }
        verdicts
    });
}
