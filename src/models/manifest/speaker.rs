//! The part of a manifest that describes a streaming speaker model.
//!
//! N is the number of tracks in a run and T the number of ticks; both are dynamic. All tensors are
//! float32.

use std::collections::BTreeMap;

use super::values::{FileName, TensorName};
use crate::core::evidence::Probability;
use crate::models::contract::{Dim, GraphContract, TensorContract};
use crate::models::explain::{Mode, ScaleRule};

/// How the face encoder's crop is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CropRecipe {
    /// The crop of the released Light-ASD demo: grey 0..255, full range, 112×112 px.
    LightAsd112Grey,
}

impl CropRecipe {
    /// Width and height in pixels.
    pub const fn size_px(self) -> usize {
        match self {
            Self::LightAsd112Grey => 112,
        }
    }
}

/// How the audio encoder's feature rows are made: 16 kHz mono, framing of python_speech_features
/// (25 ms window, 10 ms step).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioRecipe {
    /// 13 MFCC, int16 scale, the first replaced by energy.
    Mfcc13,
    /// 40 log-mel energies.
    LogMel40,
}

impl AudioRecipe {
    /// Feature rows per tick of 40 ms.
    pub const ROWS_PER_TICK: usize = 4;

    /// Values in a row.
    pub const fn row_width(self) -> usize {
        match self {
            Self::Mfcc13 => 13,
            Self::LogMel40 => 40,
        }
    }
}

/// The encoders' inputs, at 25 ticks per second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// The face crop.
    pub crop: CropRecipe,
    /// The audio features.
    pub audio: AudioRecipe,
}

/// A tensor whose last dimension is `width`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WidthTensor {
    /// Its name.
    pub name: TensorName,
    /// Values for each track and tick.
    pub width: usize,
}

/// The part of the crop that a feature map covers, in pixels of the crop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapArea {
    /// Left edge.
    pub left: usize,
    /// Top edge.
    pub top: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

/// The feature map output, `[N,T,channels,height,width]`: post-ReLU, before any gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapOutput {
    /// Its name.
    pub name: TensorName,
    /// Channels; the gate has one value for each.
    pub channels: usize,
    /// Cells down.
    pub height: usize,
    /// Cells across.
    pub width: usize,
    /// The part of the crop that it covers.
    pub area: MapArea,
}

/// A state of the face encoder: `output` of one run is `input` of the next; zeros for a new track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The graph's input.
    pub input: TensorName,
    /// The graph's output.
    pub output: TensorName,
    /// Its shape for one track, without N.
    pub shape: Vec<usize>,
}

/// The face encoder: causal, with explicit states.
///
/// Output t of a run belongs to the frame `delay_ticks` earlier; the first `delay_ticks` outputs of
/// a track are meaningless. At a track's true end the caller feeds `delay_ticks` more frames with
/// `valid` 0. The outputs then equal one pass over the whole track, with zero padding at both ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaceGraph {
    /// The graph.
    pub file: FileName,
    /// Crops `[N,T,size,size]`, grey 0..255.
    pub frames: TensorName,
    /// `[N,T]`: 1 for a frame of the track, 0 after its true end.
    pub valid: TensorName,
    /// Ticks between a frame and its output.
    pub delay_ticks: usize,
    /// The SE vector `[N,T,channels]`, already multiplied into the embedding.
    pub gate: Option<TensorName>,
    /// `[N,T,channels,width]`: each gated channel's contribution to the embedding, for a graph
    /// whose embedding is a sum over channels. Without it the embedding has one value per channel.
    pub contributions: Option<TensorName>,
    /// `[N,T,width]`.
    pub embedding: WidthTensor,
    /// The feature map for heatmaps.
    pub map: MapOutput,
    /// Its states.
    pub states: Vec<State>,
}

impl FaceGraph {
    /// Values of each state, for one track.
    pub fn state_sizes(&self) -> Vec<usize> {
        self.states.iter().map(|state| state.shape.iter().product()).collect()
    }
}

/// The audio encoder: rows `[N,4T,row width]` to `[N,T,width]`, stateless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioGraph {
    /// The graph.
    pub file: FileName,
    /// The rows.
    pub rows: TensorName,
    /// The embedding.
    pub embedding: WidthTensor,
    /// Ticks of context on each side that make an output equal to that of the whole track.
    pub reach_ticks: usize,
}

/// The head's gate, `[N,T,channels]`: the audio channels first, then the face channels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadGate {
    /// Its name.
    pub name: TensorName,
    /// Audio and face channels together.
    pub channels: usize,
}

/// The temporal head: embeddings of a window to two logits per tick.
///
/// The forward recurrence starts from `forward_state` (zeros at a track's start), and
/// `forward_states` outputs its state after each tick for the next window. The backward recurrence
/// starts from zeros at the window's end. A head that compares across its window (`past_ticks`
/// above 0) gets the past ticks again instead, and always starts from zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadGraph {
    /// The graph.
    pub file: FileName,
    /// Audio embeddings `[N,T,width]`.
    pub audio: TensorName,
    /// Face embeddings `[N,T,width]`.
    pub face: TensorName,
    /// Past ticks that every window repeats, as far as the track has them; 0 for a head whose state
    /// is carried.
    pub past_ticks: usize,
    /// `[N,width]`: the forward recurrence's state before the window.
    pub forward_state: WidthTensor,
    /// `[N,T,width]`: its state after each tick.
    pub forward_states: TensorName,
    /// `[N,T,2]`: logits of not speaking and speaking.
    pub score: TensorName,
    /// The head's gate, if any.
    pub gate: Option<HeadGate>,
}

/// Cross-face rescoring: adjusts a face's score by the best score of the other faces (the rival).
///
/// Causal and stateless: outputs depend on the same and earlier ticks, so that a window of
/// `past_ticks` earlier ticks and any number of new ones is exact for the new ones. Without a rival
/// the score is unchanged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrossFaceGraph {
    /// The graph.
    pub file: FileName,
    /// `[N,T]`: the face's z = z1 − z0 before rescoring.
    pub score: TensorName,
    /// `[N,T]`: the largest z of the other faces.
    pub rival: TensorName,
    /// `[N,T]`: 1 where there is another face with a score, else 0.
    pub present: TensorName,
    /// `[N,T]`: z after rescoring.
    pub out: TensorName,
    /// Past ticks that the output depends on.
    pub past_ticks: usize,
}

/// An odd number of ticks, so that a smoothing window has a middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OddTicks(usize);

impl OddTicks {
    /// `ticks`, or `None` if it is even.
    pub const fn new(ticks: usize) -> Option<Self> {
        if ticks % 2 == 1 { Some(Self(ticks)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> usize {
        self.0
    }
}

/// The speaking decision.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// Smoothed scores above it mean speaking.
    pub threshold: Probability,
    /// Length of the centred moving average of scores; 1 means none.
    pub smoothing_ticks: OddTicks,
    /// The reason for these values.
    pub why: String,
}

/// The default heatmap of a package.
#[derive(Clone, PartialEq, Debug)]
pub struct Explain {
    /// The mode.
    pub default_mode: Mode,
    /// The reason for this mode.
    pub why: String,
    /// For each mode, the 99th percentile of a map's raw cells while a person speaks clearly: the
    /// initial value of the running scale.
    pub typical: BTreeMap<&'static str, f32>,
}

impl Explain {
    /// The scale of `mode`'s maps; 1 by default.
    pub fn scale(&self, mode: Mode) -> ScaleRule {
        let typical = self.typical.get(mode.name()).copied().unwrap_or(1.0);
        ScaleRule::new(typical).unwrap_or_default()
    }
}

/// Future ticks that the head gets. The encoders' own context adds to this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lookahead {
    /// For files.
    pub file: usize,
    /// For live streams.
    pub live: usize,
}

/// A streaming speaker model.
#[derive(Clone, PartialEq, Debug)]
pub struct SpeakerManifest {
    /// The encoders' inputs.
    pub features: Features,
    /// The face encoder.
    pub face: FaceGraph,
    /// The audio encoder.
    pub audio: AudioGraph,
    /// The temporal head.
    pub head: HeadGraph,
    /// Cross-face rescoring, if any.
    pub cross_face: Option<CrossFaceGraph>,
    /// The speaking decision.
    pub decision: Decision,
    /// The default heatmap.
    pub explain: Explain,
    /// The head's lookahead.
    pub lookahead_ticks: Lookahead,
}

impl SpeakerManifest {
    /// The contracts of all graphs: face, audio, head, and cross-face rescoring if any.
    pub fn contracts(&self) -> Vec<GraphContract> {
        let mut all = vec![self.face_contract(), self.audio_contract(), self.head_contract()];
        all.extend(self.cross_face_contract());
        all
    }

    /// The contract of the cross-face graph.
    pub fn cross_face_contract(&self) -> Option<GraphContract> {
        let cross_face = self.cross_face.as_ref()?;
        let inputs = [&cross_face.score, &cross_face.rival, &cross_face.present];
        Some(GraphContract {
            file: cross_face.file.clone(),
            inputs: inputs.into_iter().map(|name| ticks(name, &[])).collect(),
            outputs: vec![ticks(&cross_face.out, &[])],
        })
    }

    /// The face encoder's contract.
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
        let dims = [map.channels, face.embedding.width];
        outputs.extend(face.contributions.iter().map(|name| ticks(name, &dims)));
        for state in &face.states {
            inputs.push(tracks(&state.input, &state.shape));
            outputs.push(tracks(&state.output, &state.shape));
        }
        GraphContract { file: face.file.clone(), inputs, outputs }
    }

    /// The audio encoder's contract.
    pub fn audio_contract(&self) -> GraphContract {
        let audio = &self.audio;
        GraphContract {
            file: audio.file.clone(),
            inputs: vec![ticks(&audio.rows, &[self.features.audio.row_width()])],
            outputs: vec![ticks(&audio.embedding.name, &[audio.embedding.width])],
        }
    }

    /// The temporal head's contract.
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
