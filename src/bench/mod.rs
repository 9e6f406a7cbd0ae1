//! Measures the program's overhead over the minimum cost of its work.
//!
//! Input: a recording and speaker packages. Output, for each package: the cost of the whole path
//! (decode, detect, score, explain, draw, encode, audio) beside *the floor in the same run*. The
//! floor is (a) the same decoder, encoder and muxer with nothing in between, and (b) the bare
//! graphs on prepared tensors: one detection per 5 source frames at a long side of 320, every
//! face-frame through the face encoder once, every tick of audio once, and the head once per 5
//! ticks of a face. The floor depends on the clip, not on what the program does.
//!
//! CPU seconds are the process's own, user and system, of all threads. Machines are noisy, so the
//! result is a ratio within one run, and its median over several. The floor is not a bound: if the
//! program is cheaper than the floor's recipe, the ratio is below 1.
//!
//! [`throughput`] measures inference alone: how many faces a device can process.

pub(crate) mod graph_times;
pub(crate) mod report;
pub(crate) mod resource_usage;
pub(crate) mod threads;
pub(crate) mod throughput;
pub(crate) mod transcode;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graph_times::GraphTimes;
use report::{ClipCounts, PackageReport, Report, Sample, median};
use resource_usage::{ResourceUsage, measure, thread_cpu_seconds};
use threads::{CpuByThread, SAMPLER_THREAD, StageSeconds};

use crate::config::{FileSinkOptions, Pipeline, RecordPaths, parse_floor};
use crate::core::progress::Progress;
use crate::core::time::Tick;
use crate::models::device::Device;
use crate::models::explain::Mode;
use crate::models::registry::{Role, find};
use crate::onnx::session::SessionOptions;
use crate::pipeline::settings::LookaheadChoice;
use crate::run::{self, RunError};
use crate::stages::overlay::Style;
use crate::stages::score::budget::DEFAULT_BUDGET_MIB;
use crate::stages::source::gst::Recording;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct BenchOptions {
    /// Speaker packages by name or directory; empty for the default one.
    pub packages: Vec<String>,
    /// The detector package; by default the best one installed.
    pub detector: Option<String>,
    /// The device for inference.
    pub device: Device,
    /// Number of repeats.
    pub repeats: usize,
}

/// Measures the whole path over `clip` and its floor.
///
/// # Errors
/// As a run.
pub(crate) fn bench(clip: &Path, bench_options: &BenchOptions) -> Result<Report, RunError> {
    let folder = tempfile::tempdir().map_err(RunError::Scratch)?;
    let output = folder.path().join("video.mp4");
    let names: Vec<Option<String>> = match bench_options.packages.as_slice() {
        [] => vec![None],
        named => named.iter().cloned().map(Some).collect(),
    };
    let mut transcodes = Vec::new();
    let mut packages: Vec<(String, ClipCounts, Vec<Sample>)> = Vec::new();
    let detector = find(Role::Detector, bench_options.detector.as_deref())?;
    let options = SessionOptions { device: bench_options.device, intra_threads: 1 };
    let size = frame_size(clip)?;
    for _ in 0..bench_options.repeats.max(1) {
        let pipeline = pipeline(clip, &output, None, bench_options)?;
        let (done, usage) = measure(|| transcode::transcode(&pipeline));
        done?;
        transcodes.push(usage);
        for (i, name) in names.iter().enumerate() {
            let mut pipeline = self::pipeline(clip, &output, name.clone(), bench_options)?;
            let speaker = find(Role::Speaker, name.as_deref())?;
            // Before and after, as a machine's speed drifts.
            let time_graphs = || GraphTimes::measure(&speaker, &detector, size, &options);
            let bare = time_graphs()?;
            let MeasuredRun { report: run, usage, stages } = measure_run(&pipeline)?;
            let bare = bare.mean(time_graphs()?);
            pipeline.explain = Some(Mode::None);
            let without_heat = measure_run(&pipeline)?.usage.cpu_seconds;
            let face_seconds: f64 = run.summary.people.iter().map(|p| p.seen_seconds).sum();
            let per_second = run.summary.frames as f64 / run.media_seconds.max(1e-9);
            let counts = ClipCounts {
                frames: run.summary.frames,
                ticks: (run.media_seconds * Tick::PER_SECOND as f64).round() as u64,
                face_ticks: (face_seconds * Tick::PER_SECOND as f64).round() as u64,
                face_frames: (face_seconds * per_second).round() as u64,
                media_seconds: run.media_seconds,
            };
            if packages.len() <= i {
                packages.push((run.package.clone(), counts, Vec::new()));
            }
            let (wall_seconds, inference) = (run.wall_seconds, run.inference);
            let sample = Sample { run: usage, bare, wall_seconds, without_heat, stages, inference };
            packages[i].2.push(sample);
        }
    }
    Ok(Report {
        clip: clip.display().to_string(),
        repeats: bench_options.repeats.max(1),
        detector: detector.manifest().common.name.clone(),
        transcode_cpu_seconds: median(transcodes.iter().map(|a| a.cpu_seconds)),
        packages: packages
            .into_iter()
            .map(|(name, counts, samples)| PackageReport::new(name, counts, &transcodes, &samples))
            .collect(),
    })
}

/// The frame's width and height.
fn frame_size(clip: &Path) -> Result<(u32, u32), RunError> {
    let recording = Recording::open(clip, 1)?;
    let video = recording.shape().video;
    Ok((video.width, video.height))
}

/// A run with its resource usage.
struct MeasuredRun {
    report: run::Report,
    usage: ResourceUsage,
    stages: Vec<StageSeconds>,
}

/// How often CPU times of threads are sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

fn measure_run(pipeline: &Pipeline) -> Result<MeasuredRun, RunError> {
    let (cpu, stop) = (CpuByThread::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let read = || {
            while !stop.load(Ordering::Relaxed) {
                cpu.sample();
                std::thread::park_timeout(SAMPLE_INTERVAL);
            }
            thread_cpu_seconds()
        };
        let reader = std::thread::Builder::new().name(SAMPLER_THREAD.into());
        let reader = reader.spawn_scoped(scope, read)?;
        let (report, mut usage) =
            measure(|| run::run(pipeline, &Progress::default(), |_| {}, &AtomicBool::new(false)));
        stop.store(true, Ordering::Relaxed);
        reader.thread().unpark();
        // Sampling is not part of the work.
        usage.cpu_seconds -= reader.join().unwrap_or_default();
        Ok(MeasuredRun { report: report?, usage, stages: cpu.stages() })
    })
}

/// The configuration of the whole path as a user runs it, with all outputs.
fn pipeline(
    clip: &Path,
    output: &Path,
    package: Option<String>,
    bench_options: &BenchOptions,
) -> Result<Pipeline, RunError> {
    Ok(Pipeline {
        input: clip.into(),
        audio_track: 1,
        output: Some(FileSinkOptions {
            path: output.into(),
            encoder: None,
            crf: 20,
            preset: "veryfast".into(),
        }),
        records: RecordPaths { events: Some(output.with_extension("jsonl")), ..Default::default() },
        package,
        detector: bench_options.detector.clone(),
        device: bench_options.device,
        lookahead: LookaheadChoice::File,
        explain: None,
        floor: parse_floor("300,500,1000")?,
        style: Style::default(),
        frame_budget_bytes: DEFAULT_BUDGET_MIB << 20,
        overwrite: true,
    })
}
