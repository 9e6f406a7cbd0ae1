//! The floor's second part: the cost of the graphs alone, on prepared tensors and one thread.
//!
//! On a CPU it is the CPU time of the thread that runs them, as the whole path is measured in CPU
//! seconds too. It is a mean, as the whole path's cost is: a minimum would show the machine's best
//! moment.

use std::time::Instant;

use serde::Serialize;

use super::resource_usage::thread_cpu_seconds;
use crate::models::Package;
use crate::models::manifest::InputSize;
use crate::models::speaker_model::{FaceJob, FaceState, HeadJob};
use crate::onnx::engine::EngineError;
use crate::onnx::providers::Provider;
use crate::onnx::session::{SessionError, SessionOptions, open};
use crate::onnx::speaker::SpeakerGraphs;
use crate::run::RunError;
use crate::stages::score::budget::Stride;

/// Ticks of audio per call, without context.
const AUDIO_CHUNK: usize = 10;
/// Ticks that the head gives per call.
pub(crate) const HEAD_HOP: usize = 5;
/// The long side of the detector's input, in pixels.
const LONG_SIDE_PX: u32 = 320;
/// Number of calls before the measurement, and the minimum number during it.
const WARM_UP: usize = 3;
const CALLS: usize = 45;
/// Minimum duration: the calls of a small graph may otherwise all fall into one slow moment.
const MIN_SECONDS: f64 = 0.5;

/// Times in milliseconds, on one thread.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct GraphTimes {
    /// A detection at a long side of 320.
    pub detection_ms: f64,
    /// A face-frame through the face encoder.
    pub face_ms: f64,
    /// A tick of audio through the audio encoder.
    pub audio_ms: f64,
    /// A call of the head for 5 ticks of one face.
    pub head_ms: f64,
}

impl GraphTimes {
    /// Runs the graphs of both packages.
    ///
    /// # Errors
    /// If a graph cannot be opened or run.
    pub(crate) fn measure(
        speaker: &Package,
        detector: &Package,
        frame_size: (u32, u32),
        options: &SessionOptions,
    ) -> Result<Self, RunError> {
        let mut graphs = SpeakerGraphs::open(speaker, options).map_err(engine)?;
        let detection_ms = detection(detector, frame_size, options).map_err(engine)?;
        Ok(Self {
            detection_ms,
            face_ms: face(&mut graphs)?,
            audio_ms: audio(&mut graphs)? / AUDIO_CHUNK as f64,
            head_ms: head(&mut graphs, speaker)?,
        })
    }

    /// The mean of two measurements.
    #[must_use]
    pub(crate) fn mean(self, other: Self) -> Self {
        Self {
            detection_ms: self.detection_ms.midpoint(other.detection_ms),
            face_ms: self.face_ms.midpoint(other.face_ms),
            audio_ms: self.audio_ms.midpoint(other.audio_ms),
            head_ms: self.head_ms.midpoint(other.head_ms),
        }
    }
}

fn engine(error: SessionError) -> RunError {
    EngineError::from(error).into()
}

/// The mean time of a call in ms: CPU time of the thread on a CPU, wall time on other devices.
fn timed<E>(provider: Provider, mut call: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    for _ in 0..WARM_UP {
        call()?;
    }
    let (clock, cpu, mut calls) = (Instant::now(), thread_cpu_seconds(), 0);
    while calls < CALLS || clock.elapsed().as_secs_f64() < MIN_SECONDS {
        call()?;
        calls += 1;
    }
    let seconds = match provider {
        Provider::Cpu => thread_cpu_seconds() - cpu,
        Provider::Cuda { .. } | Provider::TensorRt { .. } => clock.elapsed().as_secs_f64(),
    };
    Ok(seconds * 1_000.0 / calls as f64)
}

fn detection(
    package: &Package,
    (width, height): (u32, u32),
    options: &SessionOptions,
) -> Result<f64, SessionError> {
    let detector = package.detector()?.clone();
    let mut graph = open(package, &detector.file, options)?;
    let scale = f64::from(LONG_SIDE_PX) / f64::from(width.max(height).max(1));
    let side = |n: u32| ((f64::from(n) * scale.min(1.0)).round() as usize).max(1).div_ceil(32) * 32;
    let (w, h) = match detector.input_size {
        InputSize::Free => (side(width), side(height)),
        InputSize::Fixed { width_px, height_px } => (width_px, height_px),
    };
    let (values, dims) = (vec![127.0; 3 * w * h], [1, 3, h, w]);
    let output = format!("bbox_{}", detector.strides[0]);
    timed(graph.provider, || {
        graph.run(&[(detector.input.as_str(), &dims, &values)], &[&output]).map(drop)
    })
}

/// The time per face-frame, with the chunk size for files.
fn face(graphs: &mut SpeakerGraphs) -> Result<f64, RunError> {
    let shape = graphs.shape().clone();
    let ticks = Stride::FILE.limited_for(&shape.face_states).face_chunk_ticks;
    let mut state: Option<FaceState> = Some(shape.fresh_face_state());
    let call = timed(graphs.provider(), || {
        let state_in = state.take().unwrap_or_else(|| shape.fresh_face_state());
        let job = FaceJob {
            state: state_in,
            crops: vec![127; ticks * shape.crop_len()],
            valid: vec![1.0; ticks],
            contributions: false,
        };
        let mut answers = graphs.faces.encode(vec![job])?;
        state = answers.pop().map(|a| a.state);
        Ok::<_, RunError>(())
    })?;
    Ok(call / ticks as f64)
}

fn audio(graphs: &mut SpeakerGraphs) -> Result<f64, RunError> {
    let shape = graphs.shape().clone();
    let ticks = AUDIO_CHUNK + 2 * shape.audio_reach_ticks;
    let rows = vec![1.0; ticks * shape.rows_per_tick * shape.row_width];
    timed(graphs.provider(), || {
        graphs.audio_head.encode_audio(&rows, ticks).map(drop).map_err(RunError::from)
    })
}

fn head(graphs: &mut SpeakerGraphs, speaker: &Package) -> Result<f64, RunError> {
    let shape = graphs.shape().clone();
    let ahead = speaker.speaker()?.lookahead_ticks.live;
    let ticks = shape.past_ticks + HEAD_HOP + ahead;
    let values = vec![0.1; ticks * shape.embedding];
    timed(graphs.provider(), || {
        let job = HeadJob {
            rows: 1,
            ticks,
            audio: values.clone(),
            face: values.clone(),
            forward: shape.fresh_forward_state(),
        };
        graphs.audio_head.run_heads(vec![job]).map(drop).map_err(RunError::from)
    })
}
