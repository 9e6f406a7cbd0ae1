//! How many faces a device can follow: face-frames a second by batch, of the bare engine and from
//! frames in memory to heatmaps.
//!
//! Takes speaker packages and batches (faces at once); gives, for each, two rates with the latency
//! of their calls. *Bare* is the ceiling: graphs bound to fixed memory on tensors that are ready, a
//! call being some frames of every face through the face encoder, the head once for every face,
//! and the audio of their streams; copies to and from the device are included, as nobody can do
//! without. *End to end* is what the program does between decoding and encoding: several streams on
//! threads of their own share one engine, and cut crops, encode, judge, let faces compete, and make
//! every face's heatmap to its scale. Its call is one hop of one stream.

pub mod bound_graphs;
pub mod rate;
pub mod report;
pub mod streams;

use std::time::Duration;

use bound_graphs::BoundGraphs;
use rate::MeasurementLength;
use report::{BatchFigures, PackageFigures, Throughput};

use crate::models::Package;
use crate::models::device::Device;
use crate::models::registry::{Role, find};
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::onnx::speaker::SpeakerGraphs;
use crate::run::RunError;
use crate::stages::score::budget::Stride;

/// Faces at once, where nobody says otherwise.
pub const BATCHES: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Frames of a face in one call, where nobody says otherwise: a camera's hop.
pub const FRAMES_PER_CALL: usize = Stride::LIVE.hop;
/// Faces on one stream; more faces are more streams.
const FACES_PER_STREAM: usize = 8;
/// How long each rate is taken, and from how many calls at least.
const MEASUREMENT_LENGTH: MeasurementLength =
    MeasurementLength { time: Duration::from_secs(1), calls: 5 };

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct ThroughputOptions {
    /// Speaker packages by name or directory; the default one where none is named.
    pub packages: Vec<String>,
    /// The detector package, which an engine cannot be without; it is not used.
    pub detector: Option<String>,
    /// Where inference runs.
    pub device: Device,
    /// Faces at once.
    pub batches: Vec<usize>,
    /// Frames of a face in one call.
    pub frames_per_call: usize,
}

/// Whether `device` comes to a GPU here for the first of `packages`.
///
/// # Errors
/// Where `auto` has to be tried and the package cannot be opened.
pub fn on_gpu(device: Device, packages: &[String]) -> Result<bool, RunError> {
    match device {
        Device::Cpu => Ok(false),
        Device::Cuda { .. } | Device::TensorRt { .. } => Ok(true),
        Device::Auto => {
            let speaker = find(Role::Speaker, packages.first().map(String::as_str))?;
            let session_options = SessionOptions { device, intra_threads: 1 };
            let graphs = SpeakerGraphs::open(&speaker, &session_options)
                .map_err(|e| RunError::Engine(e.into()))?;
            Ok(graphs.provider().gpu().is_some())
        }
    }
}

/// How many streams `faces` come from.
const fn stream_count(faces: usize) -> usize {
    faces.div_ceil(FACES_PER_STREAM)
}

/// Measures both rates of every package at every batch.
///
/// # Errors
/// Where a package, a graph, the device or the runtime is not what is needed.
pub fn throughput(options: &ThroughputOptions) -> Result<Throughput, RunError> {
    let names: Vec<Option<&str>> = match options.packages.as_slice() {
        [] => vec![None],
        named => named.iter().map(|name| Some(name.as_str())).collect(),
    };
    let detector = find(Role::Detector, options.detector.as_deref())?;
    let mut device = options.device.to_string();
    let mut packages = Vec::new();
    for name in names {
        let speaker = find(Role::Speaker, name)?;
        let (figures, provider) = package(&speaker, &detector, options)?;
        packages.push(figures);
        device = provider;
    }
    Ok(Throughput { device, frames_per_call: options.frames_per_call, packages })
}

/// One package's figures, and what it ran on.
fn package(
    speaker: &Package,
    detector: &Package,
    options: &ThroughputOptions,
) -> Result<(PackageFigures, String), RunError> {
    let manifest = speaker.speaker()?;
    let session_options = SessionOptions { device: options.device, intra_threads: 1 };
    let (mut bare, mut problem) = (Vec::new(), None);
    let (mut replayed, mut pinned) = (true, true);
    for &faces in &options.batches {
        let measured = BoundGraphs::open(
            speaker,
            &session_options,
            (faces, stream_count(faces)),
            options.frames_per_call,
        )
        .and_then(|mut graphs| {
            (replayed, pinned) = (replayed && graphs.replayed(), pinned && graphs.pinned());
            graphs.rate(MEASUREMENT_LENGTH)
        });
        match measured {
            Ok(rate) => bare.push(rate),
            // A device has only so much memory: what was measured before still counts.
            Err(error) if !bare.is_empty() => {
                problem = Some(format!("{faces} faces at once: {error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    // No bound session is left when the engine opens its own.
    let engine = Engine::start(detector, speaker, &session_options)?;
    let mut batches = Vec::new();
    for (&batch, bare) in options.batches.iter().zip(bare) {
        let streams = stream_count(batch);
        match streams::rate(
            &engine,
            manifest,
            (batch, streams),
            options.frames_per_call,
            MEASUREMENT_LENGTH,
        ) {
            Ok((end_to_end, heatmaps)) => {
                let share_of_ceiling = 0.0;
                let figures =
                    BatchFigures { batch, streams, bare, end_to_end, heatmaps, share_of_ceiling };
                batches.push(figures);
            }
            Err(error) if !batches.is_empty() => {
                problem = Some(format!("{batch} faces at once: {error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let device = engine.provider().to_string();
    engine.join();
    let name = speaker.manifest().common.name.clone();
    let explain = manifest.explain.default_mode;
    let figures = PackageFigures::new(name, explain, (replayed, pinned), batches);
    Ok((PackageFigures { problem, ..figures }, device))
}
