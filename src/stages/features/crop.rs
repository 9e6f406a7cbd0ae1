//! Face crops: the 112×112 grey frames that the scorer's face encoder looks at.
//!
//! Takes a frame and a face's smoothed centre and half-size `s` (pixels of the source frame);
//! gives what the released active-speaker demo would cut out: the square from `cx − 1.4s` and
//! `cy − s`, 2.8s wide, corners cut to whole pixels, resized to 224 and only its middle 112 kept,
//! with grey 110 outside the frame. Grey is that of OpenCV's BGR→grey, 0..255: the luma plane,
//! limited range expanded; BT.709 frames get the small share of colour that the BT.601 weights
//! of that conversion put into grey.
//! Where the frame is larger than 960 (which the models' references were reduced to) or the
//! crop shrinks a face to less than half, pixels are averaged first, so that nothing aliases.
//! Promises mean |Δ| ≤ 2 grey levels to the released code (measured: 0.8). The corners
//! jump by whole pixels with the face, as the models have seen it in training.

use super::rows::{Component, LANES, RowResizer, SampleMapping, add_weighted, to_bytes};
use crate::core::frame::{ImageView, LumaRange};
use crate::core::geometry::{Point, Rect};
use crate::stages::image_resize::Axis;

/// Pixels along each side of a crop.
pub const CROP_SIDE_PX: usize = 112;
/// Pixels of a crop.
pub const CROP_PIXELS: usize = CROP_SIDE_PX * CROP_SIDE_PX;

/// Long side in pixels that frames had when the reference crops were cut.
const REFERENCE_LONG_SIDE_PX: f32 = 960.0;
/// Grey level outside the frame.
const OUTSIDE_GREY: f32 = 110.0;
/// The square that is resized before its middle is kept.
const RESIZED_SIDE_PX: usize = 2 * CROP_SIDE_PX;
/// What BT.601's grey of BT.709 colour adds to BT.709 luma: 0.299 R + 0.587 G + 0.114 B − Y.
const BT709_CB: f32 = 0.1156;
const BT709_CR: f32 = 0.2232;
/// By how much grey from swscale's 8-bit BGR is off: OpenCV decodes video through it, so that all
/// frames of the models' training and of the references are that much darker.
const CONVERSION_BIAS: f32 = -1.26;

/// Where a face is and how large: what is smoothed over time before a crop is cut.
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

/// The part of a frame that a crop shows; its size is that of a real face.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CropRect {
    /// The square before its middle is kept, in cells.
    square: Rect,
    /// Pixels of the frame per cell: the corners lie on whole cells.
    cell: f32,
}

impl CropRect {
    /// The crop for the face at `position` in a frame of `width` × `height` pixels.
    ///
    /// `None` where that is no face: not finite, without size, larger than twice the frame, or
    /// further outside than its own size.
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

    /// What the 112×112 pixels cover, in pixels of the source frame: the place of a heatmap.
    pub fn rect(self) -> Rect {
        let s = self.square;
        let (dx, dy) = (s.width() / 4.0, s.height() / 4.0);
        Rect::new(s.x1 + dx, s.y1 + dy, s.x2 - dx, s.y2 - dy).scaled(self.cell)
    }
}

/// Cuts crops; keeps its buffers, so that a crop costs no allocation once the largest face was seen.
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
    /// A cropper that has cut nothing yet.
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

    /// Adds to the grey what colour adds to it.
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
    /// Along the axis first that has fewer rows to go through: a small face's rows are widened once
    /// and then blended for each of the crop's, a large one's are blended first.
    fn add(&mut self, planes: &[(Component<'_>, SampleMapping)], outside: f32) {
        let (columns, rows) = (self.across.reach(), self.down.reach());
        let Self { across, down, narrow, wide, row_resizer, grey } = self;
        narrow.clear();
        narrow.resize(columns.len() * LANES, 0.0);
        // Rows that `weights` tells, blended and widened, are added to `out`.
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

    /// Points the tables at `crop` on a plane of `resolution` samples per luma sample.
    fn set_axes(&mut self, crop: CropRect, resolution: f32) {
        let CropRect { square, cell } = crop;
        let set_axes = |axis: &mut Axis, from: f32, length: f32| {
            let step = length * cell * resolution / RESIZED_SIDE_PX as f32;
            let from = from * cell * resolution;
            // Linear interpolation alone is fit for steps of up to two pixels.
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
