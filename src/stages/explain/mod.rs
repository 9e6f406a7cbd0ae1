//! From a face encoder's feature map and its SE vector to an evidence map.
//!
//! Takes the map F (channels × height × width) of one face at one tick, the gate s (one SE value a
//! channel) and, for [`Mode::Ablation`], the effect of removing each channel. Gives a non-negative
//! height × width map in *raw* units; [`upsample`] enlarges it, [`scale`] brings it to 0..=1 on the
//! track's own running scale, [`faithfulness`] measures whether a map is true.
//!
//! Promises: one frame in, one frame's map out (nothing is pooled over time); no value is negative,
//! NaN or infinite, whatever the tensor holds: a value that is no finite number counts as 0, so
//! that a broken tensor shows no evidence. Does not promise that the raw units of two modes or two
//! models compare; only ablation's have a meaning of their own (logits moved).
//!
//! The paper's rule is kept to the letter beside its repair, since gates alone say little of what a
//! channel does: with the released weights a permuted gate beats the paper's selection.

pub mod blur;
pub mod faithfulness;
mod raw;
pub mod scale;
pub mod upsample;

use std::fmt;
use std::str::FromStr;

use multiversion::multiversion;
pub use raw::{gate_activity, raw_against, raw_map, raw_map_permuted};

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

    /// Whether [`raw_map`] needs the effect of removing each channel.
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
    type Err = ExplainError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|mode| mode.name() == name);
        known.ok_or_else(|| ExplainError::UnknownMode(name.to_owned()))
    }
}

/// Why a map could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExplainError {
    /// No such mode.
    #[error("explain mode {0:?} is not known; choose paper, gate-activation, ablation or none")]
    UnknownMode(String),
    /// Two sizes that must agree do not.
    #[error("the {what} holds {found} values, but the feature map asks for {expected}")]
    Size {
        /// Which argument.
        what: &'static str,
        /// How many values it holds.
        found: usize,
        /// How many it must hold.
        expected: usize,
    },
    /// Ablation without effects.
    #[error(
        "explain mode ablation needs the effect of removing each channel, and none were given; \
         use a package whose head can be run without single channels, or choose gate-activation"
    )]
    NoEffects,
}

/// A face encoder's last feature map for one face at one tick, borrowed: channel by channel, each
/// row by row.
#[derive(Clone, Copy)]
pub struct FeatureMap<'a> {
    values: &'a [f32],
    channels: usize,
    height: usize,
    width: usize,
}

impl<'a> FeatureMap<'a> {
    /// A map of `channels` × `height` × `width` values, or `None` where that is not their number
    /// or is zero.
    pub fn new(values: &'a [f32], channels: usize, height: usize, width: usize) -> Option<Self> {
        let cells = height.checked_mul(width)?;
        let fits = !values.is_empty() && channels.checked_mul(cells)? == values.len();
        fits.then_some(Self { values, channels, height, width })
    }

    /// Number of channels, C.
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Cells down, h.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// Cells across, w.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Cells of one channel, h × w.
    pub const fn cells(&self) -> usize {
        self.height * self.width
    }

    /// The channels in order, each h × w values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.cells())
    }

    /// Per channel the largest finite value (the encoder's own global max pool); 0 where a channel
    /// has none.
    pub fn pooled(&self) -> impl Iterator<Item = f32> {
        self.iter().map(|channel| peak(channel).unwrap_or(0.0))
    }
}

/// The largest finite value. Eight running maxima, as one alone could not be vectorised.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn peak(values: &[f32]) -> Option<f32> {
    // Larger than what came before, or than −∞, is neither NaN nor −∞.
    let larger = |v: f32, most: f32| if v > most && v < f32::INFINITY { v } else { most };
    let (chunks, rest) = values.as_chunks::<8>();
    let mut lanes = [f32::NEG_INFINITY; 8];
    for chunk in chunks {
        lanes = std::array::from_fn(|k| larger(chunk[k], lanes[k]));
    }
    lanes[0] = rest.iter().fold(lanes[0], |most, v| larger(*v, most));
    lanes.into_iter().filter(|v| v.is_finite()).reduce(f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_read_back_from_its_own_name() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
            assert_eq!(
                clap::ValueEnum::to_possible_value(&mode).map(|v| v.get_name().to_owned()),
                Some(mode.name().to_owned())
            );
            assert_eq!(serde_json::to_string(&mode).expect("a word"), format!("{:?}", mode.name()));
        }
        let error = "gradcam".parse::<Mode>().expect_err("no such mode").to_string();
        assert!(error.contains("gradcam") && error.contains("gate-activation"), "{error}");
    }

    #[test]
    fn a_feature_map_of_the_wrong_size_is_none() {
        assert!(FeatureMap::new(&[0.0; 8], 2, 2, 2).is_some());
        assert!(FeatureMap::new(&[0.0; 7], 2, 2, 2).is_none());
        assert!(FeatureMap::new(&[], 0, 2, 2).is_none());
        assert!(FeatureMap::new(&[0.0], usize::MAX, 2, 2).is_none());
    }

    #[test]
    fn pooling_is_the_largest_finite_value() {
        let values = [1.0, f32::INFINITY, -3.0, -2.0, f32::NAN, f32::NAN];
        let map = FeatureMap::new(&values, 3, 1, 2).expect("three channels");
        assert!(map.pooled().eq([1.0, -2.0, 0.0]));
    }
}
