//! Points, rectangles and faces in pixels of the upright source frame (x right, y down).

use serde::{Deserialize, Serialize};

/// A point in pixels.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

/// A rectangle by its corners, in pixels; may extend beyond the frame.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge (exclusive).
    pub x2: f32,
    /// Bottom edge (exclusive).
    pub y2: f32,
}

impl Rect {
    /// The rectangle between two corners.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Width in pixels, never negative.
    pub fn width(self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height in pixels, never negative.
    pub fn height(self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// The longer of width and height in pixels.
    pub fn longer_side(self) -> f32 {
        self.width().max(self.height())
    }

    /// Area in square pixels.
    pub fn area(self) -> f32 {
        self.width() * self.height()
    }

    /// The center.
    pub fn center(self) -> Point {
        Point { x: (self.x1 + self.x2) / 2.0, y: (self.y1 + self.y2) / 2.0 }
    }

    /// The intersection of both rectangles (empty where they do not touch).
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(
            self.x1.max(other.x1),
            self.y1.max(other.y1),
            self.x2.min(other.x2),
            self.y2.min(other.y2),
        )
    }

    /// Intersection over union, 0..=1.
    pub fn iou(self, other: Self) -> f32 {
        let shared = self.intersection(other).area();
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// The rectangle between `self` (`t` = 0) and `other` (`t` = 1).
    #[must_use]
    pub fn lerp(self, other: Self, t: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * t;
        Self::new(
            mix(self.x1, other.x1),
            mix(self.y1, other.y1),
            mix(self.x2, other.x2),
            mix(self.y2, other.y2),
        )
    }

    /// The rectangle with every coordinate multiplied by `factor`.
    #[must_use]
    pub fn scaled(self, factor: f32) -> Self {
        Self::new(self.x1 * factor, self.y1 * factor, self.x2 * factor, self.y2 * factor)
    }
}

/// The five landmarks of a face: right eye, left eye, nose tip, right and left mouth corner (right
/// and left of the person).
pub type Landmarks = [Point; 5];

/// A detected face.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaceBox {
    /// The face, in pixels of the source frame.
    pub rect: Rect,
    /// The detector's confidence, 0..=1.
    pub confidence: f32,
    /// Where the eyes, the nose and the mouth are.
    pub landmarks: Landmarks,
}

impl FaceBox {
    /// The face, shifted by pixels to the right and down.
    #[must_use]
    pub fn shifted(self, (right, down): (f32, f32)) -> Self {
        let Rect { x1, y1, x2, y2 } = self.rect;
        let rect = Rect::new(x1 + right, y1 + down, x2 + right, y2 + down);
        let landmarks = self.landmarks.map(|p| Point { x: p.x + right, y: p.y + down });
        Self { rect, landmarks, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_halves_is_a_third() {
        let a = Rect::new(0.0, 0.0, 2.0, 2.0);
        let b = Rect::new(1.0, 0.0, 3.0, 2.0);
        assert!((a.iou(b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(Rect::new(5.0, 5.0, 6.0, 6.0)), 0.0);
        assert_eq!(Rect::default().iou(Rect::default()), 0.0);
    }
}
