//! The part of a manifest that describes a streaming speaker model.
//!
//! N is the number of tracks in a run and T the number of ticks; both are free in every run. All
//! tensors are float32.

use super::check::{Checker, FileName, TensorName};
use super::raw::{RawAudio, RawFace, RawFeatures, RawHead, RawSpeaker, RawWidth};
use crate::core::evidence::Probability;
use crate::core::time::Tick;
use crate::models::ModelError;
use crate::models::contract::{Dim, GraphContract, TensorContract};

/// How a face becomes the picture that the face encoder takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CropRecipe {
    /// The crop of the released Light-ASD demo: grey 0..255, full range, 112×112 px.
    LightAsd112Grey,
}

impl CropRecipe {
    /// Pixels across and down.
    pub const fn size_px(self) -> usize {
        match self {
            Self::LightAsd112Grey => 112,
        }
    }
}

/// How sound becomes the rows that the audio encoder takes: 16 kHz mono, framing of
/// python_speech_features (25 ms window, 10 ms step).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioRecipe {
    /// 13 MFCC, int16 scale, energy in place of the first one.
    Mfcc13,
    /// 40 log-mel energies.
    LogMel40,
}

impl AudioRecipe {
    /// Rows of features for one tick of 40 ms.
    pub const ROWS_PER_TICK: usize = 4;

    /// Numbers in a row.
    pub const fn row_width(self) -> usize {
        match self {
            Self::Mfcc13 => 13,
            Self::LogMel40 => 40,
        }
    }
}

/// What the encoders are fed, at 25 ticks a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// The picture.
    pub crop: CropRecipe,
    /// The sound.
    pub audio: AudioRecipe,
}

/// A tensor whose last dimension is `width`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WidthTensor {
    /// Its name.
    pub name: TensorName,
    /// Numbers in it for each track and tick.
    pub width: usize,
}

/// The feature map output, `[N,T,channels,height,width]`: post-ReLU, before any gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapOutput {
    /// Its name.
    pub name: TensorName,
    /// Channels; the gate and the embedding have one number for each.
    pub channels: usize,
    /// Cells down.
    pub height: usize,
    /// Cells across.
    pub width: usize,
}

/// Memory of the face encoder: `output` of one run is `input` of the next; zeros for a new track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The graph's input.
    pub input: TensorName,
    /// The graph's output.
    pub output: TensorName,
    /// Its shape for one track, without N.
    pub shape: Vec<usize>,
}

/// The face encoder: causal, with its memory as explicit states.
///
/// Output t of a run belongs to the frame that went in `delay_ticks` earlier; the first
/// `delay_ticks` outputs of a track mean nothing. At a track's true end the caller feeds
/// `delay_ticks` more frames with `valid` 0. What comes out then equals one pass over the whole
/// track, zero padding at both ends included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaceGraph {
    /// The graph.
    pub file: FileName,
    /// Crops `[N,T,size,size]`, grey 0..255.
    pub frames: TensorName,
    /// `[N,T]`: 1 for a real frame, 0 for one beyond the true end of the track.
    pub valid: TensorName,
    /// Ticks between a frame and its output.
    pub delay_ticks: usize,
    /// The SE vector `[N,T,channels]`, already multiplied into the embedding.
    pub gate: Option<TensorName>,
    /// `[N,T,width]`.
    pub embedding: WidthTensor,
    /// What heatmaps are made of.
    pub map: MapOutput,
    /// Its memory.
    pub states: Vec<State>,
}

/// The audio encoder: rows `[N,4T,row width]` to `[N,T,width]`, without memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioGraph {
    /// The graph.
    pub file: FileName,
    /// The rows.
    pub rows: TensorName,
    /// The embedding.
    pub embedding: WidthTensor,
    /// Ticks of context needed on each side, for an output to equal that of the whole track.
    pub reach_ticks: usize,
}

/// The head's own gate, `[N,T,channels]`: the audio channels first, then those of the face.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadGate {
    /// Its name.
    pub name: TensorName,
    /// Audio and face channels together.
    pub channels: usize,
}

/// The temporal head: embeddings of a window to two logits a tick.
///
/// The forward recurrence starts from `forward_state` (zeros at a track's start) and
/// `forward_states` gives its state after each tick, to be carried; the backward recurrence
/// starts from zero at the window's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadGraph {
    /// The graph.
    pub file: FileName,
    /// Audio embeddings `[N,T,width]`.
    pub audio: TensorName,
    /// Face embeddings `[N,T,width]`.
    pub face: TensorName,
    /// `[N,width]`: the forward recurrence's state before the window.
    pub forward_state: WidthTensor,
    /// `[N,T,width]`: its state after every tick.
    pub forward_states: TensorName,
    /// `[N,T,2]`: logits of not speaking and speaking.
    pub score: TensorName,
    /// The gate, where the head has one.
    pub gate: Option<HeadGate>,
}

/// An odd number of ticks, so that a smoothing window has a middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OddTicks(usize);

impl OddTicks {
    /// `ticks`, or `None` where it is even.
    pub const fn new(ticks: usize) -> Option<Self> {
        if ticks % 2 == 1 {
            Some(Self(ticks))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> usize {
        self.0
    }
}

/// When a score counts as speaking.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// Smoothed scores above it are speaking.
    pub threshold: Probability,
    /// Length of the centred mean over scores; 1 is no smoothing.
    pub smoothing_ticks: OddTicks,
    /// Where these figures come from.
    pub why: String,
}

/// How a heatmap is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplainMode {
    /// The paper's rule: channels whose gate lies above mean + 1.282 std.
    Paper,
    /// Channels by gate × pooled activation.
    GateActivation,
    /// Signed effect of removing each channel.
    Ablation,
    /// No heatmap.
    None,
}

impl ExplainMode {
    /// The modes by the names that manifests and options use.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("paper", Self::Paper),
        ("gate-activation", Self::GateActivation),
        ("ablation", Self::Ablation),
        ("none", Self::None),
    ];

    /// The mode's name.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, mode)| *mode == self);
        named.expect("every mode is in the table").0
    }
}

/// Which heatmap a package is best shown with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explain {
    /// The mode.
    pub default_mode: ExplainMode,
    /// Where the choice comes from.
    pub why: String,
}

/// Ticks after the scored one that the head is given. The encoders' own reach comes on top.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lookahead {
    /// When reading a file.
    pub file: usize,
    /// When following a camera.
    pub live: usize,
}

/// A streaming speaker model.
#[derive(Clone, PartialEq, Debug)]
pub struct SpeakerManifest {
    /// What the encoders are fed.
    pub features: Features,
    /// The face encoder.
    pub face: FaceGraph,
    /// The audio encoder.
    pub audio: AudioGraph,
    /// The temporal head.
    pub head: HeadGraph,
    /// When a score counts as speaking.
    pub decision: Decision,
    /// Which heatmap is the default.
    pub explain: Explain,
    /// How far the head looks ahead.
    pub lookahead_ticks: Lookahead,
}

impl SpeakerManifest {
    pub(super) fn check(raw: &RawSpeaker, check: &Checker<'_>) -> Result<Self, ModelError> {
        let face = face(&raw.face, check)?;
        let audio = audio(&raw.audio, check)?;
        let head = head(&raw.head, check)?;
        let smoothing = check.count("decision.smoothing_ticks", raw.decision.smoothing_ticks, 1)?;
        let smoothing_ticks = OddTicks::new(smoothing).ok_or_else(|| {
            let problem = format!("is {smoothing}; it must be odd, so that the mean has a middle");
            check.wrong("decision.smoothing_ticks", problem)
        })?;
        let modes = &ExplainMode::NAMES;
        let default_mode = check.word("explain.default_mode", &raw.explain.default_mode, modes)?;
        let gated = face.gate.is_some() || head.gate.is_some();
        if !gated
            && matches!(
                default_mode,
                ExplainMode::Paper | ExplainMode::GateActivation
            )
        {
            let problem = "needs a gate, but neither `face.gate` nor `head.gate` names one; \
                           name one, or use \"ablation\" or \"none\"";
            return Err(check.wrong("explain.default_mode", problem));
        }
        let both = face.embedding.width + audio.embedding.width;
        if let Some(gate) = head.gate.as_ref().filter(|gate| gate.channels != both) {
            let problem = format!(
                "is {}; it must be audio and face embedding together, {both}",
                gate.channels
            );
            return Err(check.wrong("head.gate.channels", problem));
        }
        Ok(Self {
            features: features(&raw.features, check)?,
            face,
            audio,
            head,
            decision: Decision {
                threshold: check.probability("decision.threshold", raw.decision.threshold)?,
                smoothing_ticks,
                why: check.text("decision.why", &raw.decision.why)?,
            },
            explain: Explain {
                default_mode,
                why: check.text("explain.why", &raw.explain.why)?,
            },
            lookahead_ticks: Lookahead {
                file: check.count("lookahead_ticks.file", raw.lookahead_ticks.file, 0)?,
                live: check.count("lookahead_ticks.live", raw.lookahead_ticks.live, 0)?,
            },
        })
    }

    /// What the three graphs must look like: face, audio, head.
    pub fn contracts(&self) -> Vec<GraphContract> {
        vec![
            self.face_contract(),
            self.audio_contract(),
            self.head_contract(),
        ]
    }

    /// What the face encoder must look like.
    pub fn face_contract(&self) -> GraphContract {
        let size = self.features.crop.size_px();
        let face = &self.face;
        let mut inputs = vec![ticks(&face.frames, &[size, size]), ticks(&face.valid, &[])];
        let map = &face.map;
        let mut outputs = vec![
            ticks(&face.embedding.name, &[face.embedding.width]),
            ticks(&map.name, &[map.channels, map.height, map.width]),
        ];
        outputs.extend(face.gate.iter().map(|gate| ticks(gate, &[map.channels])));
        for state in &face.states {
            inputs.push(tracks(&state.input, &state.shape));
            outputs.push(tracks(&state.output, &state.shape));
        }
        GraphContract {
            file: face.file.clone(),
            inputs,
            outputs,
        }
    }

    /// What the audio encoder must look like.
    pub fn audio_contract(&self) -> GraphContract {
        let audio = &self.audio;
        GraphContract {
            file: audio.file.clone(),
            inputs: vec![ticks(&audio.rows, &[self.features.audio.row_width()])],
            outputs: vec![ticks(&audio.embedding.name, &[audio.embedding.width])],
        }
    }

    /// What the temporal head must look like.
    pub fn head_contract(&self) -> GraphContract {
        let head = &self.head;
        let state = head.forward_state.width;
        let mut outputs = vec![
            ticks(&head.score, &[2]),
            ticks(&head.forward_states, &[state]),
        ];
        outputs.extend(
            head.gate
                .iter()
                .map(|gate| ticks(&gate.name, &[gate.channels])),
        );
        GraphContract {
            file: head.file.clone(),
            inputs: vec![
                ticks(&head.audio, &[self.audio.embedding.width]),
                ticks(&head.face, &[self.face.embedding.width]),
                tracks(&head.forward_state.name, &[state]),
            ],
            outputs,
        }
    }
}

/// A tensor `[N,T,…]`.
fn ticks(name: &TensorName, rest: &[usize]) -> TensorContract {
    let mut dims = vec![Dim::Free("N"), Dim::Free("T")];
    dims.extend(rest.iter().map(|&n| Dim::Fixed(n)));
    TensorContract {
        name: name.as_str().to_owned(),
        dims,
    }
}

/// A tensor `[N,…]`.
fn tracks(name: &TensorName, rest: &[usize]) -> TensorContract {
    let mut dims = vec![Dim::Free("N")];
    dims.extend(rest.iter().map(|&n| Dim::Fixed(n)));
    TensorContract {
        name: name.as_str().to_owned(),
        dims,
    }
}

fn features(raw: &RawFeatures, check: &Checker<'_>) -> Result<Features, ModelError> {
    let crops = [("light-asd-112-grey", CropRecipe::LightAsd112Grey)];
    let crop = check.word("features.crop", &raw.crop, &crops)?;
    let rows = [
        ("mfcc-13", AudioRecipe::Mfcc13),
        ("log-mel-40", AudioRecipe::LogMel40),
    ];
    let audio = check.word("features.audio", &raw.audio, &rows)?;
    let fixed = [
        (
            "features.crop_size_px",
            raw.crop_size_px,
            crop.size_px() as i64,
        ),
        (
            "features.ticks_per_second",
            raw.ticks_per_second,
            Tick::PER_SECOND,
        ),
    ];
    for (key, value, needed) in fixed {
        if value != needed {
            let problem = format!("is {value}; the recipe \"{}\" gives {needed}", raw.crop);
            return Err(check.wrong(key, problem));
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

fn face(raw: &RawFace, check: &Checker<'_>) -> Result<FaceGraph, ModelError> {
    let map = MapOutput {
        name: check.tensor("face.map.name", &raw.map.name)?,
        channels: check.count("face.map.channels", raw.map.channels, 1)?,
        height: check.count("face.map.height", raw.map.height, 1)?,
        width: check.count("face.map.width", raw.map.width, 1)?,
    };
    let embedding = width("face.embedding", &raw.embedding, check)?;
    if embedding.width != map.channels {
        let problem = format!(
            "is {}; it must be `face.map.channels`, {}: the embedding is the map's maximum",
            embedding.width, map.channels
        );
        return Err(check.wrong("face.embedding.width", problem));
    }
    let states = raw.states.iter().enumerate().map(|(i, state)| {
        let key = |name: &str| format!("face.states[{i}].{name}");
        let shape = state
            .shape
            .iter()
            .map(|&n| check.count(&key("shape"), n, 1));
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
        gate: raw
            .gate
            .as_deref()
            .map(|gate| check.tensor("face.gate", gate))
            .transpose()?,
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
        check.word("head.gate.layout", &gate.layout, &[("audio-face", ())])?;
        Ok(HeadGate {
            name: check.tensor("head.gate.name", &gate.name)?,
            channels: check.count("head.gate.channels", gate.channels, 1)?,
        })
    });
    Ok(HeadGraph {
        file: check.file_name("head.file", &raw.file)?,
        audio: check.tensor("head.audio", &raw.audio)?,
        face: check.tensor("head.face", &raw.face)?,
        forward_state: width("head.forward_state", &raw.forward_state, check)?,
        forward_states: check.tensor("head.forward_states", &raw.forward_states)?,
        score: check.tensor("head.score", &raw.score)?,
        gate: gate.transpose()?,
    })
}
