//! Face crops: the 112×112 grey images for the scorer's face encoder.
//!
//! Takes a frame and a face's smoothed centre and half-size `s` (pixels of the source frame);
//! cuts the crop of the released active-speaker demo: the square from `cx − 1.4s` and `cy − s`,
//! 2.8s wide, corners rounded down to whole pixels, resized to 224, of which the middle 112 are
//! kept, with grey 110 outside the frame. Grey is that of OpenCV's BGR→grey, 0..255: the luma
//! plane with limited range expanded. For BT.709 frames the small share of colour is added that
//! the BT.601 weights of that conversion put into grey.
//! Pixels are averaged first, to avoid aliasing, where the frame is larger than 960 (the size the
//! models' references were reduced to) or the crop shrinks a face to less than half.
//! Mean |Δ| to the released code is ≤ 2 grey levels (measured: 0.8). The corners move in whole
//! pixels with the face, as in the models' training data.

use super::rows::{Component, LANES, RowResizer, SampleMapping, add_weighted, to_bytes};
use crate::core::frame::{ImageView, LumaRange};
use crate::core::geometry::{Point, Rect};
use crate::core::image_resize::Axis;

/// Pixels along each side of a crop.
pub const CROP_SIDE_PX: usize = 112;
/// Pixels of a crop.
pub const CROP_PIXELS: usize = CROP_SIDE_PX * CROP_SIDE_PX;

/// Long side in pixels of the frames that the reference crops were cut from.
const REFERENCE_LONG_SIDE_PX: f32 = 960.0;
/// Grey level outside the frame.
const OUTSIDE_GREY: f32 = 110.0;
/// Side of the resized square whose middle is kept.
const RESIZED_SIDE_PX: usize = 2 * CROP_SIDE_PX;
/// What BT.601's grey of BT.709 colour adds to BT.709 luma: 0.299 R + 0.587 G + 0.114 B − Y.
const BT709_CB: f32 = 0.1156;
const BT709_CR: f32 = 0.2232;
/// Error of swscale's 8-bit BGR in grey levels. OpenCV decodes video through swscale, so all frames
/// of the models' training and of the references are darker by this.
const CONVERSION_BIAS: f32 = -1.26;

/// Position and size of a face; smoothed over time before a crop is cut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FacePosition {
    /// The middle of the face's box, in pixels.
    pub center: Point,
    /// Half the longer side of the face's box, in pixels.
    pub half_size: f32,
}

impl From<Rect> for FacePosition {
    fn from(face: Rect) -> Self {
        Self { center: face.center(), half_size: face.longer_side() / 2.0 }
    }
}

/// The part of a frame that a crop shows; its size is that of a plausible face.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CropRect {
    /// The whole square, in cells; its middle is kept.
    square: Rect,
    /// Pixels of the frame per cell; corners lie on whole cells.
    cell: f32,
}

impl CropRect {
    /// The crop for the face at `position` in a frame of `width` × `height` pixels.
    ///
    /// `None` for an implausible face: not finite, without size, larger than twice the frame, or
    /// further outside the frame than its own size.
    pub fn new(position: FacePosition, width: usize, height: usize) -> Option<Self> {
        let FacePosition { center: Point { x, y }, half_size } = position;
        let (width, height) = (width as f32, height as f32);
        let long_side = width.max(height);
        let near = |at: f32, side: f32| at > -2.0 * half_size && at < side + 2.0 * half_size;
        let possible =
            half_size > 0.0 && half_size <= long_side && near(x, width) && near(y, height);
        if !possible {
            return None;
        }
        let cell = (long_side / REFERENCE_LONG_SIDE_PX).max(1.0);
        let snap = |at: f32| (at / cell).floor();
        let (x1, y1) = (snap(x - 1.4 * half_size), snap(y - half_size));
        let (x2, y2) = (snap(x + 1.4 * half_size), snap(y + 1.8 * half_size));
        Some(Self { square: Rect::new(x1, y1, x2.max(x1 + 1.0), y2.max(y1 + 1.0)), cell })
    }

    /// The area that the 112×112 pixels cover, in pixels of the source frame: where a heatmap lies.
    pub fn rect(self) -> Rect {
        let s = self.square;
        let (dx, dy) = (s.width() / 4.0, s.height() / 4.0);
        Rect::new(s.x1 + dx, s.y1 + dy, s.x2 - dx, s.y2 - dy).scaled(self.cell)
    }
}

/// Cuts crops. Buffers are reused: no allocation once the largest face was seen.
#[derive(Default)]
pub struct Cropper {
    across: Axis,
    down: Axis,
    /// A block of rows as wide as the source.
    narrow: Vec<f32>,
    /// Rows of the source, as wide as the crop.
    wide: Vec<f32>,
    row_resizer: RowResizer,
    grey: Vec<f32>,
}

impl Cropper {
    /// Creates a cropper with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts `crop` out of `image` into `out`, row by row, 0..255.
    pub fn crop_grey(
        &mut self,
        image: &ImageView<'_>,
        crop: CropRect,
        out: &mut [u8; CROP_PIXELS],
    ) {
        self.grey.clear();
        self.grey.resize(CROP_PIXELS, 0.0);
        if image.bt709 {
            self.add_colour(image, crop);
        }
        self.set_axes(crop, 1.0);
        let (gain, black) = match image.range {
            LumaRange::Limited => (255.0 / 219.0, 16.0 * 255.0 / 219.0),
            LumaRange::Full => (1.0, 0.0),
        };
        let level = SampleMapping { gain, offset: CONVERSION_BIAS - black, min: 0.0, max: 255.0 };
        self.add(&[(Component::luma(image), level)], OUTSIDE_GREY);
        to_bytes(&self.grey, out);
    }

    /// Adds the chroma's share to the grey.
    fn add_colour(&mut self, image: &ImageView<'_>, crop: CropRect) {
        self.set_axes(crop, 0.5);
        let gain = match image.range {
            LumaRange::Limited => 255.0 / 224.0,
            LumaRange::Full => 1.0,
        };
        let level = |weight: f32| {
            let (min, max) = (f32::NEG_INFINITY, f32::INFINITY);
            SampleMapping { gain: weight, offset: -128.0 * weight, min, max }
        };
        let [cb, cr] = Component::chroma(image);
        self.add(&[(cb, level(BT709_CB * gain)), (cr, level(BT709_CR * gain))], 0.0);
    }

    /// Adds resized planes to the grey; `outside` is their level where there is no sample.
    ///
    /// The axis with fewer rows comes first: the rows of a small face are widened once and then
    /// blended for each row of the crop; the rows of a large face are blended first.
    fn add(&mut self, planes: &[(Component<'_>, SampleMapping)], outside: f32) {
        let (columns, rows) = (self.across.reach(), self.down.reach());
        let Self { across, down, narrow, wide, row_resizer, grey } = self;
        narrow.clear();
        narrow.resize(columns.len() * LANES, 0.0);
        // Blends and widens the rows that `weights` selects, and adds them to `out`.
        let mut blended = |weights: &mut dyn Iterator<Item = (i32, &[f32])>, out: &mut [f32]| {
            narrow.fill(0.0);
            for (row, down) in narrow.chunks_exact_mut(columns.len().max(1)).zip(weights) {
                for (plane, level) in planes {
                    plane.blend_rows(down, &columns, outside, *level, row);
                }
            }
            row_resizer.add(across, columns.start, narrow, out);
        };
        planes.iter().for_each(|(plane, _)| plane.prefetch(&rows, &columns));
        let block = LANES * CROP_SIDE_PX;
        if rows.len() > CROP_SIDE_PX {
            let mut weights = down.iter();
            grey.chunks_exact_mut(block).for_each(|out| blended(&mut weights, out));
            return;
        }
        wide.clear();
        wide.resize(rows.len().next_multiple_of(LANES) * CROP_SIDE_PX, 0.0);
        let mut whole = rows.clone().map(|y| (y, &[1.0][..]));
        wide.chunks_exact_mut(block).for_each(|out| blended(&mut whole, out));
        for ((first, weights), out) in down.iter().zip(grey.chunks_exact_mut(CROP_SIDE_PX)) {
            let wide = &wide[(first - rows.start) as usize * CROP_SIDE_PX..];
            for (row, weight) in wide.chunks_exact(CROP_SIDE_PX).zip(weights) {
                add_weighted(out, row, *weight);
            }
        }
    }

    /// Sets both axes' weights for `crop` on a plane of `resolution` samples per luma sample.
    fn set_axes(&mut self, crop: CropRect, resolution: f32) {
        let CropRect { square, cell } = crop;
        let set_axes = |axis: &mut Axis, from: f32, length: f32| {
            let step = length * cell * resolution / RESIZED_SIDE_PX as f32;
            let from = from * cell * resolution;
            // Linear interpolation alone suffices for steps of up to two pixels.
            let averaged = (cell * resolution).max(step / 2.0);
            axis.interpolate(CROP_SIDE_PX, averaged, |i| {
                from + (i as f32 + RESIZED_SIDE_PX as f32 / 4.0 + 0.5) * step
            });
        };
        set_axes(&mut self.across, square.x1, square.width());
        set_axes(&mut self.down, square.y1, square.height());
    }
}

#[cfg(test)]
#[path = "crop_tests.rs"]
mod tests;
