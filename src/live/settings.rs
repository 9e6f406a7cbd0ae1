//! What the stages of a live stream are built from, once its model packages are known.

use crate::config::camera::Camera;
use crate::core::time::Span;
use crate::models::Package;
use crate::models::manifest::SpeakerManifest;
use crate::run::{RunError, Settings, decision_rule};
use crate::stages::detect::plan::PlanSettings;
use crate::stages::score::budget::{LIVE_CHUNK_TICKS, Schedule, ScheduleRequest, Stride};
use crate::stages::track::{BoxFill, Policy};

/// Ticks that a live crop follows its box by: a median over three.
pub const CROP_LAG_TICKS: usize = 1;
/// The widest mean that a live decision is made on: it waits for half of it.
pub const MAX_SMOOTHING_TICKS: u32 = 3;

/// How faces are followed where nothing may be held.
pub fn live_policy() -> Policy {
    Policy { box_fill: BoxFill::Extrapolate, ..Policy::default() }
}

/// How far `camera` looks ahead with the speaker package `manifest`, and how late its frame is on a
/// machine that takes `compute_time`.
///
/// # Errors
/// Where the package asks for something impossible.
pub fn schedule(
    camera: &Camera,
    manifest: &SpeakerManifest,
    compute_time: Span,
) -> Result<Schedule, RunError> {
    let request = ScheduleRequest {
        face_delay_ticks: manifest.face.delay_ticks,
        // No chunk is waited for: the last ticks of a hop go by themselves.
        audio_ticks: manifest.audio.reach_ticks + 2,
        decision_ticks: decision_rule(manifest, MAX_SMOOTHING_TICKS)?.lookahead_ticks() as usize,
        lookahead_ticks: camera.lookahead.ticks(manifest.lookahead_ticks),
        stride: Stride { hop: camera.hop_ticks, face_chunk_ticks: LIVE_CHUNK_TICKS },
    };
    Ok(Schedule::live(request, CROP_LAG_TICKS, None, compute_time))
}

/// When live frames are searched for faces by the package `detector`.
///
/// # Errors
/// Where it is no detector.
pub fn plan(detector: &Package) -> Result<PlanSettings, RunError> {
    let detector_manifest = detector.detector()?;
    Ok(PlanSettings::for_detector(detector_manifest.certain_face_px, detector_manifest.widest_px))
}

/// The setting for `camera` with these packages on a machine that takes `compute_time`.
///
/// # Errors
/// Where a package asks for something impossible.
pub fn settings(
    camera: &Camera,
    speaker: &Package,
    detector: &Package,
    compute_time: Span,
) -> Result<Settings, RunError> {
    let manifest = speaker.speaker()?;
    let mode = camera.explain.unwrap_or(manifest.explain.default_mode);
    Ok(Settings {
        schedule: schedule(camera, manifest, compute_time)?,
        rule: decision_rule(manifest, MAX_SMOOTHING_TICKS)?,
        floor: camera.floor,
        mode,
        scale: manifest.explain.scale(mode),
        audio_recipe: manifest.features.audio,
        encode_ahead_ticks: None,
        crop_lag_ticks: CROP_LAG_TICKS,
        plan: plan(detector)?,
        policy: live_policy(),
        style: camera.style,
    })
}
