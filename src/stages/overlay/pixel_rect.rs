//! Rectangles in whole pixels of a frame.

use crate::core::geometry::Rect;

/// A sprite's position and size in pixels of the frame; always inside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PixelRect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width, at least 1.
    pub w: u32,
    /// Height, at least 1.
    pub h: u32,
}

impl PixelRect {
    /// The face's box in whole pixels, widened by `outset` and clipped to the frame, so that a face
    /// that reaches out keeps all four sides. `None` if no part of the face is in the frame.
    pub(super) fn around_face(face: Rect, outset: u32, frame_size: (u32, u32)) -> Option<Self> {
        let (width, height) = (frame_size.0 as f32, frame_size.1 as f32);
        let whole = Rect::new(0.0, 0.0, width, height);
        let finite = [face.x1, face.y1, face.x2, face.y2].iter().all(|v| v.is_finite());
        if !finite || face.intersection(whole).area() <= 0.0 {
            return None;
        }
        let out = outset as f32;
        let low = |v: f32, max: f32| (v.round() - out).clamp(0.0, max - 1.0) as i32;
        let (x, y) = (low(face.x1, width), low(face.y1, height));
        let high = |v: f32, max: f32, low: i32| {
            ((v.round() + out).clamp(0.0, max) as i32 - low).max(1) as u32
        };
        Some(Self { x, y, w: high(face.x2, width, x), h: high(face.y2, height, y) })
    }

    /// Number of pixels that two rectangles share.
    pub(super) fn overlap(self, other: Self) -> f32 {
        let span = |a: i32, aw: u32, b: i32, bw: u32| {
            let end = (i64::from(a) + i64::from(aw)).min(i64::from(b) + i64::from(bw));
            (end - i64::from(a.max(b))).max(0) as f32
        };
        span(self.x, self.w, other.x, other.w) * span(self.y, self.h, other.y, other.h)
    }

    /// Share of the smaller rectangle that the other one covers, 0..=1.
    pub(super) fn overlap_ratio(self, other: Self) -> f32 {
        let area = |rect: Self| rect.w as f32 * rect.h as f32;
        let smaller = area(self).min(area(other));
        if smaller > 0.0 { self.overlap(other) / smaller } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_that_reaches_out_keeps_its_box_inside() {
        let at = |face| PixelRect::around_face(face, 3, (320, 240));
        let cut = at(Rect::new(-50.0, 100.4, 40.0, 400.0)).expect("partly inside");
        assert_eq!(cut, PixelRect { x: 0, y: 97, w: 43, h: 143 });
        assert!(at(Rect::new(-50.0, 10.0, 0.0, 50.0)).is_none());
        assert!(at(Rect::new(f32::NAN, 10.0, 50.0, 50.0)).is_none());
        assert!(at(Rect::new(50.0, 10.0, 40.0, 50.0)).is_none());
        let all = at(Rect::new(-1e30, -1e30, 1e30, 1e30)).expect("covers all");
        assert_eq!(all, PixelRect { x: 0, y: 0, w: 320, h: 240 });
    }
}
