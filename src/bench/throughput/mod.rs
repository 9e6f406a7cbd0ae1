//! Inference throughput: face-frames per second by batch, of the bare engine and end to end.
//!
//! Input: speaker packages and batches (faces at once). Output, for each: two rates with the
//! latency of their calls. *Bare* is the ceiling: graphs bound to fixed memory on prepared tensors.
//! A call is some frames of every face through the face encoder, the head once for every face, and
//! the audio of their streams. Copies to and from the device are included, as they are unavoidable.
//! *End to end* is the program's work between decoding and encoding: several streams, each on its
//! own thread, share one engine. They cut crops, encode, run the head, rescore across faces, and
//! compute every face's scaled heatmap. A call is one hop of one stream.

pub(crate) mod bound_graphs;
pub(crate) mod rate;
pub(crate) mod report;
pub(crate) mod streams;

use std::time::Duration;

use bound_graphs::BoundGraphs;
use rate::{MeasurementLength, Rate};
use report::{BatchFigures, PackageFigures, Throughput};

use crate::core::time::Span;
use crate::models::Package;
use crate::models::device::Device;
use crate::models::registry::{Role, find};
use crate::onnx::engine::{Engine, EngineError};
use crate::onnx::session::SessionOptions;
use crate::onnx::speaker::SpeakerGraphs;
use crate::pipeline::settings::{LookaheadChoice, Options, RunMode, Settings, SettingsError};
use crate::run::RunError;
use crate::stages::overlay::Style;
use crate::stages::score::budget::Stride;
use crate::stages::score::floor::FloorRules;

/// Default batches (faces at once).
pub(crate) const BATCHES: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Default number of frames of a face per call: the hop of a live stream.
pub(crate) const FRAMES_PER_CALL: usize = Stride::LIVE.hop;
/// Maximum number of faces per stream; more faces need more streams.
const FACES_PER_STREAM: usize = 8;
/// Minimum duration and number of calls for each rate.
const MEASUREMENT_LENGTH: MeasurementLength =
    MeasurementLength { time: Duration::from_secs(1), calls: 5 };

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct ThroughputOptions {
    /// Speaker packages by name or directory; empty for the default one.
    pub packages: Vec<String>,
    /// The detector package; an engine requires one, but it is not used.
    pub detector: Option<String>,
    /// The device for inference.
    pub device: Device,
    /// Faces at once.
    pub batches: Vec<usize>,
    /// Frames of a face per call.
    pub frames_per_call: usize,
}

/// Whether `device` resolves to a GPU for the first of `packages`.
///
/// # Errors
/// If `auto` has to be tried and the package cannot be opened.
pub(crate) fn on_gpu(device: Device, packages: &[String]) -> Result<bool, RunError> {
    match device {
        Device::Cpu => Ok(false),
        Device::Cuda { .. } | Device::TensorRt { .. } => Ok(true),
        Device::Auto => {
            let speaker = find(Role::Speaker, packages.first().map(String::as_str))?;
            let session_options = SessionOptions { device, intra_threads: 1 };
            let graphs =
                SpeakerGraphs::open(&speaker, &session_options).map_err(EngineError::from)?;
            Ok(graphs.provider().gpu().is_some())
        }
    }
}

/// The number of streams for `faces` faces.
const fn stream_count(faces: usize) -> usize {
    faces.div_ceil(FACES_PER_STREAM)
}

/// Measures both rates of every package at every batch.
///
/// # Errors
/// If a package, a graph, the device or the runtime fails.
pub(crate) fn throughput(options: &ThroughputOptions) -> Result<Throughput, RunError> {
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

/// A live stream's settings, with `frames_per_call` ticks at once through every graph.
fn settings(
    packages: (&Package, &Package),
    frames_per_call: usize,
) -> Result<Settings, SettingsError> {
    let options = Options {
        lookahead: LookaheadChoice::Live,
        explain: None,
        floor: FloorRules::default(),
        style: Style::default(),
    };
    let mode = RunMode::Live { hop_ticks: frames_per_call, compute_time: Span::ZERO };
    let mut settings = Settings::new(&options, packages, mode)?;
    settings.schedule.face_chunk_ticks = frames_per_call;
    Ok(settings)
}

/// What the graphs alone reach.
struct BareRates {
    /// By batch; shorter than asked for where the device has no memory for more.
    rates: Vec<Rate>,
    replayed: bool,
    pinned: bool,
    /// What ended the measurement early.
    problem: Option<String>,
}

fn bare_rates(
    speaker: &Package,
    options: &ThroughputOptions,
    session_options: &SessionOptions,
) -> Result<BareRates, RunError> {
    let mut bare = BareRates { rates: Vec::new(), replayed: true, pinned: true, problem: None };
    for &faces in &options.batches {
        let counts = (faces, stream_count(faces));
        let opened = BoundGraphs::open(speaker, session_options, counts, options.frames_per_call);
        let measured = opened.and_then(|mut graphs| {
            bare.replayed &= graphs.replayed();
            bare.pinned &= graphs.pinned();
            graphs.rate(MEASUREMENT_LENGTH)
        });
        match measured {
            Ok(rate) => bare.rates.push(rate),
            // Device memory is limited: keep the batches measured so far.
            Err(error) if !bare.rates.is_empty() => {
                bare.problem = Some(format!("{faces} faces at once: {error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bare)
}

/// One package's figures, and the provider that ran them.
fn package(
    speaker: &Package,
    detector: &Package,
    options: &ThroughputOptions,
) -> Result<(PackageFigures, String), RunError> {
    let manifest = speaker.speaker()?;
    let session_options = SessionOptions { device: options.device, intra_threads: 1 };
    let BareRates { rates, replayed, pinned, mut problem } =
        bare_rates(speaker, options, &session_options)?;
    // The bound sessions are closed before the engine opens its own.
    let engine = Engine::start(detector, speaker, &session_options)?;
    let settings = settings((speaker, detector), options.frames_per_call)?;
    let mut batches = Vec::new();
    for (&batch, bare) in options.batches.iter().zip(rates) {
        let streams = stream_count(batch);
        match streams::rate(
            &engine,
            (&settings, manifest),
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
