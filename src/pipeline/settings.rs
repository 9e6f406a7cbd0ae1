//! The settings that the stages of a run are built from. This module alone derives them.
//!
//! A recording looks ahead as far as the package benefits from it. A live stream looks ahead by a few
//! ticks, holds nothing in the tracker and scores a small hop at a time. A recording that is scored as
//! a live stream follows the same rules; only its waiting times differ, as its frames already exist.

use std::str::FromStr;

use crate::core::time::Span;
use crate::models::explain::{Mode, ScaleRule};
use crate::models::manifest::{AudioRecipe, Lookahead, SpeakerManifest};
use crate::models::{ModelError, Package};
use crate::stages::detect::plan::PlanSettings;
use crate::stages::features::smooth::LAG_TICKS;
use crate::stages::overlay::Style;
use crate::stages::score::audio_encoder::CHUNK_TICKS;
use crate::stages::score::budget::{ENCODE_AHEAD_TICKS, Schedule, ScheduleRequest, Stride};
use crate::stages::score::decide::{DecisionRule, DecisionRuleError};
use crate::stages::score::floor::FloorRules;
use crate::stages::score::scorer::ScorerSettings;
use crate::stages::source::VideoShape;
use crate::stages::track::{BoxFill, Policy};

/// Ticks that a live crop lags behind its box: a median over three.
const LIVE_CROP_LAG_TICKS: usize = 1;
/// The maximum smoothing window of live decisions: a decision waits for half of it.
const LIVE_MAX_SMOOTHING_TICKS: u32 = 3;

/// How far ahead of the frame that it scores the head may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LookaheadChoice {
    /// The package's lookahead for recordings.
    #[default]
    File,
    /// The package's lookahead for live streams, a few ticks at once.
    Live,
    /// This many ticks of 40 ms beyond the encoders' own reach, a few ticks at once.
    Ticks(usize),
}

impl LookaheadChoice {
    /// The maximum number of ticks: 10 s.
    pub const MAX_TICKS: usize = 250;

    /// The number of ticks, given the package's own lookaheads.
    pub const fn ticks(self, package: Lookahead) -> usize {
        match self {
            Self::File => package.file,
            Self::Live => package.live,
            Self::Ticks(ticks) => ticks,
        }
    }
}

impl FromStr for LookaheadChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("file", _) => Ok(Self::File),
            ("live", _) => Ok(Self::Live),
            (_, Ok(ticks)) if ticks <= Self::MAX_TICKS => Ok(Self::Ticks(ticks)),
            _ => Err(format!(
                "`{text}` is not `file`, `live` or a number of ticks of 40 ms from 0 to {}",
                Self::MAX_TICKS
            )),
        }
    }
}

/// The user's options for scoring and drawing.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How far ahead a score may look.
    pub lookahead: LookaheadChoice,
    /// How heatmaps are made; the package's own mode by default.
    pub explain: Option<Mode>,
    /// Timing of the floor (who holds the turn).
    pub floor: FloorRules,
    /// What is drawn.
    pub style: Style,
}

/// What is scored, with its limits.
#[derive(Clone, Copy, Debug)]
pub enum RunMode<'a> {
    /// A recording. [`LookaheadChoice::Live`] and [`LookaheadChoice::Ticks`] score it as a live stream
    /// with the default hop.
    Recording {
        /// Its video.
        video: &'a VideoShape,
        /// Bytes of frames that may wait for their scores; `None` where no video is written, so no
        /// frame waits.
        frame_budget_bytes: Option<usize>,
    },
    /// A live stream.
    Live {
        /// Ticks of 40 ms scored at once.
        hop_ticks: usize,
        /// Computing time on this machine.
        compute_time: Span,
    },
}

/// Why the stages cannot be built from the options.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A package has another role.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A package's manifest asks for something impossible.
    #[error("the model package cannot be used: {0}")]
    Decision(#[from] DecisionRuleError),
}

/// Everything that the stages are built from. Depends on models and source.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lookahead, and the number of frames held.
    pub schedule: Schedule,
    /// The rule by which a score counts as speaking.
    pub rule: DecisionRule,
    /// The rules of the floor.
    pub floor: FloorRules,
    /// How heatmaps are made.
    pub mode: Mode,
    /// How heatmaps are scaled.
    pub scale: ScaleRule,
    /// The features of the audio encoder.
    pub audio_recipe: AudioRecipe,
    /// Ticks of one face that may wait for the face encoder, see [`ScorerSettings`].
    pub encode_ahead_ticks: Option<usize>,
    /// Whether the last ticks of a hop are encoded without waiting for a whole chunk of audio.
    pub prompt_audio: bool,
    /// Ticks that a crop lags behind its box.
    pub crop_lag_ticks: usize,
    /// When frames are searched for faces.
    pub plan: PlanSettings,
    /// How faces are tracked.
    pub policy: Policy,
    /// What is drawn.
    pub style: Style,
}

impl Settings {
    /// The settings for `options` with these packages.
    ///
    /// # Errors
    /// Where a package has another role, or its manifest asks for something impossible.
    pub fn new(
        options: &Options,
        (speaker, detector): (&Package, &Package),
        mode: RunMode<'_>,
    ) -> Result<Self, SettingsError> {
        let manifest = speaker.speaker()?;
        let as_live =
            matches!(mode, RunMode::Live { .. }) || options.lookahead != LookaheadChoice::File;
        let rule =
            decision_rule(manifest, if as_live { LIVE_MAX_SMOOTHING_TICKS } else { u32::MAX })?;
        let policy = if as_live { live_policy() } else { Policy::default() };
        let crop_lag_ticks = if as_live { LIVE_CROP_LAG_TICKS } else { LAG_TICKS };
        let schedule = match mode {
            RunMode::Live { hop_ticks, compute_time } => {
                live_schedule(manifest, options.lookahead, hop_ticks, compute_time)?
            }
            RunMode::Recording { video, frame_budget_bytes } => {
                let request = ScheduleRequest {
                    face_delay_ticks: manifest.face.delay_ticks,
                    // A recording waits for whole chunks of audio.
                    audio_ticks: manifest.audio.reach_ticks + CHUNK_TICKS as usize,
                    decision_ticks: rule.lookahead_ticks() as usize + 1,
                    lookahead_ticks: options.lookahead.ticks(manifest.lookahead_ticks),
                    stride: if as_live { Stride::LIVE } else { Stride::FILE }
                        .limited_for(&manifest.face.state_sizes()),
                };
                match frame_budget_bytes {
                    Some(bytes) => {
                        Schedule::for_file(bytes, video.frame_bytes, video.rate, &policy, request)
                    }
                    None => Schedule::two_passes(request.lookahead_ticks, request.stride),
                }
            }
        };
        let explain = options.explain.unwrap_or(manifest.explain.default_mode);
        let is_live = matches!(mode, RunMode::Live { .. });
        Ok(Self {
            schedule,
            rule,
            floor: options.floor,
            mode: explain,
            scale: manifest.explain.scale(explain),
            audio_recipe: manifest.features.audio,
            encode_ahead_ticks: (!is_live).then_some(ENCODE_AHEAD_TICKS),
            prompt_audio: is_live,
            crop_lag_ticks,
            plan: plan(detector)?,
            policy,
            style: options.style,
        })
    }

    /// How the scorer works.
    pub const fn scorer(&self) -> ScorerSettings {
        ScorerSettings {
            window: self.schedule.window,
            face_chunk_ticks: self.schedule.face_chunk_ticks,
            encode_ahead_ticks: self.encode_ahead_ticks,
            crop_lag_ticks: self.crop_lag_ticks,
            mode: self.mode,
        }
    }
}

/// The lookahead of a live stream with the speaker package `manifest`, and the delay of its frames on
/// a machine with this `compute_time`.
///
/// # Errors
/// Where the manifest asks for something impossible.
pub fn live_schedule(
    manifest: &SpeakerManifest,
    lookahead: LookaheadChoice,
    hop_ticks: usize,
    compute_time: Span,
) -> Result<Schedule, DecisionRuleError> {
    let rule = decision_rule(manifest, LIVE_MAX_SMOOTHING_TICKS)?;
    let request = ScheduleRequest {
        face_delay_ticks: manifest.face.delay_ticks,
        // Scoring does not wait for a chunk: the last ticks of a hop are encoded alone.
        audio_ticks: manifest.audio.reach_ticks + 2,
        decision_ticks: rule.lookahead_ticks() as usize,
        lookahead_ticks: lookahead.ticks(manifest.lookahead_ticks),
        stride: Stride::live(hop_ticks),
    };
    Ok(Schedule::live(request, LIVE_CROP_LAG_TICKS, None, compute_time))
}

/// When frames are searched for faces, for the package `detector`.
///
/// # Errors
/// Where the package is not a detector.
pub fn plan(detector: &Package) -> Result<PlanSettings, ModelError> {
    let manifest = detector.detector()?;
    Ok(PlanSettings::for_detector(manifest.reliable_face_px, manifest.max_long_side_px))
}

/// The tracking policy for live streams, where no frame may be held.
fn live_policy() -> Policy {
    Policy { box_fill: BoxFill::Extrapolate, ..Policy::default() }
}

/// The decision rule of `manifest`, smoothed over at most `max_smoothing_ticks`.
fn decision_rule(
    manifest: &SpeakerManifest,
    max_smoothing_ticks: u32,
) -> Result<DecisionRule, DecisionRuleError> {
    let decision = &manifest.decision;
    let smoothing = u32::try_from(decision.smoothing_ticks.get()).unwrap_or(u32::MAX);
    DecisionRule::new(decision.threshold.get(), smoothing.min(max_smoothing_ticks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Rate;
    use crate::models::tiny;
    use crate::stages::score::window::Window;

    #[test]
    fn lookahead_is_a_word_or_ticks() {
        let package = Lookahead { file: 50, live: 9 };
        for (text, ticks) in [("file", 50), ("live", 9), ("22", 22), ("0", 0)] {
            let choice: LookaheadChoice = text.parse().expect(text);
            assert_eq!(choice.ticks(package), ticks, "{text}");
        }
        for text in ["", "far", "-1", "251", "1.5"] {
            let error = text.parse::<LookaheadChoice>().expect_err(text);
            assert!(error.starts_with(&format!("`{text}` is not `file`, `live` or ")), "{error}");
        }
    }

    /// What a score depends on. A recording scored as a live stream must have the same values.
    fn rules(settings: &Settings) -> (Window, usize, u32, BoxFill) {
        let Settings { schedule, crop_lag_ticks, rule, policy, .. } = settings;
        (schedule.window, *crop_lag_ticks, rule.smoothing_ticks(), policy.box_fill)
    }

    #[test]
    fn a_recording_scored_as_live_follows_the_rules_of_a_camera() {
        let dir = tempfile::tempdir().expect("temp");
        let packages = tiny::write(dir.path(), 1).expect("packages");
        let packages = (&packages.speaker, &packages.detector);
        let options = |lookahead| Options {
            lookahead,
            explain: None,
            floor: FloorRules::default(),
            style: Style::default(),
        };
        let video =
            VideoShape { width: 640, height: 360, rate: Rate::new(25, 1), frame_bytes: 345_600 };
        let recording = RunMode::Recording { video: &video, frame_budget_bytes: Some(264 << 20) };
        let live = RunMode::Live { hop_ticks: Stride::LIVE.hop, compute_time: Span::ZERO };
        let new = |lookahead, mode| Settings::new(&options(lookahead), packages, mode);
        let camera = new(LookaheadChoice::Live, live).expect("settings");
        let as_live = new(LookaheadChoice::Live, recording).expect("settings");
        let file = new(LookaheadChoice::File, recording).expect("settings");
        assert_eq!(rules(&as_live), rules(&camera));
        assert_eq!(as_live.schedule.window.hop, 2);
        assert_ne!(rules(&file), rules(&camera));
    }
}
