//! Measures one window of one face.
//!
//! Input: the window's crops and their audio. Output: z with the whole frame, z with all of it
//! masked, and insertion and deletion for each map. The window is encoded alone from a fresh state,
//! whole or masked, so that nothing outside it has an effect. The audio is never changed. Scores
//! are the head's own, without cross-face rescoring.

use crate::models::explain::Mode;
use crate::models::speaker_model::{FaceFeatures, FaceJob, HeadJob, HeadResult, SpeakerModel};
use crate::models::speaker_model::{InferenceError, ModelShape};
use crate::stages::explain::faithfulness::{Faithfulness, MaskedClip, Substrate, measure};
use crate::stages::score::ablate::{HeadWindow, effects};
use crate::stages::score::head_runner::face_gate;

use super::maps::{Channels, MapKind};

/// A window of one face: the model's inputs.
#[derive(Clone, Debug)]
pub(crate) struct FaceWindow {
    /// T grey crops of 112 × 112, values 0..=255.
    pub crops: Vec<u8>,
    /// T × embedding: the audio.
    pub audio: Vec<f32>,
}

/// The settings for measuring a window.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    /// The explain modes.
    pub modes: Vec<Mode>,
    /// The replacement for masked parts.
    pub substrate: Substrate,
}

/// The results of one window.
#[derive(Clone, Debug)]
pub(crate) struct WindowResult {
    /// Mean z = z1 − z0 with the whole frame.
    pub z_full: f32,
    /// Mean z with all of it masked.
    pub z_masked: f32,
    /// Insertion and deletion of every map; `None` for a map that is 0 everywhere.
    pub maps: Vec<(MapKind, Option<Faithfulness>)>,
    /// The 99th percentile of the raw cells, by mode.
    pub strength: Vec<(Mode, f32)>,
    /// Spearman's correlation of gate × activation with the effect of removing the channel, mean
    /// over ticks; `None` if nothing varies.
    pub correlation: Option<f64>,
}

/// Measures `window`; `seed` is for the random controls. `None` if the window has no crops.
///
/// # Errors
/// If the model fails.
pub(crate) fn measure_window(
    model: &mut dyn SpeakerModel,
    window: &FaceWindow,
    protocol: &Protocol,
    seed: u64,
) -> Result<Option<WindowResult>, InferenceError> {
    let Some(clip) = MaskedClip::new(&window.crops, protocol.substrate) else { return Ok(None) };
    let mut features = encode(model, window.crops.clone(), true)?;
    let result = run_head(model, &window.audio, &features.embeddings)?;
    let ticks = result.logits.len() / 2;
    let effects = {
        let forward = model.shape().fresh_forward_state();
        let head_window = HeadWindow {
            ticks,
            audio: &window.audio,
            face: &features.embeddings,
            forward: &forward,
            contributions: features.contributions.as_deref().unwrap_or_default(),
        };
        effects(model, head_window, 0..ticks, &result)?
    };
    let shape = model.shape().clone();
    let gates = features
        .gates
        .take()
        .unwrap_or_else(|| (0..ticks).flat_map(|t| face_gate(&shape, &result, t)).collect());
    let channels =
        Channels { shape: &shape, features: &features.maps, gates: &gates, effects: &effects };
    let mut score = |frames: &[f32]| -> Result<f32, InferenceError> {
        let crops = frames.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
        let features = encode(model, crops, false)?;
        Ok(mean_z(&run_head(model, &window.audio, &features.embeddings)?))
    };
    let mut maps = Vec::new();
    for kind in MapKind::all(&protocol.modes) {
        let map = channels.map(kind, seed);
        let found = map.map(|map| measure(&clip, &map, &mut score)).transpose()?;
        maps.push((kind, found));
    }
    let strength = protocol.modes.iter().filter_map(|m| Some((*m, channels.strength(*m)?)));
    Ok(Some(WindowResult {
        z_full: mean_z(&result),
        z_masked: score(clip.substrate())?,
        maps,
        strength: strength.collect(),
        correlation: channels.correlation(),
    }))
}

/// The mean of z over ticks.
fn mean_z(result: &HeadResult) -> f32 {
    let ticks = result.logits.len() / 2;
    let sum: f32 = (0..ticks).map(|t| result.z(0, t, ticks)).sum();
    sum / ticks.max(1) as f32
}

/// Encodes crops from a fresh state to their end; gives the features of each crop's tick.
fn encode(
    model: &mut dyn SpeakerModel,
    mut crops: Vec<u8>,
    contributions: bool,
) -> Result<FaceFeatures, InferenceError> {
    let shape = model.shape();
    let (delay, ticks) = (shape.face_delay_ticks, crops.len() / shape.crop_len());
    crops.resize((ticks + delay) * shape.crop_len(), 0);
    let valid = [vec![1.0; ticks], vec![0.0; delay]].concat();
    let job = FaceJob { state: shape.fresh_face_state(), crops, valid, contributions };
    let answer = model.encode_faces(vec![job])?.pop();
    let mut features = answer.ok_or_else(|| no_output("face"))?;
    drop_delay(&mut features, model.shape());
    Ok(features)
}

/// Drops the padding before the first crop.
fn drop_delay(features: &mut FaceFeatures, shape: &ModelShape) {
    let delay = shape.face_delay_ticks;
    let cut = |values: &mut Vec<f32>, values_per_tick: usize| {
        values.drain(..(delay * values_per_tick).min(values.len()));
    };
    cut(&mut features.embeddings, shape.embedding);
    cut(&mut features.maps, shape.map_len());
    features.gates.iter_mut().for_each(|gates| cut(gates, shape.map_channels));
    let values_per_tick = shape.map_channels * shape.embedding;
    features.contributions.iter_mut().for_each(|shares| cut(shares, values_per_tick));
}

/// Runs the head over the whole window from a fresh state.
fn run_head(
    model: &mut dyn SpeakerModel,
    audio: &[f32],
    face: &[f32],
) -> Result<HeadResult, InferenceError> {
    let shape = model.shape();
    let ticks = face.len() / shape.embedding.max(1);
    let forward = shape.fresh_forward_state();
    model.run_head(HeadJob { rows: 1, ticks, audio: audio.to_vec(), face: face.to_vec(), forward })
}

fn no_output(graph: &'static str) -> InferenceError {
    InferenceError { package: "the package".into(), graph, reason: "it gave no output".into() }
}
