//! How a face moves between two detections: a smoothed velocity of its middle and its size.
//!
//! Velocity is smoothed over time, not over detections, so that a detector's jitter of a pixel does
//! not grow with the detection rate. Prediction stops after [`HORIZON_SECONDS`]: a face that has not been
//! seen for longer is more likely to have stopped than to have gone on.

use crate::core::geometry::{FaceBox, Landmarks, Point, Rect};
use crate::core::time::{Pts, Span};

/// Velocity's smoothing time in seconds.
const SMOOTHING_SECONDS: f64 = 0.15;
/// No face is carried further than this many seconds of its velocity.
const HORIZON_SECONDS: f64 = 0.4;

/// The square root of a box's area: the one length that all gates are relative to.
pub fn size(rect: Rect) -> f32 {
    rect.area().sqrt()
}

/// Whether a detection can be tracked at all: finite, and not empty.
pub fn is_valid(face: &FaceBox) -> bool {
    let r = face.rect;
    let corners = [r.x1, r.y1, r.x2, r.y2].iter().all(|v| v.is_finite());
    let marks = face.landmarks.iter().all(|p| p.x.is_finite() && p.y.is_finite());
    corners && marks && r.area() > 0.0 && r.area().is_finite()
}

/// Landmarks between `a` (`t` = 0) and `b` (`t` = 1).
pub fn lerp_landmarks(a: &Landmarks, b: &Landmarks, t: f32) -> Landmarks {
    std::array::from_fn(|i| Point {
        x: a[i].x + (b[i].x - a[i].x) * t,
        y: a[i].y + (b[i].y - a[i].y) * t,
    })
}

/// The share of the way from `a` to `b` at `at`, 0..=1.
pub fn fraction(a: Pts, b: Pts, at: Pts) -> f32 {
    let whole = (b - a).seconds();
    if whole > 0.0 { ((at - a).seconds() / whole).clamp(0.0, 1.0) as f32 } else { 1.0 }
}

/// Pixels a second that a face's middle moves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Velocity {
    x: f64,
    y: f64,
}

impl Velocity {
    /// The velocity after a face went from `from` to `to` in `dt`.
    #[must_use]
    pub fn updated(self, from: Rect, to: Rect, dt: Span) -> Self {
        let dt = dt.seconds();
        if dt <= 0.0 {
            return self;
        }
        let (a, b) = (from.center(), to.center());
        let gain = dt / (dt + SMOOTHING_SECONDS);
        let mix = |old: f64, from: f32, to: f32| old + (f64::from(to - from) / dt - old) * gain;
        Self { x: mix(self.x, a.x, b.x), y: mix(self.y, a.y, b.y) }
    }

    /// How far a face comes in `dt`, in pixels right and down.
    pub fn displacement(self, dt: Span) -> (f32, f32) {
        let dt = dt.seconds().clamp(0.0, HORIZON_SECONDS);
        ((self.x * dt) as f32, (self.y * dt) as f32)
    }
}
