//! The manifest's keys and plain values, unchecked.
//!
//! Unknown keys are rejected, so that a misspelt key is an error and not a default. The sibling
//! modules convert these types to checked ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Only the kind, which selects the struct for the rest.
#[derive(Deserialize)]
pub(super) struct RawKind {
    pub kind: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSpeaker {
    pub kind: String,
    pub package: RawPackage,
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    pub features: RawFeatures,
    pub face: RawFace,
    pub audio: RawAudio,
    pub head: RawHead,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_face: Option<RawCrossFace>,
    pub decision: RawDecision,
    pub explain: RawExplain,
    pub lookahead_ticks: RawLookahead,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDetector {
    pub kind: String,
    pub package: RawPackage,
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    pub detector: RawDetectorGraph,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPackage {
    pub name: String,
    pub licence: String,
    pub origin: String,
    #[serde(default)]
    pub notes: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFeatures {
    pub crop: String,
    pub crop_size_px: i64,
    pub ticks_per_second: i64,
    pub audio: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFace {
    pub file: String,
    pub frames: String,
    pub valid: String,
    pub delay_ticks: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contributions: Option<String>,
    pub embedding: RawWidth,
    pub map: RawMap,
    pub states: Vec<RawState>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWidth {
    pub name: String,
    pub width: i64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMap {
    pub name: String,
    pub channels: i64,
    pub height: i64,
    pub width: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_px: Option<RawArea>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawArea {
    pub left: i64,
    pub top: i64,
    pub width: i64,
    pub height: i64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawState {
    pub input: String,
    pub output: String,
    pub shape: Vec<i64>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAudio {
    pub file: String,
    pub rows: String,
    pub embedding: RawWidth,
    pub reach_ticks: i64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHead {
    pub file: String,
    pub audio: String,
    pub face: String,
    #[serde(default)]
    pub past_ticks: i64,
    pub forward_state: RawWidth,
    pub forward_states: String,
    pub score: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<RawGate>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawGate {
    pub name: String,
    pub channels: i64,
    pub layout: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCrossFace {
    pub file: String,
    pub score: String,
    pub rival: String,
    pub present: String,
    pub out: String,
    pub past_ticks: i64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDecision {
    pub threshold: f64,
    pub smoothing_ticks: i64,
    pub why: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawExplain {
    pub default_mode: String,
    pub why: String,
    #[serde(default)]
    pub typical: std::collections::BTreeMap<String, f64>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLookahead {
    pub file: i64,
    pub live: i64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDetectorGraph {
    pub family: String,
    pub file: String,
    pub input: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_size_px: Option<RawSize>,
    pub strides: Vec<i64>,
    pub score_threshold: f64,
    pub nms_iou: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliable_face_px: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_long_side_px: Option<i64>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSize {
    pub width: i64,
    pub height: i64,
}
