//! A run over one recording, from a checked pipeline to a report.
//!
//! Cheap checks come first: outputs, recording, models. A file gets its final name only when it is
//! complete; a run that is stopped keeps its files under names that say so.

pub(crate) mod error;
pub(crate) mod outputs;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use error::RunError;
use outputs::Outputs;

use crate::config::Pipeline;
use crate::core::progress::Progress;
use crate::core::time::Span;
use crate::models::Package;
use crate::models::registry::{Role, find};
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::onnx::stats::{GraphKind, GraphStats};
use crate::pipeline::recording::{PassCounts, run_pass};
use crate::pipeline::settings::{Options, RunMode, Settings, SettingsError};
use crate::pipeline::two_passes::run_two_passes;
use crate::stages::overlay::gst::BlendCounts;
use crate::stages::sink::records::Ending;
use crate::stages::sink::records::event::{Event, Start};
use crate::stages::sink::records::summary::Summary;
use crate::stages::source::gst::Recording;
use crate::stages::source::{SourceShape, VideoShape};

/// Maximum number of face encoders: more faces are seldom on screen.
const MAX_FACE_ENCODERS: usize = 4;

/// Copies and conversions of whole frames between decoder and encoder.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PixelWork {
    /// Frames written to the annotated video.
    pub frames: u64,
    /// Frames copied before drawing, as the decoder still read them.
    pub copied: u64,
    /// Elements that convert every frame's format, size or memory.
    pub conversions: usize,
}

impl PixelWork {
    /// Copies and conversions per frame.
    pub fn per_frame(&self) -> f64 {
        self.copied as f64 / self.frames.max(1) as f64 + self.conversions as f64
    }
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the whole recording was processed; otherwise it was stopped.
    pub complete: bool,
    /// The run in figures.
    #[serde(flatten)]
    pub summary: Summary,
    /// Processed length of the recording, in seconds.
    pub media_seconds: f64,
    /// Wall-clock time, in seconds.
    pub wall_seconds: f64,
    /// Media seconds per wall-clock second.
    pub times_real_time: f64,
    /// The inference provider.
    pub provider: String,
    /// The speaker package.
    pub package: String,
    /// The detector package.
    pub detector: String,
    /// How heatmaps were made.
    pub explain: &'static str,
    /// Lookahead of the last tick of a window, in seconds.
    pub lookahead_seconds: f64,
    /// Whether the recording was read twice.
    pub two_passes: bool,
    /// Whether the annotated video carries the audio as it was stored.
    pub audio_kept: Option<bool>,
    /// Copies and conversions of whole frames besides decoder and encoder.
    pub pixels: PixelWork,
    /// Inference statistics by kind of graph.
    pub inference: BTreeMap<GraphKind, GraphStats>,
    /// Written files by role.
    pub outputs: BTreeMap<&'static str, std::path::PathBuf>,
}

/// Runs `pipeline` to its end, or until `stop`.
///
/// # Errors
/// A [`RunError`] that names the file, the key or the element; nothing is left half-written.
pub fn run(
    pipeline: &Pipeline,
    progress: &Progress,
    opened: impl FnOnce(&SourceShape),
    stop: &AtomicBool,
) -> Result<Report, RunError> {
    let started = Instant::now();
    pipeline.check_outputs()?;
    let recording = Recording::open(&pipeline.input, pipeline.audio_track)?;
    let speaker = find(Role::Speaker, pipeline.package.as_deref())?;
    let detector = find(Role::Detector, pipeline.detector.as_deref())?;
    let settings = settings(pipeline, (&speaker, &detector), &recording.shape().video)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A second thread costs 25 % more CPU time in all: only where cores are idle.
    let options =
        SessionOptions { device: pipeline.device, intra_threads: (cores / 4).clamp(1, 2) };
    let engine =
        Engine::with_encoders(&detector, &speaker, &options, cores.min(MAX_FACE_ENCODERS))?;
    opened(recording.shape());
    let mut outputs = Outputs::create(pipeline, &recording)?;
    let start = start(pipeline, &recording, &speaker, &detector, &settings, &engine)?;
    outputs.records.event(&Event::Start(start))?;
    let input_conversions = recording.conversions();
    let audio_kept = outputs.output.as_ref().map(|f| f.output.audio_kept());
    let counts = work(pipeline, &settings, &recording, &engine, &mut outputs, progress, stop)?;
    let output_conversions = outputs.output.as_ref().map_or(0, |f| f.output.conversions());
    let BlendCounts { frames, copied } = counts.drawn;
    let pixels = PixelWork { frames, copied, conversions: input_conversions + output_conversions };
    note_damage(&recording, &counts, &mut outputs)?;
    let ending = if counts.source_counts.stopped { Ending::Stopped } else { Ending::Complete };
    let (summary, written) = outputs.close(ending)?;
    let (provider, stats) = (engine.provider().to_string(), engine.stats());
    drop(recording);
    engine.join();
    let (media, wall) = (summary.seconds, started.elapsed());
    Ok(Report {
        complete: ending == Ending::Complete,
        media_seconds: media,
        wall_seconds: wall.as_secs_f64(),
        times_real_time: media / wall.max(Duration::from_millis(1)).as_secs_f64(),
        summary,
        provider,
        package: speaker.manifest().common.name.clone(),
        detector: detector.manifest().common.name.clone(),
        explain: settings.mode.name(),
        lookahead_seconds: settings.schedule.window.lookahead as f64 / 25.0,
        two_passes: settings.schedule.frames_held.is_none() && pipeline.output.is_some(),
        audio_kept,
        pixels,
        inference: GraphKind::ALL.map(|graph| (graph, stats.read(graph))).into(),
        outputs: written,
    })
}

fn work(
    pipeline: &Pipeline,
    settings: &Settings,
    recording: &Recording,
    engine: &Engine,
    outputs: &mut Outputs,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<PassCounts, RunError> {
    let output = outputs.output.as_ref().map(|f| &f.output);
    let how = (progress, stop);
    let records = &mut outputs.records;
    let counts = match (output, settings.schedule.frames_held) {
        (Some(output), None) => {
            let again = || Recording::open(&pipeline.input, pipeline.audio_track);
            run_two_passes(again, settings, recording, engine, output, records, how)
        }
        (output, _) => run_pass(settings, recording, engine, output, records, how),
    };
    Ok(counts?)
}

/// The settings of the stages, for a pipeline, its packages and the recording's video.
///
/// # Errors
/// Where a package asks for something impossible.
pub fn settings(
    pipeline: &Pipeline,
    packages: (&Package, &Package),
    video: &VideoShape,
) -> Result<Settings, SettingsError> {
    let options = Options {
        lookahead: pipeline.lookahead,
        explain: pipeline.explain,
        floor: pipeline.floor,
        style: pipeline.style,
    };
    let frame_budget_bytes = pipeline.output.as_ref().map(|_| pipeline.frame_budget_bytes);
    Settings::new(&options, packages, RunMode::Recording { video, frame_budget_bytes })
}

fn start(
    pipeline: &Pipeline,
    recording: &Recording,
    speaker: &Package,
    detector: &Package,
    settings: &Settings,
    engine: &Engine,
) -> Result<Start, RunError> {
    let video = recording.shape().video;
    let onnx = crate::onnx::runtime::load().map(|r| r.version).unwrap_or_default();
    let versions = BTreeMap::from([
        ("locutor".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("gstreamer".to_owned(), crate::gst::version()),
        ("onnxruntime".to_owned(), onnx),
    ]);
    Ok(Start {
        source: pipeline.input.display().to_string(),
        width: video.width,
        height: video.height,
        rate: video.rate.map(|r| r.to_string()),
        package: speaker.manifest().common.name.clone(),
        detector: detector.manifest().common.name.clone(),
        device: engine.provider().to_string(),
        threshold: settings.rule.threshold(),
        smoothing_ticks: settings.rule.smoothing_ticks(),
        versions,
    })
}

/// Notes all damage of the run in the records and the report.
fn note_damage(
    recording: &Recording,
    counts: &PassCounts,
    outputs: &mut Outputs,
) -> Result<(), RunError> {
    let mut notes = recording.damage();
    if counts.source_counts.damaged > 0 {
        notes.push(format!("{} frames are damaged", counts.source_counts.damaged));
    }
    if counts.source_counts.timeline.jumps > 0 {
        notes.push(format!(
            "the video's clock jumped {} times; people got new numbers after each jump",
            counts.source_counts.timeline.jumps
        ));
    }
    if counts.scored.audio_timeouts > 0 {
        notes.push("audio that is stored too far from its frame was not analysed".into());
    }
    let stated = recording.shape().duration;
    if let (Some(stated), Some(last)) = (stated, counts.source_counts.last_pts) {
        let missing = stated - Span::from_ns(last.ns());
        if missing > Span::from_ms(2_000) && !counts.source_counts.stopped {
            notes.push(format!(
                "the video ends {:.1} s before the {:.1} s that the file states",
                missing.seconds(),
                stated.seconds()
            ));
        }
    }
    notes.iter().try_for_each(|note| outputs.records.degraded(note))?;
    Ok(())
}
