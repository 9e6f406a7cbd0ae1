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
    colour: Vec<f32>,
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
        self.colour.clear();
        self.colour.resize(CROP_PIXELS, 0.5);
        if picture.bt709 {
            self.add_colour(picture, crop);
        }
        self.aim(crop, 1.0);
        let (gain, black) = match picture.range {
            LumaRange::Limited => (255.0 / 219.0, 16.0 * 255.0 / 219.0),
            LumaRange::Full => (1.0, 0.0),
        };
        let offset = CONVERSION_BIAS - black;
        let luma = Source::luma(picture);
        let level = |y: u8| (f32::from(y) * gain + offset).clamp(0.0, 255.0);
        let columns = self.across.reach();
        let rows = self.down.iter().zip(self.colour.chunks_exact(CROP_SIDE_PX));
        for ((down, colour), out) in rows.zip(out.chunks_exact_mut(CROP_SIDE_PX)) {
            self.row.clear();
            self.row.resize(columns.len(), 0.0);
            luma.blend_rows(down, &columns, OUTSIDE, level, &mut self.row);
            let blended = blend_columns(&self.across, columns.start, &self.row);
            for ((out, grey), colour) in out.iter_mut().zip(blended).zip(colour) {
                *out = (grey + colour) as u8;
            }
        }
    }

    /// Adds to `colour` what colour adds to each pixel's grey.
    fn add_colour(&mut self, picture: &PictureView<'_>, crop: CropRect) {
        self.aim(crop, 0.5);
        let gain = match picture.range {
            LumaRange::Limited => 255.0 / 224.0,
            LumaRange::Full => 1.0,
        };
        let [cb, cr] = Source::chroma(picture);
        let columns = self.across.reach();
        for (down, out) in self.down.iter().zip(self.colour.chunks_exact_mut(CROP_SIDE_PX)) {
            self.row.clear();
            self.row.resize(columns.len(), 0.0);
            for (plane, weight) in [(&cb, BT709_CB * gain), (&cr, BT709_CR * gain)] {
                let level = |c: u8| (f32::from(c) - 128.0) * weight;
                plane.blend_rows(down, &columns, 0.0, level, &mut self.row);
            }
            let blended = blend_columns(&self.across, columns.start, &self.row);
            out.iter_mut().zip(blended).for_each(|(out, colour)| *out += colour);
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
        level: impl Fn(u8) -> f32,
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
                Some(row) if self.step == 1 => {
                    inside.iter_mut().zip(row).for_each(|(sum, s)| *sum += weight * level(*s));
                }
                Some(row) => {
                    let samples = row.iter().step_by(self.step);
                    inside.iter_mut().zip(samples).for_each(|(sum, s)| *sum += weight * level(*s));
                }
            }
        }
    }
}

/// The output pixels of a row that starts at sample `start`.
fn blend_columns<'a>(
    across: &'a Axis,
    start: i32,
    row: &'a [f32],
) -> impl Iterator<Item = f32> + 'a {
    across.iter().map(move |(first, weights)| {
        let samples = &row[(first - start) as usize..];
        weights.iter().zip(samples).map(|(w, s)| w * s).sum()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Planes of a picture whose samples a test chooses.
    struct Painted {
        width: usize,
        height: usize,
        luma: Vec<u8>,
        chroma: Vec<u8>,
    }

    impl Painted {
        fn new(width: usize, height: usize, luma: impl Fn(usize, usize) -> u8) -> Self {
            let luma = (0..width * height).map(|i| luma(i % width, i / width)).collect();
            let chroma = vec![128; width.div_ceil(2) * height.div_ceil(2) * 2];
            Self { width, height, luma, chroma }
        }

        fn view(&self, interleaved: bool) -> PictureView<'_> {
            let half = self.width.div_ceil(2);
            let (u, v) = self.chroma.split_at(self.chroma.len() / 2);
            let plane = |data, stride| Plane { data, stride };
            PictureView {
                width: self.width,
                height: self.height,
                luma: plane(&self.luma, self.width),
                chroma: if interleaved {
                    Chroma::Interleaved(plane(&self.chroma, 2 * half))
                } else {
                    Chroma::Planar { u: plane(u, half), v: plane(v, half) }
                },
                range: LumaRange::Full,
                bt709: true,
            }
        }
    }

    fn spot(x: f32, y: f32, half_size: f32) -> FaceSpot {
        FaceSpot { center: Point { x, y }, half_size }
    }

    fn crop(picture: &PictureView<'_>, spot: FaceSpot) -> Vec<u8> {
        let rect = CropRect::new(spot, picture.width, picture.height).expect("a face");
        let mut out = [0; CROP_PIXELS];
        Cropper::new().crop_grey(picture, rect, &mut out);
        out.to_vec()
    }

    #[test]
    fn outside_the_picture_is_grey_110() {
        let white = Painted::new(60, 60, |_, _| 255);
        let out = crop(&white.view(false), spot(0.0, 30.0, 20.0));
        let row = &out[50 * CROP_SIDE_PX..][..CROP_SIDE_PX];
        assert_eq!((row[0], row[CROP_SIDE_PX - 1]), (110, 254));
        assert_eq!(crop(&white.view(false), spot(-39.0, 30.0, 20.0)), [110; CROP_PIXELS]);
    }

    #[test]
    fn large_pictures_are_cut_as_if_they_had_been_reduced_first() {
        let wave =
            |x: usize, y: usize| 128.0 + 60.0 * (x as f32 / 9.0).sin() * (y as f32 / 7.0).cos();
        let small = Painted::new(960, 540, |x, y| wave(x, y).round() as u8);
        let large = Painted::new(1920, 1080, |x, y| wave(x / 2, y / 2).round() as u8);
        let a = crop(&small.view(false), spot(301.3, 222.2, 41.7));
        let b = crop(&large.view(false), spot(602.6, 444.4, 83.4));
        assert_eq!(a, b);
        let rect = |s, w, h| CropRect::new(s, w, h).expect("a face").rect();
        let reduced = rect(spot(301.3, 222.2, 41.7), 960, 540);
        assert_eq!(reduced.scaled(2.0), rect(spot(602.6, 444.4, 83.4), 1920, 1080));
    }

    #[test]
    fn fine_stripes_do_not_alias_in_a_large_face() {
        let stripes = Painted::new(900, 900, |x, _| if x % 2 == 0 { 0 } else { 200 });
        let out = crop(&stripes.view(false), spot(450.0, 400.0, 320.0));
        assert!(out.iter().all(|v| (60..140).contains(v)), "{:?}", &out[..16]);
    }

    #[test]
    fn both_layouts_of_colour_give_the_same_crop() {
        let mut picture = Painted::new(97, 71, |x, y| (x * 2 + y) as u8);
        let samples = picture.chroma.len() / 2;
        let value = |plane: usize, i: usize| (plane * 90 + i * 7 % 120) as u8;
        picture.chroma = (0..2 * samples).map(|i| value(i / samples, i % samples)).collect();
        let planar = crop(&picture.view(false), spot(50.0, 30.0, 17.0));
        picture.chroma = (0..2 * samples).map(|i| value(i % 2, i / 2)).collect();
        assert_eq!(crop(&picture.view(true), spot(50.0, 30.0, 17.0)), planar);
    }

    #[test]
    fn what_is_no_face_has_no_crop() {
        for no_face in [
            spot(f32::NAN, 1.0, 5.0),
            spot(1.0, f32::INFINITY, 5.0),
            spot(50.0, 50.0, f32::NAN),
            spot(50.0, 50.0, 0.0),
            spot(50.0, 50.0, 1e9),
            spot(5000.0, 50.0, 5.0),
        ] {
            assert_eq!(CropRect::new(no_face, 100, 100), None, "{no_face:?}");
        }
    }

    proptest! {
        #[test]
        fn a_crop_covers_its_face(
            x in 0f32..1920.0, y in 0f32..1080.0, half in 4f32..500.0,
        ) {
            let rect = CropRect::new(spot(x, y, half), 1920, 1080).expect("a face").rect();
            // Two cells of two pixels: corners are cut to whole cells.
            let near = |a: f32, b: f32| (a - b).abs() <= 4.0;
            prop_assert!(near(rect.x1, x - 0.7 * half) && near(rect.x2, x + 0.7 * half));
            prop_assert!(near(rect.y1, y - 0.3 * half) && near(rect.y2, y + 1.1 * half));
        }

        #[test]
        fn any_face_in_any_picture_can_be_cut(
            width in 1usize..200, height in 1usize..200,
            x in -50f32..250.0, y in -50f32..250.0, half in 0.01f32..200.0,
        ) {
            let picture = Painted::new(width, height, |_, _| 90);
            if let Some(rect) = CropRect::new(spot(x, y, half), width, height) {
                let mut out = [0; CROP_PIXELS];
                Cropper::new().crop_grey(&picture.view(false), rect, &mut out);
                prop_assert!(out.iter().all(|v| (89..=110).contains(v)));
            }
        }
    }
}
