//! From a face encoder's feature map and its SE vector to an evidence map.
//!
//! Takes the map F (channels × height × width) of one face at one tick, the gate s (one SE value
//! per channel) and, for [`Mode::Ablation`], the effect of removing each channel. Gives a
//! non-negative height × width map in *raw* units. [`upsample`] enlarges it, [`scale`] maps it to
//! 0..=1 by the track's own running scale, [`faithfulness`] measures how faithful a map is.
//! [`track_explainer`] does all of it for a track while it is scored.
//!
//! A map depends on one frame only (nothing is pooled over time). No value is negative, NaN or
//! infinite, whatever the tensor holds: a non-finite value counts as 0, so that a broken tensor
//! shows no evidence. Raw units of two modes or two models are not comparable; only those of
//! ablation have a meaning of their own (logits moved).
//!
//! The paper's rule is kept exactly, beside a corrected one, as gates alone say little about what
//! a channel does: with the released weights a permuted gate beats the paper's selection.

pub(crate) mod blur;
pub(crate) mod faithfulness;
mod raw;
pub mod scale;
pub mod track_explainer;
pub mod upsample;

use multiversion::multiversion;

use crate::models::explain::Mode;
pub use raw::{gate_activity, raw_against, raw_map, raw_map_permuted};

/// Why a map could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExplainError {
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

/// A borrowed feature map: the face encoder's last one for one face at one tick, channel by
/// channel, each row by row.
#[derive(Clone, Copy)]
pub struct FeatureMap<'a> {
    values: &'a [f32],
    channels: usize,
    height: usize,
    width: usize,
}

impl<'a> FeatureMap<'a> {
    /// Creates a map of `channels` × `height` × `width` values; `None` if the number of values
    /// differs or is zero.
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
    // A value larger than its predecessors, or than −∞, is neither NaN nor −∞.
    let larger = |v: f32, max: f32| if v > max && v < f32::INFINITY { v } else { max };
    let (chunks, rest) = values.as_chunks::<8>();
    let mut maxima = [f32::NEG_INFINITY; 8];
    for chunk in chunks {
        maxima = std::array::from_fn(|k| larger(chunk[k], maxima[k]));
    }
    maxima[0] = rest.iter().fold(maxima[0], |max, v| larger(*v, max));
    maxima.into_iter().filter(|v| v.is_finite()).reduce(f32::max)
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
