//! The part of a manifest that describes a streaming speaker model.
//!
//! N is the number of tracks in a run and T the number of ticks; both are free in every run. All
//! tensors are float32.

use std::collections::BTreeMap;

use super::check::{FileName, TensorName};
use crate::core::evidence::Probability;
use crate::models::contract::{Dim, GraphContract, TensorContract};
use crate::models::explain::Mode;
use crate::models::explain::ScaleRule;

/// How a face becomes the frame that the face encoder takes.
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

/// How audio becomes the rows that the audio encoder takes: 16 kHz mono, framing of
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
    /// The frame.
    pub crop: CropRecipe,
    /// The audio.
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

/// The part of the crop that a feature map covers, in pixels of the crop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapArea {
    /// Pixels left of it.
    pub left: usize,
    /// Pixels above it.
    pub top: usize,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

/// The feature map output, `[N,T,channels,height,width]`: post-ReLU, before any gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapOutput {
    /// Its name.
    pub name: TensorName,
    /// Channels; the gate has one number for each.
    pub channels: usize,
    /// Cells down.
    pub height: usize,
    /// Cells across.
    pub width: usize,
    /// What of the crop it covers.
    pub area: MapArea,
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
    /// `[N,T,channels,width]`: what each gated channel adds to the embedding, for a graph whose
    /// embedding is a sum over channels. Without it the embedding has one number a channel.
    pub contributions: Option<TensorName>,
    /// `[N,T,width]`.
    pub embedding: WidthTensor,
    /// What heatmaps are made of.
    pub map: MapOutput,
    /// Its memory.
    pub states: Vec<State>,
}

impl FaceGraph {
    /// Values of each state, for one track.
    pub fn state_sizes(&self) -> Vec<usize> {
        self.states.iter().map(|state| state.shape.iter().product()).collect()
    }
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
/// starts from zero at the window's end. A head that compares across its window (`past_ticks`
/// above 0) is given the past again instead, and always starts from zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadGraph {
    /// The graph.
    pub file: FileName,
    /// Audio embeddings `[N,T,width]`.
    pub audio: TensorName,
    /// Face embeddings `[N,T,width]`.
    pub face: TensorName,
    /// Ticks before the scored ones that every window holds again, where the track has them; 0
    /// for a head whose state is carried.
    pub past_ticks: usize,
    /// `[N,width]`: the forward recurrence's state before the window.
    pub forward_state: WidthTensor,
    /// `[N,T,width]`: its state after every tick.
    pub forward_states: TensorName,
    /// `[N,T,2]`: logits of not speaking and speaking.
    pub score: TensorName,
    /// The gate, where the head has one.
    pub gate: Option<HeadGate>,
}

/// Competition: what the best rival on screen scores counts for or against a face.
///
/// Causal and without memory: outputs depend on the same and earlier ticks of the window, so that a
/// window of `past_ticks` earlier ticks and any number of new ones is exact for the new ones.
/// Where no rival is present the score stays as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrossFaceGraph {
    /// The graph.
    pub file: FileName,
    /// `[N,T]`: the face's own z = z1 − z0, before competition.
    pub score: TensorName,
    /// `[N,T]`: the largest z of the other faces.
    pub rival: TensorName,
    /// `[N,T]`: 1 where there is another face with a score, else 0.
    pub present: TensorName,
    /// `[N,T]`: z after competition.
    pub out: TensorName,
    /// Earlier ticks that count.
    pub past_ticks: usize,
}

/// An odd number of ticks, so that a smoothing window has a middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OddTicks(usize);

impl OddTicks {
    /// `ticks`, or `None` where it is even.
    pub const fn new(ticks: usize) -> Option<Self> {
        if ticks % 2 == 1 { Some(Self(ticks)) } else { None }
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

/// Which heatmap a package is best shown with.
#[derive(Clone, PartialEq, Debug)]
pub struct Explain {
    /// The mode.
    pub default_mode: Mode,
    /// Where the choice comes from.
    pub why: String,
    /// By mode, the 99th percentile of a map's raw cells while a person speaks clearly: what the
    /// running scale starts from.
    pub typical: BTreeMap<&'static str, f32>,
}

impl Explain {
    /// The scale of `mode`'s maps; 1 where the package does not say.
    pub fn scale(&self, mode: Mode) -> ScaleRule {
        let typical = self.typical.get(mode.name()).copied().unwrap_or(1.0);
        ScaleRule::new(typical).unwrap_or_default()
    }
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
    /// How faces compete, where they do.
    pub cross_face: Option<CrossFaceGraph>,
    /// When a score counts as speaking.
    pub decision: Decision,
    /// Which heatmap is the default.
    pub explain: Explain,
    /// How far the head looks ahead.
    pub lookahead_ticks: Lookahead,
}

impl SpeakerManifest {
    /// What the graphs must look like: face, audio, head, and competition where there is one.
    pub fn contracts(&self) -> Vec<GraphContract> {
        let mut all = vec![self.face_contract(), self.audio_contract(), self.head_contract()];
        all.extend(self.compete_contract());
        all
    }

    /// What the graph of competition must look like.
    pub fn compete_contract(&self) -> Option<GraphContract> {
        let cross_face = self.cross_face.as_ref()?;
        let inputs = [&cross_face.score, &cross_face.rival, &cross_face.present];
        Some(GraphContract {
            file: cross_face.file.clone(),
            inputs: inputs.into_iter().map(|name| ticks(name, &[])).collect(),
            outputs: vec![ticks(&cross_face.out, &[])],
        })
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
        let shares = [map.channels, face.embedding.width];
        outputs.extend(face.contributions.iter().map(|name| ticks(name, &shares)));
        for state in &face.states {
            inputs.push(tracks(&state.input, &state.shape));
            outputs.push(tracks(&state.output, &state.shape));
        }
        GraphContract { file: face.file.clone(), inputs, outputs }
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
        let mut outputs = vec![ticks(&head.score, &[2]), ticks(&head.forward_states, &[state])];
        outputs.extend(head.gate.iter().map(|gate| ticks(&gate.name, &[gate.channels])));
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
    TensorContract { name: name.as_str().to_owned(), dims }
}

/// A tensor `[N,…]`.
fn tracks(name: &TensorName, rest: &[usize]) -> TensorContract {
    let mut dims = vec![Dim::Free("N")];
    dims.extend(rest.iter().map(|&n| Dim::Fixed(n)));
    TensorContract { name: name.as_str().to_owned(), dims }
}
