//! Checks a speaker's raw manifest, key by key.

use std::collections::BTreeMap;

use super::check::Checker;
use super::raw::{
    RawArea, RawAudio, RawCrossFace, RawFace, RawFeatures, RawHead, RawSpeaker, RawWidth,
};
use super::speaker::{
    AudioGraph, AudioRecipe, CropRecipe, CrossFaceGraph, Decision, Explain, FaceGraph, Features,
    HeadGate, HeadGraph, Lookahead, MapArea, MapOutput, OddTicks, SpeakerManifest, State,
    WidthTensor,
};
use crate::core::time::Tick;
use crate::models::error::ModelError;
use crate::models::explain::{Mode, ScaleRule};
fn typical(
    raw: &BTreeMap<String, f64>,
    check: &Checker<'_>,
) -> Result<BTreeMap<&'static str, f32>, ModelError> {
    let mut typical = BTreeMap::new();
    for (name, value) in raw {
        let modes = &Mode::ALL.map(|mode| (mode.name(), mode));
        let mode = check.one_of("explain.typical", name, modes)?;
        let value = *value as f32;
        if ScaleRule::new(value).is_none() {
            let problem = format!("`{name}` is {value}; it must be a positive number");
            return Err(check.invalid("explain.typical", problem));
        }
        typical.insert(mode.name(), value);
    }
    Ok(typical)
}

impl SpeakerManifest {
    pub(super) fn check(raw: &RawSpeaker, check: &Checker<'_>) -> Result<Self, ModelError> {
        let features = features(&raw.features, check)?;
        let face = face(&raw.face, features.crop.size_px(), check)?;
        let audio = audio(&raw.audio, check)?;
        let head = head(&raw.head, check)?;
        let smoothing = check.count("decision.smoothing_ticks", raw.decision.smoothing_ticks, 1)?;
        let smoothing_ticks = OddTicks::new(smoothing).ok_or_else(|| {
            let problem = format!("is {smoothing}; it must be odd, so that the mean has a middle");
            check.invalid("decision.smoothing_ticks", problem)
        })?;
        let modes = &Mode::ALL.map(|mode| (mode.name(), mode));
        let default_mode =
            check.one_of("explain.default_mode", &raw.explain.default_mode, modes)?;
        let gated = face.gate.is_some() || head.gate.is_some();
        if !gated && matches!(default_mode, Mode::Paper | Mode::GateActivation) {
            let problem = "needs a gate, but neither `face.gate` nor `head.gate` names one; \
                           name one, or use \"ablation\" or \"none\"";
            return Err(check.invalid("explain.default_mode", problem));
        }
        let both = face.embedding.width + audio.embedding.width;
        // If the face has a gate, that is the SE vector, and the head's gate may have fewer
        // channels.
        let needed = head.gate.as_ref().filter(|_| face.gate.is_none());
        if let Some(gate) = needed.filter(|gate| gate.channels != both) {
            let problem = format!(
                "is {}; it must be audio and face embedding together, {both}",
                gate.channels
            );
            return Err(check.invalid("head.gate.channels", problem));
        }
        Ok(Self {
            features,
            face,
            audio,
            head,
            cross_face: raw.cross_face.as_ref().map(|raw| cross_face(raw, check)).transpose()?,
            decision: Decision {
                threshold: check.probability("decision.threshold", raw.decision.threshold)?,
                smoothing_ticks,
                why: check.non_empty("decision.why", &raw.decision.why)?,
            },
            explain: Explain {
                default_mode,
                why: check.non_empty("explain.why", &raw.explain.why)?,
                typical: typical(&raw.explain.typical, check)?,
            },
            lookahead_ticks: Lookahead {
                file: check.count("lookahead_ticks.file", raw.lookahead_ticks.file, 0)?,
                live: check.count("lookahead_ticks.live", raw.lookahead_ticks.live, 0)?,
            },
        })
    }
}

fn features(raw: &RawFeatures, check: &Checker<'_>) -> Result<Features, ModelError> {
    let crops = [("light-asd-112-grey", CropRecipe::LightAsd112Grey)];
    let crop = check.one_of("features.crop", &raw.crop, &crops)?;
    let rows = [("mfcc-13", AudioRecipe::Mfcc13), ("log-mel-40", AudioRecipe::LogMel40)];
    let audio = check.one_of("features.audio", &raw.audio, &rows)?;
    let fixed = [
        ("features.crop_size_px", raw.crop_size_px, crop.size_px() as i64),
        ("features.ticks_per_second", raw.ticks_per_second, Tick::PER_SECOND),
    ];
    for (key, value, needed) in fixed {
        if value != needed {
            let problem = format!("is {value}; the recipe \"{}\" gives {needed}", raw.crop);
            return Err(check.invalid(key, problem));
        }
    }
    Ok(Features { crop, audio })
}

fn width(key: &str, raw: &RawWidth, check: &Checker<'_>) -> Result<WidthTensor, ModelError> {
    Ok(WidthTensor {
        name: check.tensor(&format!("{key}.name"), &raw.name)?,
        width: check.count(&format!("{key}.width"), raw.width, 1)?,
    })
}

/// Defaults to the whole crop.
fn area(raw: Option<&RawArea>, crop_px: usize, check: &Checker<'_>) -> Result<MapArea, ModelError> {
    let Some(raw) = raw else {
        return Ok(MapArea { left: 0, top: 0, width: crop_px, height: crop_px });
    };
    let area = MapArea {
        left: check.count("face.map.area_px.left", raw.left, 0)?,
        top: check.count("face.map.area_px.top", raw.top, 0)?,
        width: check.count("face.map.area_px.width", raw.width, 1)?,
        height: check.count("face.map.area_px.height", raw.height, 1)?,
    };
    if area.left + area.width > crop_px || area.top + area.height > crop_px {
        let problem = format!("reaches beyond the crop, which has {crop_px} px a side");
        return Err(check.invalid("face.map.area_px", problem));
    }
    Ok(area)
}

fn face(raw: &RawFace, crop_px: usize, check: &Checker<'_>) -> Result<FaceGraph, ModelError> {
    let map = MapOutput {
        area: area(raw.map.area_px.as_ref(), crop_px, check)?,
        name: check.tensor("face.map.name", &raw.map.name)?,
        channels: check.count("face.map.channels", raw.map.channels, 1)?,
        height: check.count("face.map.height", raw.map.height, 1)?,
        width: check.count("face.map.width", raw.map.width, 1)?,
    };
    let embedding = width("face.embedding", &raw.embedding, check)?;
    let contributions = raw.contributions.as_deref();
    let contributions = contributions.map(|n| check.tensor("face.contributions", n)).transpose()?;
    if embedding.width != map.channels && contributions.is_none() {
        let problem = format!(
            "is {}; it must be `face.map.channels`, {}, as without `face.contributions` the \
             embedding is the map's maximum",
            embedding.width, map.channels
        );
        return Err(check.invalid("face.embedding.width", problem));
    }
    let states = raw.states.iter().enumerate().map(|(i, state)| {
        let key = |name: &str| format!("face.states[{i}].{name}");
        let shape = state.shape.iter().map(|&n| check.count(&key("shape"), n, 1));
        Ok(State {
            input: check.tensor(&key("input"), &state.input)?,
            output: check.tensor(&key("output"), &state.output)?,
            shape: shape.collect::<Result<_, ModelError>>()?,
        })
    });
    Ok(FaceGraph {
        file: check.file_name("face.file", &raw.file)?,
        frames: check.tensor("face.frames", &raw.frames)?,
        valid: check.tensor("face.valid", &raw.valid)?,
        delay_ticks: check.count("face.delay_ticks", raw.delay_ticks, 0)?,
        gate: raw.gate.as_deref().map(|gate| check.tensor("face.gate", gate)).transpose()?,
        contributions,
        embedding,
        map,
        states: states.collect::<Result<_, ModelError>>()?,
    })
}

fn audio(raw: &RawAudio, check: &Checker<'_>) -> Result<AudioGraph, ModelError> {
    Ok(AudioGraph {
        file: check.file_name("audio.file", &raw.file)?,
        rows: check.tensor("audio.rows", &raw.rows)?,
        embedding: width("audio.embedding", &raw.embedding, check)?,
        reach_ticks: check.count("audio.reach_ticks", raw.reach_ticks, 0)?,
    })
}

fn head(raw: &RawHead, check: &Checker<'_>) -> Result<HeadGraph, ModelError> {
    let gate = raw.gate.as_ref().map(|gate| {
        check.one_of("head.gate.layout", &gate.layout, &[("audio-face", ())])?;
        Ok(HeadGate {
            name: check.tensor("head.gate.name", &gate.name)?,
            channels: check.count("head.gate.channels", gate.channels, 1)?,
        })
    });
    Ok(HeadGraph {
        file: check.file_name("head.file", &raw.file)?,
        audio: check.tensor("head.audio", &raw.audio)?,
        face: check.tensor("head.face", &raw.face)?,
        past_ticks: check.count("head.past_ticks", raw.past_ticks, 0)?,
        forward_state: width("head.forward_state", &raw.forward_state, check)?,
        forward_states: check.tensor("head.forward_states", &raw.forward_states)?,
        score: check.tensor("head.score", &raw.score)?,
        gate: gate.transpose()?,
    })
}

fn cross_face(raw: &RawCrossFace, check: &Checker<'_>) -> Result<CrossFaceGraph, ModelError> {
    Ok(CrossFaceGraph {
        file: check.file_name("cross_face.file", &raw.file)?,
        score: check.tensor("cross_face.score", &raw.score)?,
        rival: check.tensor("cross_face.rival", &raw.rival)?,
        present: check.tensor("cross_face.present", &raw.present)?,
        out: check.tensor("cross_face.out", &raw.out)?,
        past_ticks: check.count("cross_face.past_ticks", raw.past_ticks, 0)?,
    })
}
