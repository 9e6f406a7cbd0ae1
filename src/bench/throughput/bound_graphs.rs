//! The bare engine: a package's graphs bound to fixed memory, on prepared tensors.

use std::time::Instant;

use super::rate::{MeasurementLength, Rate};
use crate::models::Package;
use crate::models::manifest::{AudioRecipe, FileName, SpeakerManifest, State};
use crate::onnx::bound::{BindingPlan, BoundGraph, StateSpec, TensorSpec};
use crate::onnx::engine::EngineError;
use crate::onnx::session::{SessionError, SessionOptions};
use crate::run::RunError;

/// Calls before the measurement.
const WARM_UP: usize = 2;

/// Face encoder, head and audio encoder for a number of faces.
pub(crate) struct BoundGraphs {
    graphs: [BoundGraph; 3],
    face_frames: usize,
}

fn engine(error: SessionError) -> RunError {
    EngineError::from(error).into()
}

fn spec(name: &str, dims: &[usize]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), dims: dims.to_vec() }
}

impl BoundGraphs {
    /// Binds the graphs of `package` for calls with `frames_per_call` frames of each of `faces`
    /// faces on `streams` streams.
    ///
    /// # Errors
    /// If a graph cannot be opened or bound.
    pub(crate) fn open(
        package: &Package,
        options: &SessionOptions,
        (faces, streams): (usize, usize),
        frames_per_call: usize,
    ) -> Result<Self, RunError> {
        let manifest = package.speaker()?;
        let bind = |file: &FileName, plan: &BindingPlan| -> Result<BoundGraph, RunError> {
            let mut graph = BoundGraph::open(package, file, options, plan).map_err(engine)?;
            for at in 0..plan.inputs.len() {
                graph.input(at).map_err(engine)?.fill(1.0);
            }
            Ok(graph)
        };
        let graphs = [
            bind(&manifest.face.file, &face(manifest, faces, frames_per_call))?,
            bind(&manifest.head.file, &head(manifest, faces, frames_per_call))?,
            bind(&manifest.audio.file, &audio(manifest, streams, frames_per_call))?,
        ];
        Ok(Self { graphs, face_frames: faces * frames_per_call })
    }

    /// Whether the GPU replays all calls (CUDA graphs).
    pub(crate) fn replayed(&self) -> bool {
        self.graphs.iter().all(BoundGraph::replayed)
    }

    /// Whether the host memory is page-locked.
    pub(crate) fn pinned(&self) -> bool {
        self.graphs.iter().all(BoundGraph::pinned)
    }

    /// Makes calls and measures their rate.
    ///
    /// # Errors
    /// If the runtime fails.
    pub(crate) fn rate(&mut self, length: MeasurementLength) -> Result<Rate, RunError> {
        for _ in 0..WARM_UP {
            self.call()?;
        }
        let (began, mut calls) = (Instant::now(), Vec::new());
        while !length.is_reached(began, calls.len()) {
            let one = Instant::now();
            self.call()?;
            calls.push(one.elapsed());
        }
        let face_frames = calls.len() * self.face_frames;
        Ok(Rate::new(calls, face_frames, began.elapsed()))
    }

    fn call(&mut self) -> Result<(), RunError> {
        self.graphs.iter_mut().try_for_each(BoundGraph::run).map_err(engine)
    }
}

fn face(manifest: &SpeakerManifest, faces: usize, frames_per_call: usize) -> BindingPlan {
    let (face, side) = (&manifest.face, manifest.features.crop.size_px());
    let map = &face.map;
    let of = |name: &str, rest: &[usize]| spec(name, &[&[faces, frames_per_call], rest].concat());
    let mut outputs = vec![
        of(face.embedding.name.as_str(), &[face.embedding.width]),
        of(map.name.as_str(), &[map.channels, map.height, map.width]),
    ];
    outputs.extend(face.gate.iter().map(|gate| of(gate.as_str(), &[map.channels])));
    let state = |state: &State| StateSpec {
        input: state.input.as_str().to_owned(),
        output: state.output.as_str().to_owned(),
        dims: [&[faces], state.shape.as_slice()].concat(),
    };
    BindingPlan {
        inputs: vec![of(face.frames.as_str(), &[side, side]), of(face.valid.as_str(), &[])],
        outputs,
        states: face.states.iter().map(state).collect(),
    }
}

/// One window for every face: the head's input in a live stream for this number of new ticks.
fn head(manifest: &SpeakerManifest, faces: usize, frames_per_call: usize) -> BindingPlan {
    let head = &manifest.head;
    let ticks = head.past_ticks + frames_per_call + manifest.lookahead_ticks.live;
    let embedding = manifest.face.embedding.width;
    let state = head.forward_state.width;
    let mut outputs = vec![spec(head.score.as_str(), &[faces, ticks, 2])];
    if head.past_ticks == 0 {
        outputs.push(spec(head.forward_states.as_str(), &[faces, ticks, state]));
    }
    let gates = head.gate.iter();
    outputs.extend(gates.map(|gate| spec(gate.name.as_str(), &[faces, ticks, gate.channels])));
    BindingPlan {
        inputs: vec![
            spec(head.audio.as_str(), &[faces, ticks, embedding]),
            spec(head.face.as_str(), &[faces, ticks, embedding]),
            spec(head.forward_state.name.as_str(), &[faces, state]),
        ],
        outputs,
        states: Vec::new(),
    }
}

fn audio(manifest: &SpeakerManifest, streams: usize, frames_per_call: usize) -> BindingPlan {
    let audio = &manifest.audio;
    let ticks = frames_per_call + 2 * audio.reach_ticks;
    let (rows, width) = (ticks * AudioRecipe::ROWS_PER_TICK, manifest.features.audio.row_width());
    BindingPlan {
        inputs: vec![spec(audio.rows.as_str(), &[streams, rows, width])],
        outputs: vec![spec(
            audio.embedding.name.as_str(),
            &[streams, ticks, audio.embedding.width],
        )],
        states: Vec::new(),
    }
}
