//! The motion of a face between two detections: a smoothed velocity of its centre.
//!
//! Velocity is smoothed over time, not over detections. So the detector's jitter of a pixel does
//! not grow with the detection rate. Extrapolation stops after [`HORIZON_SECONDS`]: a face that has
//! been missing for longer has probably stopped.

use crate::core::geometry::{FaceBox, Landmarks, Point, Rect};
use crate::core::time::{Pts, Span};

/// Time constant of the velocity's smoothing in seconds.
const SMOOTHING_SECONDS: f64 = 0.15;
/// Positions are extrapolated by at most this many seconds.
const HORIZON_SECONDS: f64 = 0.4;

/// A box's size: the square root of its area. All distance limits are relative to it.
pub(super) fn size(rect: Rect) -> f32 {
    rect.area().sqrt()
}

/// Whether a detection can be tracked: finite and not empty.
pub(super) fn is_valid(face: &FaceBox) -> bool {
    let r = face.rect;
    let corners = [r.x1, r.y1, r.x2, r.y2].iter().all(|v| v.is_finite());
    let marks = face.landmarks.iter().all(|p| p.x.is_finite() && p.y.is_finite());
    corners && marks && r.area() > 0.0 && r.area().is_finite()
}

/// Landmarks between `a` (`t` = 0) and `b` (`t` = 1).
pub(super) fn lerp_landmarks(a: &Landmarks, b: &Landmarks, t: f32) -> Landmarks {
    std::array::from_fn(|i| Point {
        x: a[i].x + (b[i].x - a[i].x) * t,
        y: a[i].y + (b[i].y - a[i].y) * t,
    })
}

/// The position of `at` between `a` (0) and `b` (1), 0..=1.
pub(super) fn fraction(a: Pts, b: Pts, at: Pts) -> f32 {
    let whole = (b - a).seconds();
    if whole > 0.0 { ((at - a).seconds() / whole).clamp(0.0, 1.0) as f32 } else { 1.0 }
}

/// Velocity of a face's centre in pixels per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Velocity {
    x: f64,
    y: f64,
}

impl Velocity {
    /// The velocity after a face went from `from` to `to` in `dt`.
    #[must_use]
    pub(super) fn updated(self, from: Rect, to: Rect, dt: Span) -> Self {
        let dt = dt.seconds();
        if dt <= 0.0 {
            return self;
        }
        let (a, b) = (from.center(), to.center());
        let gain = dt / (dt + SMOOTHING_SECONDS);
        let mix = |old: f64, from: f32, to: f32| old + (f64::from(to - from) / dt - old) * gain;
        Self { x: mix(self.x, a.x, b.x), y: mix(self.y, a.y, b.y) }
    }

    /// The displacement in `dt`, in pixels right and down.
    pub(super) fn displacement(self, dt: Span) -> (f32, f32) {
        let dt = dt.seconds().clamp(0.0, HORIZON_SECONDS);
        ((self.x * dt) as f32, (self.y * dt) as f32)
    }
}
