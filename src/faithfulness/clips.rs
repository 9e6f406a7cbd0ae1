//! Measures recordings and gives a report.
//!
//! Each recording passes through the same stages as in a run, up to the tracker
//! ([`detect_and_track`]). Then its tracks are scored, and the clearest windows are selected and
//! measured. All of it is freed before the next recording is opened.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::collect::{FaceTrack, MAX_CROPS, TrackCollector};
use super::maps::MapKind;
use super::measure::{FaceWindow, Protocol, WindowResult, measure_window};
use super::report::{ClipReport, Conditions, Report, WindowReport, gaps, report};
use super::speech_window::{SpeechWindow, TrackSpeech, find_speech_window};
use crate::config::{Pipeline, RecordPaths};
use crate::core::queue::Receiver;
use crate::core::time::{Pts, Tick};
use crate::models::device::Device;
use crate::models::explain::Mode;
use crate::models::registry::{Role, find};
use crate::models::speaker_model::SpeakerModel;
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::pipeline::build;
use crate::pipeline::recording::detect_and_track;
use crate::pipeline::settings::LookaheadChoice;
use crate::pipeline::settings::Settings;
use crate::run::{RunError, settings};
use crate::stages::explain::faithfulness::{AREAS, Substrate};
use crate::stages::overlay::Style;
use crate::stages::score::floor::FloorRules;
use crate::stages::score::stage::ScoreInput;
use crate::stages::source::gst::Recording;
use crate::stages::sync::feed::SourceCounts;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The recordings.
    pub clips: Vec<PathBuf>,
    /// The audio track, counted from 1.
    pub audio_track: u32,
    /// The speaker package's name or directory; by default the best one installed.
    pub package: Option<String>,
    /// The detector package's name or directory.
    pub detector: Option<String>,
    /// The device for inference.
    pub device: Device,
    /// The explain modes.
    pub modes: Vec<Mode>,
    /// Ticks of a window, 25 a second.
    pub window_ticks: usize,
    /// Maximum number of windows per recording, one per track.
    pub windows_per_clip: usize,
    /// The replacement for masked parts.
    pub substrate: Substrate,
    /// The random seed.
    pub seed: u64,
}

/// Measures all recordings; calls `on_clip` after each.
///
/// # Errors
/// A [`RunError`] that names the recording, the package or the device.
pub(crate) fn measure_clips(
    request: &Request,
    mut on_clip: impl FnMut(&ClipReport),
) -> Result<Report, RunError> {
    let speaker = find(Role::Speaker, request.package.as_deref())?;
    let detector = find(Role::Detector, request.detector.as_deref())?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = SessionOptions { device: request.device, intra_threads: cores.min(2) };
    let engine = Engine::start(&detector, &speaker, &options)?;
    let (mut clips, mut measured) = (Vec::new(), Vec::new());
    for clip in &request.clips {
        let recording = Recording::open(clip, request.audio_track)?;
        let packages = (&speaker, &detector);
        let settings = settings(&pipeline(request, clip), packages, &recording.shape().video)?;
        let (tracks, note) = score_tracks(&settings, &recording, &engine)?;
        drop(recording);
        let (mut clip, chosen) = select_windows(clip, &tracks, request);
        clip.note = note;
        for (track, speech) in chosen {
            let window_seed = request.seed.wrapping_add(measured.len() as u64);
            measured.extend(measure_track(
                &engine,
                request,
                &clip.clip,
                track,
                speech,
                window_seed,
            )?);
        }
        on_clip(&clip);
        clips.push(clip);
    }
    let conditions = Conditions {
        package: speaker.manifest().common.name.clone(),
        detector: detector.manifest().common.name.clone(),
        provider: engine.provider().to_string(),
        window_seconds: request.window_ticks as f64 / Tick::PER_SECOND as f64,
        substrate: request.substrate,
        areas: AREAS,
        seed: request.seed,
    };
    engine.join();
    Ok(report(conditions, clips, &measured, &MapKind::all(&request.modes)))
}

/// The configuration of a run over `clip` without outputs.
fn pipeline(request: &Request, clip: &Path) -> Pipeline {
    Pipeline {
        input: clip.to_owned(),
        audio_track: request.audio_track,
        output: None,
        records: RecordPaths::default(),
        package: request.package.clone(),
        detector: request.detector.clone(),
        device: request.device,
        lookahead: LookaheadChoice::default(),
        explain: Some(Mode::None),
        floor: FloorRules::default(),
        style: Style::default(),
        frame_budget_bytes: 0,
        overwrite: false,
    }
}

/// The recording's tracks with their scores, and a note about what was not processed.
fn score_tracks(
    settings: &Settings,
    recording: &Recording,
    engine: &Engine,
) -> Result<(Vec<FaceTrack>, Option<String>), RunError> {
    if recording.shape().audio.is_none() {
        return Ok((Vec::new(), Some("it has no audio, so no face can be scored".into())));
    }
    let audio_encoder = build::audio_encoder(settings, true, Tick::default());
    let mut model = engine.speaker();
    let collector = TrackCollector::new(model.shape().clone(), audio_encoder, MAX_CROPS);
    let (collector, source_counts) =
        detect_and_track(settings, recording, engine, |found| collect_tracks(collector, &found))?;
    let notes = match collector.full_at() {
        // Damage after this point is unknown: it was not read.
        Some(full_at) => vec![truncation_note(full_at)],
        None => damage(recording, &source_counts),
    };
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    Ok((collector.finish(&mut model, settings.schedule.window)?, note))
}

fn damage(recording: &Recording, source_counts: &SourceCounts) -> Vec<String> {
    let mut notes = recording.damage();
    if source_counts.damaged > 0 {
        notes.push(format!("{} frames are damaged", source_counts.damaged));
    }
    notes
}

fn collect_tracks(mut collector: TrackCollector, found: &Receiver<ScoreInput>) -> TrackCollector {
    while let Some(input) = found.recv() {
        if collector.push(input) == ControlFlow::Break(()) {
            break;
        }
    }
    collector
}

fn truncation_note(full_at: Pts) -> String {
    format!(
        "the part after {:.0} s was skipped: the limit of face crops is reached",
        full_at.seconds()
    )
}

/// A summary of the recording's tracks, and the windows to measure.
fn select_windows<'a>(
    clip: &Path,
    tracks: &'a [FaceTrack],
    request: &Request,
) -> (ClipReport, Vec<(&'a FaceTrack, SpeechWindow)>) {
    let mut report =
        ClipReport { clip: clip.to_owned(), tracks: tracks.len(), ..ClipReport::default() };
    let mut speaking = Vec::new();
    for track in tracks {
        match find_speech_window(&track.scores, request.window_ticks) {
            TrackSpeech::Speaking(speech) => speaking.push((track, speech)),
            TrackSpeech::Silent => report.silent += 1,
            TrackSpeech::TooShort => report.too_short += 1,
        }
    }
    // The sort is stable: on a tie the earlier track comes first.
    speaking.sort_by(|a, b| SpeechWindow::clearest_first(&a.1, &b.1));
    report.skipped = speaking.len().saturating_sub(request.windows_per_clip);
    speaking.truncate(request.windows_per_clip);
    report.windows = speaking.len();
    (report, speaking)
}

fn measure_track(
    engine: &Engine,
    request: &Request,
    clip: &Path,
    track: &FaceTrack,
    speech: SpeechWindow,
    window_seed: u64,
) -> Result<Option<(WindowReport, WindowResult)>, RunError> {
    let mut model = engine.speaker();
    let ticks = speech.start..speech.start + request.window_ticks;
    let crop = model.shape().crop_len();
    let audio = track.audio[ticks.clone()].iter().flatten().flatten().copied().collect();
    let crops = track.crops[ticks.start * crop..ticks.end * crop].to_vec();
    let protocol = Protocol { modes: request.modes.clone(), substrate: request.substrate };
    let found = measure_window(&mut model, &FaceWindow { crops, audio }, &protocol, window_seed)?;
    let start = i64::try_from(speech.start).unwrap_or(0);
    Ok(found.map(|result| {
        let window_report = WindowReport {
            clip: clip.to_owned(),
            track: track.track.0,
            start_seconds: track.first.offset(start).pts().seconds(),
            mean_p: speech.mean_p,
            z_full: result.z_full,
            z_masked: result.z_masked,
            correlation: result.correlation,
            gaps: gaps(&result),
        };
        (window_report, result)
    }))
}
