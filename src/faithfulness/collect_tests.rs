//! Collection of a recording, in any order of frames and audio.

use std::sync::Arc;

use super::*;
use crate::core::frame::GreyImage;
use crate::core::geometry::{Landmarks, Rect};
use crate::core::time::FrameRef;
use crate::models::speaker_model::{FaceFeatures, FaceJob, FaceState, HeadJob, HeadResult};
use crate::stages::features::audio_features::{AudioFeatures, Spectrum};
use crate::stages::features::mfcc::Mfcc;
use crate::stages::track::TrackedFace;

/// A model that predicts speaking if the crop's middle is bright; its face encoder lags two ticks.
struct Bright(ModelShape);

impl Bright {
    fn new() -> Self {
        Self(ModelShape {
            face_delay_ticks: 2,
            audio_reach_ticks: 2,
            face_states: vec![2],
            ..ModelShape::smallest()
        })
    }
}

impl SpeakerModel for Bright {
    fn shape(&self) -> &ModelShape {
        &self.0
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        let encode = |job: FaceJob| {
            let middle = job.crops.chunks_exact(112 * 112).map(|c| f32::from(c[56 * 112 + 56]));
            let samples: Vec<f32> = job.state.0[0].iter().copied().chain(middle).collect();
            let ticks = job.valid.len();
            FaceFeatures {
                state: FaceState(vec![samples[ticks..].to_vec()]),
                embeddings: samples[..ticks].to_vec(),
                maps: vec![0.0; ticks],
                gates: None,
                contributions: None,
            }
        };
        Ok(jobs.into_iter().map(encode).collect())
    }

    fn encode_audio(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
        Ok((0..ticks).map(|t| rows[t * 52]).collect())
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        let logits = job.face.iter().flat_map(|v| [0.0, v / 10.0 - 10.0]).collect();
        Ok(HeadResult { logits, forward: vec![0.0; job.rows * job.ticks], gates: None })
    }
}

/// Frame `seq` at 25 a second, each brighter by one, with faces of these tracks.
fn frame(seq: u64, tracks: &[u32], ended: &[u32]) -> ScoreInput {
    let id = FrameRef {
        epoch: Epoch::default(),
        seq,
        pts: Pts::from_ns(i64::try_from(seq).expect("small") * 40_000_000),
    };
    let level = u8::try_from(60 + seq).expect("few frames");
    let image = Arc::new(GreyImage::new(200, level));
    let face = |id: &u32| TrackedFace {
        track: TrackId(*id),
        rect: Rect::new(60.0, 60.0, 140.0, 140.0),
        landmarks: Landmarks::default(),
        detected: true,
    };
    let tracked = TrackedFrame {
        frame: id,
        faces: tracks.iter().map(face).collect(),
        ended: ended.iter().map(|id| TrackId(*id)).collect(),
    };
    ScoreInput::Frame((Frame { id, duration: None, image }, tracked))
}

/// A tenth of a second of audio.
fn audio(tenth: i64) -> ScoreInput {
    let samples = (0..1_600).map(|i| ((i * 7919 + tenth * 31) % 2003) as i16).collect();
    ScoreInput::Audio(AudioBlock { pts: Some(Pts::from_ns(tenth * 100_000_000)), samples })
}

fn collector(max_crops: usize) -> TrackCollector {
    let audio_features = AudioFeatures::new(Spectrum::Mfcc(Box::new(Mfcc::new())), Tick(0));
    TrackCollector::new(
        Bright::new().0,
        AudioEncoder::new(Some(audio_features), Tick(0)),
        max_crops,
    )
}

const WINDOW: Window = Window { hop: 25, lookahead: 10 };

/// Sixty frames: track 1 throughout, track 2 for the first twenty; six seconds of audio.
fn frames() -> Vec<ScoreInput> {
    let with = |seq: u64| match seq {
        0..20 => frame(seq, &[1, 2], &[]),
        20 => frame(seq, &[1], &[2]),
        _ => frame(seq, &[1], &[]),
    };
    (0..60).map(with).chain([ScoreInput::FramesEnd]).collect()
}

fn audio_blocks() -> Vec<ScoreInput> {
    (0..60).map(audio).chain([ScoreInput::AudioEnd]).collect()
}

/// The tracks collected from `inputs` in this order, and how many inputs were taken.
fn kept(inputs: Vec<ScoreInput>, max_crops: usize) -> (Vec<FaceTrack>, Option<Pts>, usize) {
    let mut collector = collector(max_crops);
    let mut taken = 0;
    for input in inputs {
        taken += 1;
        if collector.push(input).is_break() {
            break;
        }
    }
    let full_at = collector.full_at();
    let tracks = collector.finish(&mut Bright::new(), WINDOW).expect("no fault");
    (tracks, full_at, taken)
}

#[test]
fn every_tick_of_a_face_has_its_crop_its_audio_and_its_score() {
    let (tracks, full_at, _) = kept(frames().into_iter().chain(audio_blocks()).collect(), 1_000);
    assert_eq!(full_at, None);
    let summary: Vec<_> = tracks.iter().map(|t| (t.track.0, t.first.0, t.scores.len())).collect();
    assert_eq!(summary, [(1, 0, 60), (2, 0, 20)]);
    for track in &tracks {
        assert_eq!(track.crops.len(), track.scores.len() * 112 * 112);
        assert!(track.audio.iter().all(Option::is_some), "there is audio throughout");
        for (tick, (crop, p)) in track.crops.chunks_exact(112 * 112).zip(&track.scores).enumerate()
        {
            let level = f32::from(crop[56 * 112 + 56]);
            assert!((level - (60 + tick) as f32).abs() <= 1.0, "crop {tick} is the tick's own");
            let expected = 1.0 / (1.0 + (10.0 - level / 10.0).exp());
            assert!((p.expect("a score") - expected).abs() < 1e-5, "score {tick}");
        }
    }
}

#[test]
fn the_order_of_frames_and_audio_changes_nothing() {
    let one: Vec<_> = frames().into_iter().chain(audio_blocks()).collect();
    let other: Vec<_> = audio_blocks().into_iter().chain(frames()).collect();
    let (one, other) = (kept(one, 1_000).0, kept(other, 1_000).0);
    for (a, b) in one.iter().zip(&other) {
        assert_eq!((a.track, &a.crops, &a.audio), (b.track, &b.crops, &b.audio));
        assert_eq!(a.scores, b.scores);
    }
}

#[test]
fn at_the_crop_limit_frames_stop_and_audio_is_read_on() {
    let together = frames().into_iter().zip(audio_blocks()).flat_map(|(a, b)| [a, b]).collect();
    let (tracks, full_at, taken) = kept(together, 30);
    let ticks: Vec<_> = tracks.iter().map(|t| t.scores.len()).collect();
    assert_eq!(ticks.iter().sum::<usize>(), 30, "{ticks:?}");
    let full_at = full_at.expect("30 crops are soon cut").seconds();
    assert!((0.5..1.0).contains(&full_at), "{full_at}");
    assert!(taken < 80, "{taken} of 122 inputs were taken");
    assert!(tracks.iter().flat_map(|t| &t.scores).all(Option::is_some), "all have their audio");
}
