//! What the stages of a live stream are built from, once its model packages are known.

use crate::config::camera::Camera;
use crate::core::time::Span;
use crate::models::Package;
use crate::models::manifest::SpeakerManifest;
use crate::run::{RunError, Setting, decision_rule};
use crate::stages::detect::plan::PlanSettings;
use crate::stages::score::budget::{LIVE_CHUNK, Reach, Schedule, Stride};
use crate::stages::track::{Lag, Policy};

/// Ticks that a live crop follows its box by: a median over three.
pub const CROP_LAG: usize = 1;
/// The widest mean that a live decision is made on: it waits for half of it.
pub const MOST_SMOOTHING: u32 = 3;

/// How faces are followed where nothing may be held.
pub fn live_policy() -> Policy {
    Policy { lag: Lag::Carry, ..Policy::default() }
}

/// How far `camera` looks ahead with the speaker package `manifest`, and how late its picture is on a
/// machine that takes `computing`.
///
/// # Errors
/// Where the package asks for something impossible.
pub fn schedule(
    camera: &Camera,
    manifest: &SpeakerManifest,
    computing: Span,
) -> Result<Schedule, RunError> {
    let reach = Reach {
        face_delay_ticks: manifest.face.delay_ticks,
        // No chunk is waited for: the last ticks of a hop go by themselves.
        sound_ticks: manifest.audio.reach_ticks + 2,
        decision_ticks: decision_rule(manifest, MOST_SMOOTHING)?.lookahead_ticks() as usize,
        wanted_lookahead: camera.lookahead.ticks(manifest.lookahead_ticks),
        stride: Stride { hop: camera.hop_ticks, face_chunk: LIVE_CHUNK },
    };
    Ok(Schedule::live(reach, CROP_LAG, None, computing))
}

/// When live pictures are searched for faces by the package `detector`.
///
/// # Errors
/// Where it is no detector.
pub fn plan(detector: &Package) -> Result<PlanSettings, RunError> {
    let finds = detector.detector()?;
    Ok(PlanSettings::of_detector(finds.certain_face_px, finds.widest_px))
}

/// The setting for `camera` with these packages on a machine that takes `computing`.
///
/// # Errors
/// Where a package asks for something impossible.
pub fn setting(
    camera: &Camera,
    speaker: &Package,
    detector: &Package,
    computing: Span,
) -> Result<Setting, RunError> {
    let manifest = speaker.speaker()?;
    let mode = camera.explain.unwrap_or(manifest.explain.default_mode);
    Ok(Setting {
        schedule: schedule(camera, manifest, computing)?,
        rule: decision_rule(manifest, MOST_SMOOTHING)?,
        floor: camera.floor,
        mode,
        scale: manifest.explain.scale(mode),
        hears: manifest.features.audio,
        encode_ahead: None,
        crop_lag: CROP_LAG,
        plan: plan(detector)?,
        policy: live_policy(),
        style: camera.style,
    })
}
