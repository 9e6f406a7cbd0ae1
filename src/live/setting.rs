//! What the stages of a live stream are built from, once its model packages are known.

use crate::config::camera::Camera;
use crate::core::time::Span;
use crate::models::Package;
use crate::models::manifest::{AudioRecipe, SpeakerManifest};
use crate::run::RunError;
use crate::stages::detect::plan::PlanSettings;
use crate::stages::explain::Mode;
use crate::stages::explain::scale::ScaleRule;
use crate::stages::features::audio_line::Spectrum;
use crate::stages::score::budget::{Reach, Schedule, Stride};
use crate::stages::score::decide::DecisionRule;
use crate::stages::score::floor::FloorRules;
use crate::stages::track::{Lag, Policy};

/// Ticks that a live crop follows its box by: a median over three.
pub const CROP_LAG: usize = 1;
/// The widest mean that a live decision is made on: it waits for half of it.
pub const MOST_SMOOTHING: u32 = 3;
/// Ticks of sound encoded at once.
pub const SOUND_CHUNK: usize = 1;

/// How faces are followed where nothing may be held.
pub fn live_policy() -> Policy {
    Policy { lag: Lag::Carry, ..Policy::default() }
}

fn rule(manifest: &SpeakerManifest) -> Result<DecisionRule, RunError> {
    let decision = &manifest.decision;
    let smoothing = u32::try_from(decision.smoothing_ticks.get()).unwrap_or(u32::MAX);
    DecisionRule::new(decision.threshold.get(), smoothing.min(MOST_SMOOTHING))
        .map_err(|e| RunError::Setting(e.to_string()))
}

/// How far `camera` looks ahead with the speaker package `manifest`, and how late its picture is.
///
/// # Errors
/// Where the package asks for something impossible.
pub fn schedule(camera: &Camera, manifest: &SpeakerManifest) -> Result<Schedule, RunError> {
    let reach = Reach {
        face_delay_ticks: manifest.face.delay_ticks,
        sound_ticks: manifest.audio.reach_ticks + SOUND_CHUNK + 1,
        decision_ticks: rule(manifest)?.lookahead_ticks() as usize,
        wanted_lookahead: camera.lookahead.ticks(manifest.lookahead_ticks),
        stride: Stride { hop: camera.hop_ticks, face_chunk: 1 },
    };
    Ok(Schedule::live(reach, CROP_LAG, None))
}

/// See the module.
#[derive(Clone, Debug)]
pub struct LiveSetting {
    /// How far it looks ahead, and how late the picture is.
    pub schedule: Schedule,
    /// When a score counts as speaking.
    pub rule: DecisionRule,
    /// Who has the floor.
    pub floor: FloorRules,
    /// How heatmaps are made.
    pub mode: Mode,
    /// How they are scaled.
    pub scale: ScaleRule,
    /// How the sound is heard.
    pub hears: AudioRecipe,
    /// When faces are looked for.
    pub plan: PlanSettings,
    /// How they are followed.
    pub policy: Policy,
    /// Ticks that a crop follows its box by.
    pub crop_lag: usize,
    /// Ticks of sound encoded at once.
    pub sound_chunk: usize,
}

impl LiveSetting {
    /// The setting for `camera` with these packages.
    ///
    /// # Errors
    /// Where a package asks for something impossible.
    pub fn new(camera: &Camera, speaker: &Package, detector: &Package) -> Result<Self, RunError> {
        let manifest = speaker.speaker()?;
        let finds = detector.detector()?;
        let mode = camera.explain.unwrap_or(manifest.explain.default_mode);
        Ok(Self {
            schedule: schedule(camera, manifest)?,
            rule: rule(manifest)?,
            floor: camera.floor,
            mode,
            scale: manifest.explain.scale(mode),
            hears: manifest.features.audio,
            plan: PlanSettings::of_detector(finds.certain_face_px, finds.widest_px),
            policy: live_policy(),
            crop_lag: CROP_LAG,
            sound_chunk: SOUND_CHUNK,
        })
    }

    /// The rows that the model hears.
    pub fn spectrum(&self) -> Spectrum {
        crate::run::spectrum(self.hears)
    }

    /// How late a picture is that is shown with its own scores.
    pub const fn delay(&self) -> Span {
        self.schedule.span_held
    }
}
