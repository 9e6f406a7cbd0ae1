//! Decodes faces from YuNet's output tensors.
//!
//! Takes, for each of the strides 8, 16 and 32, the four tensors of a grid of cells; gives face
//! boxes in pixels of the source frame, highest confidence first, after non-maximum suppression.
//! A cell's score is √(class · objectness). Its box is centred at (col + dx, row + dy) · stride and
//! measures exp(dw) by exp(dh) strides; landmarks are at (col + kx, row + ky) · stride. OpenCV's
//! `FaceDetectorYN` does the same (difference: 0.01 pixels).
//! Boxes are finite and not empty and confidences are within 0..=1, whatever the tensors contain.
//! Boxes are not clipped to the frame: half a face at the edge keeps its true size.

use super::DetectError;
use crate::core::geometry::{FaceBox, Point, Rect};

/// Candidates for non-maximum suppression at most: bounds its time on invalid tensors.
const MAX_CANDIDATES: usize = 2000;
/// Cells that usually pass: about ten per face.
const TYPICAL_CANDIDATES: usize = 64;

/// YuNet's tensors for one grid of cells, row by row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StrideOutputs<'a> {
    stride: u32,
    cols: usize,
    cls: &'a [f32],
    obj: &'a [f32],
    bbox: &'a [f32],
    kps: &'a [f32],
}

impl<'a> StrideOutputs<'a> {
    /// The tensors of a grid of `cols` × `rows` cells of `stride` pixels: one class score, one
    /// objectness, four box values and ten landmark values per cell.
    ///
    /// # Errors
    /// [`DetectError::Shape`] where a tensor has a different number of values.
    pub(crate) fn new(
        stride: u32,
        (cols, rows): (usize, usize),
        cls: &'a [f32],
        obj: &'a [f32],
        bbox: &'a [f32],
        kps: &'a [f32],
    ) -> Result<Self, DetectError> {
        for (output, values, per_cell) in
            [("cls", cls, 1), ("obj", obj, 1), ("bbox", bbox, 4), ("kps", kps, 10)]
        {
            let (expected, got) = (cols * rows * per_cell, values.len());
            if expected != got {
                return Err(DetectError::Shape { output, stride, cols, rows, expected, got });
            }
        }
        Ok(Self { stride, cols, cls, obj, bbox, kps })
    }

    /// Appends the cells that pass `min_confidence`, in pixels of the tensor.
    fn candidates(&self, min_confidence: f32, found: &mut Vec<FaceBox>) {
        let unit = |p: f32| if p.is_nan() { 0.0 } else { p.clamp(0.0, 1.0) };
        for (cell, (cls, obj)) in self.cls.iter().zip(self.obj).enumerate() {
            let confidence = (unit(*cls) * unit(*obj)).sqrt();
            if confidence >= min_confidence {
                found.extend(self.face(cell, confidence));
            }
        }
    }

    /// The face of one cell; `None` where its values are not a valid box.
    fn face(&self, cell: usize, confidence: f32) -> Option<FaceBox> {
        let stride = self.stride as f32;
        let (col, row) = ((cell % self.cols) as f32, (cell / self.cols) as f32);
        let bbox = &self.bbox[cell * 4..][..4];
        let (cx, cy) = ((col + bbox[0]) * stride, (row + bbox[1]) * stride);
        let (width, height) = (bbox[2].exp() * stride, bbox[3].exp() * stride);
        let kps = &self.kps[cell * 10..][..10];
        let landmarks = std::array::from_fn(|i| Point {
            x: (col + kps[2 * i]) * stride,
            y: (row + kps[2 * i + 1]) * stride,
        });
        let rect =
            Rect::new(cx - width / 2.0, cy - height / 2.0, cx + width / 2.0, cy + height / 2.0);
        let finite = [rect.x1, rect.y1, rect.x2, rect.y2].iter().all(|v| v.is_finite())
            && landmarks.iter().all(|p: &Point| p.x.is_finite() && p.y.is_finite());
        let has_size = rect.area().is_normal();
        (finite && has_size).then_some(FaceBox { rect, confidence, landmarks })
    }
}

/// Thresholds for faces.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Thresholds {
    /// Minimum confidence of a face, 0..=1.
    pub confidence: f32,
    /// Overlap (intersection over union, 0..=1) above which the weaker of two boxes is the same
    /// face.
    pub overlap: f32,
}

impl Default for Thresholds {
    /// The values used for the model's references.
    fn default() -> Self {
        Self { confidence: 0.6, overlap: 0.3 }
    }
}

/// The faces in `outputs`, highest confidence first. `scale` is tensor pixels per source pixel
/// ([`super::input::DetectorInput::scale`]): boxes are divided by it.
pub(crate) fn decode(
    outputs: &[StrideOutputs<'_>],
    scale: f32,
    thresholds: Thresholds,
) -> Vec<FaceBox> {
    let mut candidates = Vec::with_capacity(TYPICAL_CANDIDATES);
    for grid in outputs {
        grid.candidates(thresholds.confidence, &mut candidates);
    }
    // A stable sort: equal confidences keep the tensors' order, so the result is deterministic.
    candidates.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    candidates.truncate(MAX_CANDIDATES);
    let mut faces: Vec<FaceBox> = Vec::new();
    for candidate in candidates {
        if faces.iter().all(|face| face.rect.iou(candidate.rect) <= thresholds.overlap) {
            faces.push(candidate);
        }
    }
    let factor = 1.0 / scale;
    for face in &mut faces {
        face.rect = face.rect.scaled(factor);
        for point in &mut face.landmarks {
            *point = Point { x: point.x * factor, y: point.y * factor };
        }
    }
    faces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tensors of a grid in which only some cells are set.
    struct Grid {
        stride: u32,
        cols: usize,
        rows: usize,
        cls: Vec<f32>,
        obj: Vec<f32>,
        bbox: Vec<f32>,
        kps: Vec<f32>,
    }

    impl Grid {
        fn new(stride: u32, cols: usize, rows: usize) -> Self {
            let zeros = |n| vec![0.0; cols * rows * n];
            let (cls, obj, bbox, kps) = (zeros(1), zeros(1), zeros(4), zeros(10));
            Self { stride, cols, rows, cls, obj, bbox, kps }
        }

        fn face(mut self, col: usize, row: usize, score: f32, bbox: [f32; 4]) -> Self {
            let cell = row * self.cols + col;
            (self.cls[cell], self.obj[cell]) = (score, score);
            self.bbox[cell * 4..][..4].copy_from_slice(&bbox);
            for (i, k) in self.kps[cell * 10..][..10].iter_mut().enumerate() {
                *k = i as f32 / 10.0;
            }
            self
        }

        fn outputs(&self) -> StrideOutputs<'_> {
            let Self { stride, cols, rows, cls, obj, bbox, kps } = self;
            StrideOutputs::new(*stride, (*cols, *rows), cls, obj, bbox, kps).unwrap()
        }
    }

    fn faces(grids: &[Grid], scale: f32) -> Vec<FaceBox> {
        let outputs: Vec<_> = grids.iter().map(Grid::outputs).collect();
        decode(&outputs, scale, Thresholds::default())
    }

    #[test]
    fn a_cell_is_decoded_to_a_face() {
        let grid = Grid::new(16, 10, 5).face(3, 2, 0.9, [0.5, 0.25, 2f32.ln(), 3f32.ln()]);
        let found = faces(&[grid], 0.5);
        assert_eq!(found.len(), 1);
        let FaceBox { rect, confidence, landmarks } = found[0];
        let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
        assert!(near(confidence, 0.9));
        // Centre (3.5, 2.25) cells of 16 pixels, 2 by 3 cells, at twice the tensor's size.
        assert!(near(rect.x1, 80.0) && near(rect.x2, 144.0), "{rect:?}");
        assert!(near(rect.y1, 24.0) && near(rect.y2, 120.0), "{rect:?}");
        assert!(near(landmarks[4].x, (3.0 + 0.8) * 32.0) && near(landmarks[4].y, 2.9 * 32.0));
    }

    #[test]
    fn the_more_confident_of_two_boxes_on_a_face_is_kept() {
        let eight = Grid::new(8, 20, 20).face(8, 8, 0.7, [0.0, 0.0, 4f32.ln(), 4f32.ln()]);
        let sixteen = Grid::new(16, 10, 10).face(4, 4, 0.8, [0.0, 0.0, 2f32.ln(), 2f32.ln()]).face(
            8,
            8,
            0.65,
            [0.0, 0.0, 0.0, 0.0],
        );
        let found = faces(&[eight, sixteen], 1.0);
        let confidences: Vec<f32> = found.iter().map(|f| (f.confidence * 100.0).round()).collect();
        assert_eq!(confidences, [80.0, 65.0]);
    }

    #[test]
    fn invalid_boxes_are_skipped() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let grid = Grid::new(8, 8, 1)
            .face(0, 0, nan, [0.0; 4])
            .face(1, 0, 0.9, [nan, 0.0, 0.0, 0.0])
            .face(2, 0, 0.9, [0.0, 0.0, 1e9, 0.0])
            .face(3, 0, 0.9, [0.0, 0.0, -1e9, 0.0])
            .face(4, 0, 0.9, [0.0, -inf, 0.0, 0.0])
            .face(6, 0, inf, [0.0; 4]);
        let found = faces(&[grid], 1.0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].confidence, 1.0);
    }

    #[test]
    fn tensors_of_the_wrong_size_are_rejected_by_name() {
        let (one, four, ten) = (vec![0.0; 6], vec![0.0; 24], vec![0.0; 59]);
        let error = StrideOutputs::new(8, (3, 2), &one, &one, &four, &ten).unwrap_err();
        assert!(error.to_string().contains("`kps` has 59 values"), "{error}");
    }

    proptest! {
        #[test]
        fn boxes_are_valid_whatever_the_tensors_hold(
            values in prop::collection::vec(any::<f32>(), 4 * 4 * 16),
        ) {
            let (cls, rest) = values.split_at(16);
            let (obj, rest) = rest.split_at(16);
            let (bbox, kps) = rest.split_at(64);
            let grid = StrideOutputs::new(8, (4, 4), cls, obj, bbox, kps).unwrap();
            let thresholds = Thresholds { confidence: 0.0, overlap: 0.3 };
            for face in decode(&[grid], 1.0, thresholds) {
                prop_assert!((0.0..=1.0).contains(&face.confidence));
                prop_assert!(face.rect.area() > 0.0 && face.rect.area().is_finite());
            }
        }

        #[test]
        fn boxes_are_scaled_by_the_inverse(scale in 0.05f32..2.0) {
            let grid = || Grid::new(16, 10, 10).face(4, 4, 0.8, [0.1, 0.2, 0.3, 0.4]);
            let (one, other) = (faces(&[grid()], 1.0)[0], faces(&[grid()], scale)[0]);
            prop_assert!((other.rect.width() * scale - one.rect.width()).abs() < 1e-2);
            prop_assert!((other.landmarks[2].x * scale - one.landmarks[2].x).abs() < 1e-2);
        }
    }
}
