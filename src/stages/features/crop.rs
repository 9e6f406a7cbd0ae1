//! Face crops: the 112×112 grey pictures that the scorer's face encoder looks at.
//!
//! Takes a picture and a face's smoothed centre and half-size `s` (pixels of the source picture);
//! gives what the released active-speaker demo would cut out: the square from `cx − 1.4s` and
//! `cy − s`, 2.8s wide, corners cut to whole pixels, resized to 224 and only its middle 112 kept,
//! with grey 110 outside the picture. Grey is that of OpenCV's BGR→grey, 0..255: the luma plane,
//! limited range expanded; BT.709 pictures get the small share of colour that the BT.601 weights
//! of that conversion put into grey.
//! Where the picture is larger than 960 (which the models' references were reduced to) or the
//! crop shrinks a face to less than half, pixels are averaged first, so that nothing aliases.
//! Promises mean |Δ| ≤ 2 grey levels to the released code (measured: 0.8). The corners
//! jump by whole pixels with the face, as the models have seen it in training.

use std::ops::Range;

use multiversion::multiversion;

use crate::core::geometry::{Point, Rect};
use crate::core::picture::{Chroma, LumaRange, PictureView, Plane};
use crate::stages::resample::Axis;

/// Pixels along each side of a crop.
pub const CROP_SIDE_PX: usize = 112;
/// Pixels of a crop.
pub const CROP_PIXELS: usize = CROP_SIDE_PX * CROP_SIDE_PX;

/// Long side in pixels that pictures had when the reference crops were cut.
const REFERENCE_LONG_SIDE_PX: f32 = 960.0;
/// Grey level outside the picture.
const OUTSIDE: f32 = 110.0;
/// The square that is resized before its middle is kept.
const RESIZED_SIDE_PX: usize = 2 * CROP_SIDE_PX;
/// What BT.601's grey of BT.709 colour adds to BT.709 luma: 0.299 R + 0.587 G + 0.114 B − Y.
const BT709_CB: f32 = 0.1156;
const BT709_CR: f32 = 0.2232;
/// By how much grey from swscale's 8-bit BGR is off: OpenCV decodes video through it, so that all
/// pictures of the models' training and of the references are that much darker.
const CONVERSION_BIAS: f32 = -1.26;

/// Where a face is and how large: what is smoothed over time before a crop is cut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaceSpot {
    /// The middle of the face's box, in pixels.
    pub center: Point,
    /// Half the longer side of the face's box, in pixels.
    pub half_size: f32,
}

impl From<Rect> for FaceSpot {
    fn from(face: Rect) -> Self {
        Self { center: face.center(), half_size: face.width().max(face.height()) / 2.0 }
    }
}

/// The part of a picture that a crop shows; its size is that of a real face.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CropRect {
    /// The square before its middle is kept, in cells.
    square: Rect,
    /// Pixels of the picture per cell: the corners lie on whole cells.
    cell: f32,
}

impl CropRect {
    /// The crop for the face at `spot` in a picture of `width` × `height` pixels.
    ///
    /// `None` where that is no face: not finite, without size, larger than twice the picture, or
    /// further outside than its own size.
    pub fn new(spot: FaceSpot, width: usize, height: usize) -> Option<Self> {
        let FaceSpot { center: Point { x, y }, half_size } = spot;
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

    /// What the 112×112 pixels cover, in pixels of the source picture: the place of a heatmap.
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
    row: Vec<f32>,
    /// Rows of the source, as wide as the crop.
    wide: Vec<f32>,
    grey: Vec<f32>,
}

impl Cropper {
    /// A cropper that has cut nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts `crop` out of `picture` into `out`, row by row, 0..255.
    pub fn crop_grey(
        &mut self,
        picture: &PictureView<'_>,
        crop: CropRect,
        out: &mut [u8; CROP_PIXELS],
    ) {
        self.grey.clear();
        self.grey.resize(CROP_PIXELS, 0.5);
        if picture.bt709 {
            self.add_colour(picture, crop);
        }
        self.aim(crop, 1.0);
        let (gain, black) = match picture.range {
            LumaRange::Limited => (255.0 / 219.0, 16.0 * 255.0 / 219.0),
            LumaRange::Full => (1.0, 0.0),
        };
        let level = Level { gain, offset: CONVERSION_BIAS - black, least: 0.0, most: 255.0 };
        self.add(&[(Source::luma(picture), level)], OUTSIDE);
        out.iter_mut().zip(&self.grey).for_each(|(out, grey)| *out = *grey as u8);
    }

    /// Adds to the grey what colour adds to it.
    fn add_colour(&mut self, picture: &PictureView<'_>, crop: CropRect) {
        self.aim(crop, 0.5);
        let gain = match picture.range {
            LumaRange::Limited => 255.0 / 224.0,
            LumaRange::Full => 1.0,
        };
        let level = |weight: f32| {
            let (least, most) = (f32::NEG_INFINITY, f32::INFINITY);
            Level { gain: weight, offset: -128.0 * weight, least, most }
        };
        let [cb, cr] = Source::chroma(picture);
        self.add(&[(cb, level(BT709_CB * gain)), (cr, level(BT709_CR * gain))], 0.0);
    }

    /// Adds resized planes to the grey; `outside` is their level where there is no sample.
    ///
    /// Along the axis first that has fewer rows to go through: a small face's rows are widened once
    /// and then blended for each of the crop's, a large one's are blended first.
    fn add(&mut self, planes: &[(Source<'_>, Level)], outside: f32) {
        let (columns, rows) = (self.across.reach(), self.down.reach());
        let mut blended = |down: (i32, &[f32]), out: &mut [f32]| {
            self.row.clear();
            self.row.resize(columns.len(), 0.0);
            for (plane, level) in planes {
                plane.blend_rows(down, &columns, outside, *level, &mut self.row);
            }
            blend_columns(&self.across, columns.start, &self.row, out);
        };
        let crop_rows = self.down.iter().zip(self.grey.chunks_exact_mut(CROP_SIDE_PX));
        if rows.len() > CROP_SIDE_PX {
            crop_rows.for_each(|(down, out)| blended(down, out));
            return;
        }
        self.wide.clear();
        self.wide.resize(rows.len() * CROP_SIDE_PX, 0.0);
        for (y, out) in rows.clone().zip(self.wide.chunks_exact_mut(CROP_SIDE_PX)) {
            blended((y, &[1.0]), out);
        }
        for ((first, weights), out) in crop_rows {
            let wide = &self.wide[(first - rows.start) as usize * CROP_SIDE_PX..];
            for (row, weight) in wide.chunks_exact(CROP_SIDE_PX).zip(weights) {
                add_weighted(out, row, *weight);
            }
        }
    }

    /// Points the tables at `crop` on a plane of `resolution` samples per luma sample.
    fn aim(&mut self, crop: CropRect, resolution: f32) {
        let CropRect { square, cell } = crop;
        let aim = |axis: &mut Axis, from: f32, length: f32| {
            let step = length * cell * resolution / RESIZED_SIDE_PX as f32;
            let from = from * cell * resolution;
            // Linear interpolation alone is fit for steps of up to two pixels.
            let averaged = (cell * resolution).max(step / 2.0);
            axis.interpolate(CROP_SIDE_PX, averaged, |i| {
                from + (i as f32 + RESIZED_SIDE_PX as f32 / 4.0 + 0.5) * step
            });
        };
        aim(&mut self.across, square.x1, square.width());
        aim(&mut self.down, square.y1, square.height());
    }
}

/// What a sample is worth: sample × gain + offset, between two bounds.
#[derive(Clone, Copy)]
struct Level {
    gain: f32,
    offset: f32,
    least: f32,
    most: f32,
}

impl Level {
    #[inline(always)]
    fn of(self, sample: u8) -> f32 {
        (f32::from(sample) * self.gain + self.offset).max(self.least).min(self.most)
    }
}

/// Samples of one component of a picture.
struct Source<'a> {
    plane: Plane<'a>,
    /// Bytes from one sample to the next, and to the first one of a row.
    step: usize,
    start: usize,
    width: usize,
    height: usize,
}

impl<'a> Source<'a> {
    fn luma(picture: &PictureView<'a>) -> Self {
        let PictureView { width, height, luma: plane, .. } = *picture;
        Self { plane, step: 1, start: 0, width, height }
    }

    fn chroma(picture: &PictureView<'a>) -> [Self; 2] {
        let (width, height) = (picture.width.div_ceil(2), picture.height.div_ceil(2));
        let source = |plane, step, start| Self { plane, step, start, width, height };
        match picture.chroma {
            Chroma::Planar { u, v } => [source(u, 1, 0), source(v, 1, 0)],
            Chroma::Interleaved(uv) => [source(uv, 2, 0), source(uv, 2, 1)],
        }
    }

    /// Row `y`'s bytes from sample `x1` to `x2`, where there is such a row.
    fn row(&self, y: i32, x1: usize, x2: usize) -> Option<&'a [u8]> {
        let y = usize::try_from(y).ok().filter(|y| *y < self.height)?;
        let from = y * self.plane.stride + self.start;
        self.plane.data.get(from + x1 * self.step..from + (x2 - 1) * self.step + 1)
    }

    /// Adds to `out` the weighted sum of the rows from the first on, over the `columns`; `outside`
    /// is the level where the picture has no sample.
    fn blend_rows(
        &self,
        (first, weights): (i32, &[f32]),
        columns: &Range<i32>,
        outside: f32,
        level: Level,
        out: &mut [f32],
    ) {
        let x1 = self.width.min(columns.start.max(0) as usize);
        let x2 = self.width.min(columns.end.max(0) as usize).max(x1);
        let (left, rest) = out.split_at_mut(((x1 as i32 - columns.start) as usize).min(out.len()));
        let (inside, right) = rest.split_at_mut((x2 - x1).min(rest.len()));
        left.iter_mut().chain(right).for_each(|sum| *sum += outside);
        if inside.is_empty() {
            return;
        }
        for (y, &weight) in (first..).zip(weights).filter(|(_, weight)| **weight > 0.0) {
            match self.row(y, x1, x2) {
                None => inside.iter_mut().for_each(|sum| *sum += weight * outside),
                Some(row) if self.step == 1 => add_row(inside, row, weight, level),
                Some(row) => {
                    let samples = row.iter().step_by(self.step);
                    let add = |(sum, s): (&mut f32, &u8)| *sum += weight * level.of(*s);
                    inside.iter_mut().zip(samples).for_each(add);
                }
            }
        }
    }
}

/// Adds a row of samples; every face costs hundreds of these, so built for wide registers.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn add_row(sums: &mut [f32], samples: &[u8], weight: f32, level: Level) {
    sums.iter_mut().zip(samples).for_each(|(sum, s)| *sum += weight * level.of(*s));
}

/// Adds a row that is as wide as the crop.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn add_weighted(sums: &mut [f32], row: &[f32], weight: f32) {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
}

/// Adds the output pixels of a row that starts at sample `start` to `out`.
fn blend_columns(across: &Axis, start: i32, row: &[f32], out: &mut [f32]) {
    // Loops of a known length: two weights where pixels grow, three and more where they shrink.
    match across.taps() {
        2 => blend_known::<2>(across, start, row, out),
        3 => blend_known::<3>(across, start, row, out),
        4 => blend_known::<4>(across, start, row, out),
        5 => blend_known::<5>(across, start, row, out),
        _ => {
            for (out, (first, weights)) in out.iter_mut().zip(across.iter()) {
                let samples = &row[(first - start) as usize..];
                *out += weights.iter().zip(samples).map(|(w, s)| w * s).sum::<f32>();
            }
        }
    }
}

fn blend_known<const TAPS: usize>(across: &Axis, start: i32, row: &[f32], out: &mut [f32]) {
    for (out, (first, weights)) in out.iter_mut().zip(across.iter()) {
        let samples = row.get((first - start) as usize..).and_then(|s| s.first_chunk::<TAPS>());
        if let (Some(samples), Some(weights)) = (samples, weights.first_chunk::<TAPS>()) {
            *out += (0..TAPS).map(|k| weights[k] * samples[k]).sum::<f32>();
        }
    }
}

#[cfg(test)]
#[path = "crop_tests.rs"]
mod tests;
