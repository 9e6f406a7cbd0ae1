//! Settings of a package's heatmaps, as stated in its manifest: how they are made and scaled. The
//! stage `explain` makes the maps.

use std::fmt;
use std::str::FromStr;

/// Which channels count, and for how much.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Channels by their gate alone (arXiv 2412.05134), to the letter.
    Paper,
    /// Channels by gate × pooled activation: still the SE vector, but only where something is.
    GateActivation,
    /// Channels by the signed effect that removing them has on the score; the reference.
    Ablation,
    /// No map.
    None,
}

impl Mode {
    /// All modes, as they are listed to a user.
    pub const ALL: [Self; 4] = [Self::Paper, Self::GateActivation, Self::Ablation, Self::None];

    /// The word for it in arguments, manifests and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::GateActivation => "gate-activation",
            Self::Ablation => "ablation",
            Self::None => "none",
        }
    }

    /// Whether a map needs the effect of removing each channel.
    pub const fn needs_effects(self) -> bool {
        matches!(self, Self::Ablation)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        let known = Self::ALL.into_iter().find(|mode| mode.name() == name);
        known.ok_or_else(|| UnknownMode(name.to_owned()))
    }
}

/// Not the name of an explain mode.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("explain mode {0:?} is not known; choose paper, gate-activation, ablation or none")]
pub struct UnknownMode(pub String);

/// Settings of a running scale.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScaleRule {
    pub(crate) window_seconds: f64,
    pub(crate) quantile: f64,
    pub(crate) typical: f32,
    pub(crate) floor: f32,
}

impl Default for ScaleRule {
    /// For maps without measurements: typical is 1.
    fn default() -> Self {
        Self { window_seconds: 10.0, quantile: 0.99, typical: 1.0, floor: 0.5 }
    }
}

impl ScaleRule {
    /// The rule for maps whose 99th percentile is `typical` (raw units) while a person speaks
    /// clearly: a property of package and mode, measured once. Window 10 s, floor at half of
    /// `typical`.
    ///
    /// `None` if `typical` is not a normal positive number.
    pub fn new(typical: f32) -> Option<Self> {
        let fits = typical.is_normal() && typical > 0.0;
        fits.then_some(Self { window_seconds: 10.0, quantile: 0.99, typical, floor: typical * 0.5 })
    }
}
