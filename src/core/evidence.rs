//! What is known about the faces of one source frame: the message from the slow path to the overlay
//! and the records.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::geometry::{Landmarks, Rect};
use super::time::FrameRef;

/// A person's number on screen: counts up from 1 and is never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TrackId(pub u32);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// P(speaking) = sigmoid(z1 − z0) of the model's two logits; always within 0..=1, never NaN.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
pub struct Probability(f32);

impl Probability {
    /// `p`, or `None` where it is no probability.
    pub fn new(p: f32) -> Option<Self> {
        (0.0..=1.0).contains(&p).then_some(Self(p))
    }

    /// sigmoid(z1 − z0), or `None` where a logit is not a number.
    pub fn from_logits(z0: f32, z1: f32) -> Option<Self> {
        Self::new(1.0 / (1.0 + (-(z1 - z0)).exp()))
    }

    /// The value.
    pub const fn get(self) -> f32 {
        self.0
    }
}

/// Why a frame's score is unknown. Unknown is not "not speaking".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Unknown {
    /// The source has no audio.
    NoAudio,
    /// The audio has a gap here.
    AudioGap,
    /// The model had too little context, or did not run in time.
    NotScored,
}

impl Unknown {
    /// The identifier in records and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoAudio => "no-audio",
            Self::AudioGap => "audio-gap",
            Self::NotScored => "not-scored",
        }
    }
}

/// The shares of audio and face in a decision; their sum is 1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shares {
    /// The audio's share, 0..=1.
    pub audio: f32,
    /// The face's share, 0..=1.
    pub face: f32,
}

impl Shares {
    /// Shares in proportion to the absolute effects; `None` where both are zero.
    pub fn from_effects(audio: f32, face: f32) -> Option<Self> {
        let (audio, face) = (audio.abs(), face.abs());
        let sum = audio + face;
        (sum.is_finite() && sum > 0.0).then(|| Self { audio: audio / sum, face: face / sum })
    }
}

/// The model's result for one face in one frame.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// No score.
    Unknown(Unknown),
    /// A score.
    Scored {
        /// P(speaking) as the model gave it.
        p: Probability,
        /// Whether the smoothed score lies above the package's threshold.
        speaking: bool,
        /// Where the decision came from.
        shares: Option<Shares>,
    },
}

impl Verdict {
    /// The score, where there is one.
    pub const fn p(self) -> Option<f32> {
        match self {
            Self::Scored { p, .. } => Some(p.get()),
            Self::Unknown(_) => None,
        }
    }

    /// Whether the face is scored as speaking.
    pub const fn speaking(self) -> bool {
        matches!(self, Self::Scored { speaking: true, .. })
    }
}

/// A heatmap over a face crop, row by row, each value 0..=1 on its track's own running scale.
///
/// Maps of two tracks are not comparable, as each track has its own scale.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Heatmap {
    width: usize,
    height: usize,
    values: Cells,
}

/// Values of a map's cells; maps of usual size need no heap allocation.
pub type Cells = SmallVec<[f32; 64]>;

impl Heatmap {
    /// A map of `width` × `height` cells. Values outside 0..=1 are clamped and NaN becomes 0, so
    /// that an invalid tensor draws no evidence.
    ///
    /// Returns `None` where the number of values is not `width` × `height`, or that is zero.
    pub fn new(width: usize, height: usize, mut values: Cells) -> Option<Self> {
        if values.is_empty() || values.len() != width.checked_mul(height)? {
            return None;
        }
        for v in &mut values {
            *v = if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) };
        }
        Some(Self { width, height, values })
    }

    /// Cells across.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Cells down.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The cells, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl fmt::Debug for Heatmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak = self.values.iter().copied().fold(0.0, f32::max);
        write!(f, "Heatmap({}x{}, peak {peak:.3})", self.width, self.height)
    }
}

/// A heatmap and its position in the frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlacedHeatmap {
    /// The map.
    pub map: Arc<Heatmap>,
    /// The crop it was computed from, in pixels of the source frame.
    pub over: Rect,
}

/// One face in one source frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaceEvidence {
    /// The face's track.
    pub track: TrackId,
    /// Where it is.
    pub rect: Rect,
    /// Eyes, nose, mouth.
    pub landmarks: Landmarks,
    /// Whether the detector found it in this frame; otherwise the tracker computed its box.
    pub detected: bool,
    /// The model's result.
    pub verdict: Verdict,
    /// The heatmap of the model's evidence.
    pub heat: Option<PlacedHeatmap>,
    /// Seconds this person has spoken so far.
    pub talk_seconds: f64,
}

/// Everything known about one source frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrameEvidence {
    /// The frame.
    pub frame: FrameRef,
    /// Its faces, by track number.
    pub faces: Vec<FaceEvidence>,
    /// The track that has the floor: the debounced state beside the raw scores.
    pub floor: Option<TrackId>,
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    #[test]
    fn heatmap_values_are_clamped_and_sizes_checked() {
        let map = Heatmap::new(2, 2, smallvec![f32::NAN, -1.0, 7.0, 0.5]).expect("four cells");
        assert_eq!(map.values(), [0.0, 0.0, 1.0, 0.5]);
        assert!(Heatmap::new(0, 0, smallvec![]).is_none());
        assert!(Heatmap::new(usize::MAX, 2, smallvec![0.0]).is_none());
        assert!(Heatmap::new(2, 2, smallvec![0.0; 3]).is_none());
    }

    #[test]
    fn a_probability_is_never_nan() {
        assert!(Probability::new(f32::NAN).is_none());
        assert!(Probability::from_logits(f32::NAN, 0.0).is_none());
        assert_eq!(Probability::from_logits(1.0, 1.0).map(Probability::get), Some(0.5));
        assert_eq!(Probability::from_logits(0.0, 1e30).map(Probability::get), Some(1.0));
    }
}
