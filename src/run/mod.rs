//! A run over one recording, from a checked pipeline to a report.
//!
//! Opens what the pipeline names, in the order in which a mistake is cheapest: outputs, models,
//! recording. Nothing stands under a final name until all of it is whole; a run that is stopped
//! keeps what it has under names that say so.

pub mod error;
pub mod outputs;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use error::RunError;
use outputs::Outputs;

use crate::config::{LookaheadChoice, Pipeline};
use crate::core::time::Span;
use crate::live::settings::{CROP_LAG_TICKS, MAX_SMOOTHING_TICKS, live_policy};
use crate::models::Package;
use crate::models::explain::Mode;
use crate::models::explain::ScaleRule;
use crate::models::manifest::{AudioRecipe, SpeakerManifest};
use crate::models::registry::{Role, find};
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::onnx::tally::{Count, Graph};
use crate::stages::detect::plan::PlanSettings;
use crate::stages::features::audio_features::Spectrum;
use crate::stages::features::mfcc::{LogMel, Mfcc};
use crate::stages::features::smooth::LAG_TICKS;
use crate::stages::overlay::Style;
use crate::stages::overlay::gst::BlendCounts;
use crate::stages::score::audio_encoder::CHUNK_TICKS;
use crate::stages::score::budget::{ENCODE_AHEAD_TICKS, Schedule, ScheduleRequest};
use crate::stages::score::decide::DecisionRule;
use crate::stages::score::floor::FloorRules;
use crate::stages::score::scorer::ScorerSettings;
use crate::stages::sink::records::Ending;
use crate::stages::sink::records::event::{Event, Start};
use crate::stages::sink::records::summary::Summary;
use crate::stages::sink::stage::Progress;
use crate::stages::source::gst::Recording;
use crate::stages::source::{SourceShape, VideoShape};
use crate::stages::track::Policy;
use crate::wiring::{PassCounts, run_pass};

/// Face encoders at most: more tracks than that are seldom on screen.
const MAX_FACE_ENCODERS: usize = 4;

/// Everything that the stages are built from, once models and recording are known.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far it looks ahead, and how many frames it holds.
    pub schedule: Schedule,
    /// When a score counts as speaking.
    pub rule: DecisionRule,
    /// Who has the floor.
    pub floor: FloorRules,
    /// How heatmaps are made.
    pub mode: Mode,
    /// How they are scaled.
    pub scale: ScaleRule,
    /// How the audio is heard.
    pub audio_recipe: AudioRecipe,
    /// Ticks of one face that may wait for the face encoder, see [`ScorerSettings`].
    pub encode_ahead_ticks: Option<usize>,
    /// Ticks that a crop follows its box by.
    pub crop_lag_ticks: usize,
    /// When faces are looked for.
    pub plan: PlanSettings,
    /// How they are followed.
    pub policy: Policy,
    /// What is drawn.
    pub style: Style,
}

impl Settings {
    /// A fresh front end for the model's audio.
    pub fn spectrum(&self) -> Spectrum {
        match self.audio_recipe {
            AudioRecipe::Mfcc13 => Spectrum::Mfcc(Box::new(Mfcc::new())),
            AudioRecipe::LogMel40 => Spectrum::LogMel(Box::new(LogMel::new())),
        }
    }

    /// How the scorer works.
    pub const fn scorer(&self) -> ScorerSettings {
        ScorerSettings {
            window: self.schedule.window,
            face_chunk_ticks: self.schedule.face_chunk_ticks,
            encode_ahead_ticks: self.encode_ahead_ticks,
            crop_lag_ticks: self.crop_lag_ticks,
            mode: self.mode,
            scale: self.scale,
        }
    }
}

/// How the package of `manifest` decides, over no more ticks than `max_smoothing_ticks`.
///
/// # Errors
/// Where it asks for something impossible.
pub fn decision_rule(
    manifest: &SpeakerManifest,
    max_smoothing_ticks: u32,
) -> Result<DecisionRule, RunError> {
    let decision = &manifest.decision;
    let smoothing = u32::try_from(decision.smoothing_ticks.get()).unwrap_or(u32::MAX);
    DecisionRule::new(decision.threshold.get(), smoothing.min(max_smoothing_ticks))
        .map_err(|e| RunError::Settings(e.to_string()))
}

/// Work on whole frames between decoder and encoder.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PixelWork {
    /// Frames that went to the film.
    pub frames: u64,
    /// Frames copied before they were drawn on, as the decoder still read them.
    pub copied: u64,
    /// Elements that change every frame's format, size or memory.
    pub conversions: usize,
}

impl PixelWork {
    /// Copies and conversions a frame.
    pub fn per_frame(&self) -> f64 {
        self.copied as f64 / self.frames.max(1) as f64 + self.conversions as f64
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether all of the recording was seen; else it was stopped.
    pub complete: bool,
    /// The run in figures.
    #[serde(flatten)]
    pub summary: Summary,
    /// Length of the recording that was worked through, in seconds.
    pub media_seconds: f64,
    /// How long it took, in seconds.
    pub wall_seconds: f64,
    /// Media seconds a second.
    pub times_real_time: f64,
    /// What inference ran on.
    pub provider: String,
    /// The speaker package.
    pub package: String,
    /// The detector package.
    pub detector: String,
    /// How heatmaps were made.
    pub explain: &'static str,
    /// Seconds of future that the last tick of a window saw.
    pub lookahead_seconds: f64,
    /// Whether the recording was read twice.
    pub two_passes: bool,
    /// Whether the film carries the audio as it was stored.
    pub audio_kept: Option<bool>,
    /// How often whole frames were touched on their way to the film, beside decoder and encoder.
    pub pixels: PixelWork,
    /// What inference did, by kind of graph.
    pub inference: BTreeMap<Graph, Count>,
    /// What was written, by role.
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
    // A second thread costs a quarter more in all: only where cores are to spare.
    let options =
        SessionOptions { device: pipeline.device, intra_threads: (cores / 4).clamp(1, 2) };
    let engine =
        Engine::with_encoders(&detector, &speaker, &options, cores.min(MAX_FACE_ENCODERS))?;
    opened(recording.shape());
    let mut outputs = Outputs::create(pipeline, &settings, &recording)?;
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
    let (provider, tally) = (engine.provider().to_string(), engine.tally());
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
        inference: Graph::ALL.map(|graph| (graph, tally.read(graph))).into(),
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
    match (output, settings.schedule.frames_held) {
        (Some(output), None) => crate::passes::run_two_passes(
            pipeline,
            settings,
            recording,
            engine,
            output,
            &mut outputs.records,
            how,
        ),
        (output, _) => run_pass(settings, recording, engine, output, &mut outputs.records, how),
    }
}

/// What the stages are built from, given a pipeline, its packages and what the recording is.
///
/// # Errors
/// Where the package asks for something impossible.
pub fn settings(
    pipeline: &Pipeline,
    (speaker, detector): (&Package, &Package),
    video: &VideoShape,
) -> Result<Settings, RunError> {
    let manifest = speaker.speaker()?;
    let live = pipeline.lookahead != LookaheadChoice::File;
    let rule = decision_rule(manifest, if live { MAX_SMOOTHING_TICKS } else { u32::MAX })?;
    let mode = pipeline.explain.unwrap_or(manifest.explain.default_mode);
    let detector_manifest = detector.detector()?;
    let plan =
        PlanSettings::for_detector(detector_manifest.certain_face_px, detector_manifest.widest_px);
    let policy = if live { live_policy() } else { Policy::default() };
    let crop_lag_ticks = if live { CROP_LAG_TICKS } else { LAG_TICKS };
    let request = ScheduleRequest {
        face_delay_ticks: manifest.face.delay_ticks,
        audio_ticks: manifest.audio.reach_ticks + CHUNK_TICKS as usize,
        decision_ticks: rule.lookahead_ticks() as usize + 1,
        lookahead_ticks: pipeline.lookahead.ticks(manifest.lookahead_ticks),
        stride: pipeline.lookahead.stride().limited_for(&manifest.face.state_sizes()),
    };
    let schedule = match &pipeline.output {
        Some(_) => Schedule::for_file(
            pipeline.frame_budget_bytes,
            video.frame_bytes,
            video.rate,
            &policy,
            request,
        ),
        None => Schedule::two_passes(request.lookahead_ticks, request.stride),
    };
    Ok(Settings {
        schedule,
        rule,
        floor: pipeline.floor,
        mode,
        scale: manifest.explain.scale(mode),
        audio_recipe: manifest.features.audio,
        plan,
        policy,
        encode_ahead_ticks: Some(ENCODE_AHEAD_TICKS),
        crop_lag_ticks,
        style: pipeline.style,
    })
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

/// Everything that kept the run from being whole, in words; said in the records and the report.
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
            "the frame's clock jumped {} times; people got new numbers after each",
            counts.source_counts.timeline.jumps
        ));
    }
    if counts.scored.audio_timeouts > 0 {
        notes.push("audio that is stored too far from its frame was not heard".into());
    }
    let stated = recording.shape().duration;
    if let (Some(stated), Some(last)) = (stated, counts.source_counts.last_pts) {
        let missing = stated - Span::from_ns(last.ns());
        if missing > Span::from_ms(2_000) && !counts.source_counts.stopped {
            notes.push(format!(
                "the frame ends {:.1} s before the {:.1} s that the file states",
                missing.seconds(),
                stated.seconds()
            ));
        }
    }
    notes.iter().try_for_each(|note| outputs.records.degraded(note))?;
    Ok(())
}
