//! The overlay's settings: what is drawn, how opaque, and how large.
//!
//! Input: the sizes of the frame and of a face. Output: sizes in whole pixels. Lines and text grow
//! with the frame's geometric mean side, so that portrait and landscape videos look alike. They
//! shrink with a small face as long as they stay legible.

use super::palette::{self, Rgb};
use crate::core::evidence::Verdict;

/// Opacity of the strongest evidence, 0..=1.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Opacity(f32);

impl Opacity {
    /// `share`, or `None` if it is not within 0..=1.
    pub fn new(share: f32) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The value.
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl Default for Opacity {
    /// The face stays visible under the strongest evidence.
    fn default() -> Self {
        Self(0.65)
    }
}

impl TryFrom<f32> for Opacity {
    type Error = String;
    fn try_from(share: f32) -> Result<Self, Self::Error> {
        Self::new(share).ok_or_else(|| format!("opacity {share} is not within 0 to 1"))
    }
}

impl From<Opacity> for f32 {
    fn from(opacity: Opacity) -> Self {
        opacity.0
    }
}

/// What is drawn.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Style {
    /// Heatmaps over faces.
    pub heat: bool,
    /// Boxes around faces.
    pub boxes: bool,
    /// Labels beside faces.
    pub labels: bool,
    /// Opacity of the strongest evidence.
    pub opacity: Opacity,
}

impl Default for Style {
    fn default() -> Self {
        Self { heat: true, boxes: true, labels: true, opacity: Opacity::default() }
    }
}

/// The state that a viewer must recognise at a glance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum State {
    Speaking,
    Silent,
    Unknown,
}

impl State {
    pub(super) const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Unknown(_) => Self::Unknown,
            Verdict::Scored { speaking: true, .. } => Self::Speaking,
            Verdict::Scored { speaking: false, .. } => Self::Silent,
        }
    }

    pub(super) const fn colour(self) -> Rgb {
        match self {
            Self::Speaking => palette::SPEAKING,
            Self::Silent => palette::SILENT,
            Self::Unknown => palette::UNKNOWN,
        }
    }
}

/// Smallest em at which the font's digits are distinct.
const MIN_EM_PX: f32 = 11.0;
/// Em and line width as shares of √(width × height).
const EM_SHARE: f32 = 0.0165;
const LINE_SHARE: f32 = 0.0021;

/// Text and line sizes for one frame size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sizes {
    em: f32,
    line: f32,
}

impl Sizes {
    pub(super) fn of_frame(width: u32, height: u32) -> Self {
        let side = (f64::from(width) * f64::from(height)).sqrt() as f32;
        Self { em: (side * EM_SHARE).max(MIN_EM_PX), line: side * LINE_SHARE }
    }

    /// Em in pixels of the label of a face `face_px` high.
    pub(super) fn em_px(self, face_px: f32) -> f32 {
        (face_px * 0.16).clamp((self.em * 0.65).max(MIN_EM_PX), self.em)
    }

    /// Line width in whole pixels around a face whose shorter side is `face_px`.
    pub(super) fn line_px(self, state: State, face_px: f32) -> u32 {
        let thin = self.line.min(face_px / 16.0).round().max(1.0);
        match state {
            State::Speaking => (thin * 2.0) as u32,
            State::Silent | State::Unknown => thin as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_with_the_frame_and_shrink_with_the_face() {
        let em = |w, h, face| Sizes::of_frame(w, h).em_px(face);
        assert_eq!(em(320, 240, 20.0), MIN_EM_PX);
        assert!((40.0..56.0).contains(&em(3840, 2160, 900.0)));
        assert_eq!(em(1080, 1920, 300.0), em(1920, 1080, 300.0));
        assert!(em(3840, 2160, 60.0) < em(3840, 2160, 900.0));
        let line = |w, h, state, face| Sizes::of_frame(w, h).line_px(state, face);
        assert_eq!(line(320, 240, State::Silent, 80.0), 1);
        assert_eq!(line(320, 240, State::Speaking, 80.0), 2);
        assert_eq!(line(3840, 2160, State::Silent, 20.0), 1);
        assert!(line(3840, 2160, State::Speaking, 900.0) >= 10);
    }

    #[test]
    fn opacity_is_a_share() {
        assert!(Opacity::new(f32::NAN).is_none() && Opacity::new(1.1).is_none());
        let style: Style = toml::from_str("heat = false\nopacity = 0.25").expect("valid");
        assert_eq!((style.heat, style.labels, style.opacity.get()), (false, true, 0.25));
        let error = toml::from_str::<Style>("opacity = 7.0").expect_err("too much").to_string();
        assert!(error.contains("opacity 7 is not within 0 to 1"), "{error}");
    }
}
