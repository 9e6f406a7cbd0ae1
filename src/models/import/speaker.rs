//! Writes three graphs and their manifest as a package.

use std::collections::BTreeMap;
use std::path::Path;

use super::{audio, face, head};
use crate::models::error::ModelError;
use crate::models::manifest::raw::{
    RawAudio, RawDecision, RawExplain, RawFace, RawFeatures, RawGate, RawHead, RawLookahead,
    RawMap, RawPackage, RawSpeaker, RawState, RawWidth,
};
use crate::models::manifest::{FileName, SPEAKER_KIND, Sha256};
use crate::models::package::{self, Package};

/// A speaker network's graphs, with their properties for the manifest.
pub(crate) struct SpeakerGraphs {
    pub(super) face: Vec<u8>,
    pub(super) states: Vec<RawState>,
    pub(super) delay_ticks: usize,
    pub(super) audio: Vec<u8>,
    pub(super) audio_reach_ticks: usize,
    pub(super) head: Vec<u8>,
    /// Width of either embedding.
    pub(super) width: usize,
    /// Width and height of the map in cells.
    pub(super) map_side: usize,
    pub(super) forward_state: usize,
    pub(super) face_gate: bool,
    pub(super) head_gate: bool,
}

/// The manifest's keys that do not follow from the graphs.
pub(crate) struct SpeakerMetadata {
    pub(crate) package: RawPackage,
    pub(crate) decision: RawDecision,
    pub(crate) explain: RawExplain,
    pub(crate) lookahead_ticks: RawLookahead,
}

const FACE_FILE: &str = "face.onnx";
const AUDIO_FILE: &str = "audio.onnx";
const HEAD_FILE: &str = "head.onnx";

/// Writes the package.
pub(crate) fn write(
    dir: &Path,
    graphs: SpeakerGraphs,
    metadata: SpeakerMetadata,
) -> Result<Package, ModelError> {
    let width = |name: &str| RawWidth { name: name.into(), width: graphs.width as i64 };
    let side = graphs.map_side as i64;
    let head = raw_head(&graphs);
    let manifest = RawSpeaker {
        kind: SPEAKER_KIND.into(),
        package: metadata.package,
        files: BTreeMap::new(),
        features: RawFeatures {
            crop: "light-asd-112-grey".into(),
            crop_size_px: face::CROP_PX as i64,
            ticks_per_second: 25,
            audio: "mfcc-13".into(),
        },
        face: RawFace {
            file: FACE_FILE.into(),
            frames: face::FRAMES.into(),
            valid: face::VALID.into(),
            delay_ticks: graphs.delay_ticks as i64,
            gate: graphs.face_gate.then(|| face::GATE.into()),
            contributions: None,
            embedding: width(face::EMBEDDING),
            map: RawMap {
                name: face::MAP.into(),
                channels: graphs.width as i64,
                height: side,
                width: side,
                area_px: None,
            },
            states: graphs.states,
        },
        audio: RawAudio {
            file: AUDIO_FILE.into(),
            rows: audio::ROWS.into(),
            embedding: width(audio::EMBEDDING),
            reach_ticks: graphs.audio_reach_ticks as i64,
        },
        head,
        cross_face: None,
        decision: metadata.decision,
        explain: metadata.explain,
        lookahead_ticks: metadata.lookahead_ticks,
    };
    let files = [(FACE_FILE, graphs.face), (AUDIO_FILE, graphs.audio), (HEAD_FILE, graphs.head)];
    finish(dir, manifest, files.into(), |manifest, sums| manifest.files = sums)
}

fn raw_head(graphs: &SpeakerGraphs) -> RawHead {
    RawHead {
        file: HEAD_FILE.into(),
        audio: head::AUDIO.into(),
        face: head::FACE.into(),
        past_ticks: 0,
        forward_state: RawWidth {
            name: head::FORWARD_STATE.into(),
            width: graphs.forward_state as i64,
        },
        forward_states: head::FORWARD_STATES.into(),
        score: head::SCORE.into(),
        gate: graphs.head_gate.then(|| RawGate {
            name: head::GATE.into(),
            channels: 2 * graphs.width as i64,
            layout: "audio-face".into(),
        }),
    }
}

/// Adds the files' checksums to the manifest and writes both into `dir`.
pub(crate) fn finish<M: serde::Serialize>(
    dir: &Path,
    mut manifest: M,
    files: Vec<(&str, Vec<u8>)>,
    set_sums: impl FnOnce(&mut M, BTreeMap<String, String>),
) -> Result<Package, ModelError> {
    let sums = files.iter().map(|(name, bytes)| (name.to_string(), Sha256::of(bytes).to_string()));
    set_sums(&mut manifest, sums.collect());
    let text = toml::to_string(&manifest).expect("a manifest is tables of plain values");
    let named = files.into_iter().map(|(name, bytes)| {
        (FileName::new(name).expect("the importer's own names are plain"), bytes)
    });
    package::write(dir, &text, &named.collect::<Vec<_>>())
}
