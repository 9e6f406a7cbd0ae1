//! Makes the face detector's input: a small BGR picture as a tensor.
//!
//! Takes a picture's planes and the long side wanted; gives planar BGR, f32, 0..255, whose sides
//! are multiples of 32: zeros fill the right and the bottom. Pictures are never enlarged.
//! The planes are reduced first, by averaging over the area of each new pixel, and only the small
//! picture is converted to colour: no full-size colour picture is ever made.
//! Promises an exact [`DetectorInput::scale`]: a point of the source at `p` stands at `p · scale` in
//! the tensor, on both axes. Keeps its buffers and tables while the picture's shape stays.
//! A picture that needs no reduction becomes swscale's BGR to the bit (golden detections: IoU ≥ .999).
//! Does not mind where within two pixels chroma is sited: like swscale, it repeats it.

use std::ops::Range;

use multiversion::multiversion;

use crate::core::picture::{Chroma, LumaRange, PictureView, Plane};
use crate::stages::resample::Axis;

/// What the sides of the tensor are multiples of: the detector's coarsest stride.
const SIDE_MULTIPLE_PX: usize = 32;

/// A detector's input tensor, borrowed from the [`InputMaker`] that made it.
#[derive(Clone, Copy, Debug)]
pub struct DetectorInput<'a> {
    /// `[3, height, width]`: blue, green, red, 0..255.
    pub data: &'a [f32],
    /// Width in pixels, a multiple of 32.
    pub width: usize,
    /// Height in pixels, a multiple of 32.
    pub height: usize,
    /// Pixels of the tensor per pixel of the source picture, at most 1.
    pub scale: f32,
}

/// Makes input tensors; one for each stream, so that its tables fit.
#[derive(Default)]
pub struct InputMaker {
    shape: Shape,
    luma: [Axis; 2],
    chroma: [Axis; 2],
    /// Reduced planes, each `content` pixels: Y, Cb, Cr.
    planes: [Vec<f32>; 3],
    row: Vec<f32>,
    tensor: Vec<f32>,
}

/// What the tables depend on.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Shape {
    source: (usize, usize),
    /// Size of the reduced picture inside the tensor.
    content: (usize, usize),
    tensor: (usize, usize),
    scale: f32,
}

impl Shape {
    fn new(width: usize, height: usize, long_side_px: u32) -> Self {
        let source = (width.max(1), height.max(1));
        let long_side = source.0.max(source.1) as f32;
        let scale = (long_side_px.max(1) as f32 / long_side).min(1.0);
        let reduced = |side: usize| ((side as f32 * scale).round() as usize).max(1);
        let content = (reduced(source.0), reduced(source.1));
        let padded = |side: usize| side.next_multiple_of(SIDE_MULTIPLE_PX);
        Self { source, content, tensor: (padded(content.0), padded(content.1)), scale }
    }
}

impl InputMaker {
    /// A maker that has made nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tensor for `picture` with its longer side reduced to `long_side_px`.
    pub fn prepare(&mut self, picture: &PictureView<'_>, long_side_px: u32) -> DetectorInput<'_> {
        let shape = Shape::new(picture.width, picture.height, long_side_px);
        if shape != self.shape {
            self.reshape(shape);
        }
        let [y, cb, cr] = &mut self.planes;
        reduce(picture.luma, Component::ONLY, &self.luma, &mut self.row, y);
        let (u, v) = match picture.chroma {
            Chroma::Planar { u, v } => ((u, Component::ONLY), (v, Component::ONLY)),
            Chroma::Interleaved(uv) => ((uv, Component::FIRST), (uv, Component::SECOND)),
        };
        reduce(u.0, u.1, &self.chroma, &mut self.row, cb);
        reduce(v.0, v.1, &self.chroma, &mut self.row, cr);
        self.convert(Conversion::of(picture));
        let (width, height) = shape.tensor;
        DetectorInput { data: &self.tensor, width, height, scale: shape.scale }
    }

    fn reshape(&mut self, shape: Shape) {
        let cell = 1.0 / shape.scale;
        let (source, content) = (shape.source, shape.content);
        self.luma[0].average(content.0, cell, source.0);
        self.luma[1].average(content.1, cell, source.1);
        self.chroma[0].average(content.0, cell / 2.0, source.0.div_ceil(2));
        self.chroma[1].average(content.1, cell / 2.0, source.1.div_ceil(2));
        for plane in &mut self.planes {
            plane.clear();
            plane.resize(content.0 * content.1, 0.0);
        }
        self.tensor.clear();
        self.tensor.resize(3 * shape.tensor.0 * shape.tensor.1, 0.0);
        self.shape = shape;
    }

    /// Fills the tensor's content from the reduced planes; the padding stays zero.
    fn convert(&mut self, conversion: Conversion) {
        let (width, height) = self.shape.tensor;
        let columns = self.shape.content.0;
        let (blue, rest) = self.tensor.split_at_mut(width * height);
        let (green, red) = rest.split_at_mut(width * height);
        let [y, cb, cr] = &self.planes;
        for row in 0..self.shape.content.1 {
            let from = row * columns..(row + 1) * columns;
            let to = row * width..row * width + columns;
            let (blue, green, red) = (&mut blue[to.clone()], &mut green[to.clone()], &mut red[to]);
            let samples = y[from.clone()].iter().zip(&cb[from.clone()]).zip(&cr[from]);
            let pixels = blue.iter_mut().zip(green).zip(red).zip(samples);
            for (((blue, green), red), ((y, cb), cr)) in pixels {
                [*blue, *green, *red] = conversion.bgr(*y, *cb, *cr);
            }
        }
    }
}

/// One component's place among the bytes of a plane.
#[derive(Clone, Copy)]
struct Component {
    step: usize,
    start: usize,
}

impl Component {
    const ONLY: Self = Self { step: 1, start: 0 };
    const FIRST: Self = Self { step: 2, start: 0 };
    const SECOND: Self = Self { step: 2, start: 1 };
}

/// Reduces one component of `plane` into `out`, row by row; `row` is scratch.
fn reduce(
    plane: Plane<'_>,
    component: Component,
    [across, down]: &[Axis; 2],
    row: &mut Vec<f32>,
    out: &mut [f32],
) {
    let Range { start: _, end } = across.reach();
    let bytes = end as usize * component.step;
    for ((first, weights), out) in down.iter().zip(out.chunks_exact_mut(across.iter().len())) {
        row.clear();
        row.resize(bytes, 0.0);
        for (y, weight) in (first as usize..).zip(weights).filter(|(_, weight)| **weight > 0.0) {
            accumulate(row, plane.data.get(y * plane.stride..).unwrap_or(&[]), *weight);
        }
        match across.taps() {
            1 => gather::<1>(row, component, across, out),
            2 => gather::<2>(row, component, across, out),
            3 => gather::<3>(row, component, across, out),
            4 => gather::<4>(row, component, across, out),
            6 => gather::<6>(row, component, across, out),
            _ => gather::<0>(row, component, across, out),
        }
    }
}

/// Sums up a row's samples for each output; `TAPS` for each, where it is not 0.
fn gather<const TAPS: usize>(row: &[f32], component: Component, across: &Axis, out: &mut [f32]) {
    let Component { step, start } = component;
    let taps = if TAPS == 0 { across.taps() } else { TAPS };
    for (out, (first, weights)) in out.iter_mut().zip(across.iter()) {
        let from = first as usize * step + start;
        let samples = &row[from..from + (taps - 1) * step + 1];
        *out = (0..taps).map(|tap| weights[tap] * samples[tap * step]).sum();
    }
}

/// The dearest loop of the thinking part at 1080p, so built for each processor's widest registers.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn accumulate(row: &mut [f32], samples: &[u8], weight: f32) {
    row.iter_mut().zip(samples).for_each(|(sum, s)| *sum += weight * f32::from(*s));
}

/// From one picture's Y, Cb, Cr (0..255) to blue, green, red (0..255), in the arithmetic of
/// swscale, through which OpenCV and the references decode: factors of 13 bits, and every term cut
/// to a whole level by itself. A detector's boxes can hang on half a level.
struct Conversion {
    black: f32,
    luma: f32,
    blue_cb: f32,
    green_cb: f32,
    green_cr: f32,
    red_cr: f32,
}

impl Conversion {
    fn of(picture: &PictureView<'_>) -> Self {
        let (red, blue) = if picture.bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match picture.range {
            LumaRange::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            LumaRange::Full => (0.0, 1.0, 1.0),
        };
        let factor = |exact: f64| ((exact * 8192.0).round() / 8192.0) as f32;
        let (blue_cb, red_cr) = (2.0 * (1.0 - blue) * chroma, 2.0 * (1.0 - red) * chroma);
        Self {
            black,
            luma: factor(luma),
            blue_cb: factor(blue_cb),
            green_cb: factor(-blue_cb * blue / green),
            green_cr: factor(-red_cr * red / green),
            red_cr: factor(red_cr),
        }
    }

    fn bgr(&self, y: f32, cb: f32, cr: f32) -> [f32; 3] {
        let y = whole((y - self.black) * self.luma);
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        [
            (y + whole(self.blue_cb * cb)).clamp(0.0, 255.0),
            (y + whole(self.green_cb * cb) + whole(self.green_cr * cr)).clamp(0.0, 255.0),
            (y + whole(self.red_cr * cr)).clamp(0.0, 255.0),
        ]
    }
}

/// The next whole number below, exactly so for multiples of 1/8192 within ±512.
///
/// By adding and taking away a number whose neighbours are 1 apart: unlike `floor`, that is one
/// instruction for several pixels on every processor.
fn whole(value: f32) -> f32 {
    const ONE_APART: f32 = 12_582_912.0;
    (value + (1.0 / 32_768.0 - 0.5) + ONE_APART) - ONE_APART
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture with one chroma plane pair, stored both ways.
    struct Painted {
        width: usize,
        height: usize,
        luma: Vec<u8>,
        u: Vec<u8>,
        v: Vec<u8>,
        uv: Vec<u8>,
    }

    impl Painted {
        fn new(width: usize, height: usize, paint: impl Fn(usize, usize) -> [u8; 3]) -> Self {
            let half = width.div_ceil(2);
            let luma = (0..width * height).map(|i| paint(i % width, i / width)[0]).collect();
            let colour = |c: usize| -> Vec<u8> {
                let cells = 0..half * height.div_ceil(2);
                cells.map(|i| paint(2 * (i % half), 2 * (i / half))[c]).collect()
            };
            let (u, v) = (colour(1), colour(2));
            let uv = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
            Self { width, height, luma, u, v, uv }
        }

        fn view(&self, interleaved: bool) -> PictureView<'_> {
            let half = self.width.div_ceil(2);
            let plane = |data, stride| Plane { data, stride };
            PictureView {
                width: self.width,
                height: self.height,
                luma: plane(&self.luma, self.width),
                chroma: if interleaved {
                    Chroma::Interleaved(plane(&self.uv, 2 * half))
                } else {
                    Chroma::Planar { u: plane(&self.u, half), v: plane(&self.v, half) }
                },
                range: LumaRange::Limited,
                bt709: false,
            }
        }
    }

    fn pixel(input: &DetectorInput<'_>, x: usize, y: usize) -> [i32; 3] {
        let plane = input.width * input.height;
        std::array::from_fn(|c| input.data[c * plane + y * input.width + x].round() as i32)
    }

    #[test]
    fn colours_are_those_of_the_matrix_and_the_range() {
        // BT.601 limited red, as BGR; the same numbers read as BT.709 and as full range.
        let red = Painted::new(64, 32, |_, _| [81, 90, 240]);
        let mut view = red.view(false);
        let mut maker = InputMaker::new();
        assert_eq!(pixel(&maker.prepare(&view, 320), 10, 10), [0, 0, 253]);
        view.bt709 = true;
        assert_eq!(pixel(&maker.prepare(&view, 320), 10, 10), [0, 23, 255]);
        view.range = LumaRange::Full;
        view.bt709 = false;
        assert_eq!(pixel(&maker.prepare(&view, 320), 10, 10), [13, 14, 238]);
    }

    #[test]
    fn the_picture_lies_at_the_top_left_of_zeros() {
        let white = Painted::new(100, 50, |_, _| [235, 128, 128]);
        let view = white.view(false);
        let mut maker = InputMaker::new();
        let input = maker.prepare(&view, 50);
        assert_eq!((input.width, input.height, input.scale), (64, 32, 0.5));
        assert_eq!(pixel(&input, 49, 24), [255; 3]);
        assert_eq!(pixel(&input, 50, 0), [0; 3]);
        assert_eq!(pixel(&input, 0, 25), [0; 3]);
    }

    #[test]
    fn small_pictures_are_not_enlarged() {
        let small = Painted::new(33, 21, |x, y| [(3 * x + y) as u8, 128, 128]);
        let view = small.view(false);
        let mut maker = InputMaker::new();
        let input = maker.prepare(&view, 320);
        assert_eq!((input.width, input.height, input.scale), (64, 32, 1.0));
        let expected = ((3.0 * 20.0 + 11.0 - 16.0) * 255.0 / 219.0f32).round() as i32;
        assert_eq!(pixel(&input, 20, 11), [expected; 3]);
    }

    #[test]
    fn a_point_stands_where_the_scale_says() {
        // A white block from 600 to 660 and from 300 to 330 of 1000 pixels, at scale 0.32.
        let block = |x: usize, y: usize| (600..660).contains(&x) && (300..330).contains(&y);
        let picture =
            Painted::new(1000, 563, |x, y| [if block(x, y) { 235 } else { 16 }, 128, 128]);
        let view = picture.view(true);
        let mut maker = InputMaker::new();
        let input = maker.prepare(&view, 320);
        let (mut sum, mut at_x, mut at_y) = (0.0, 0.0, 0.0);
        for (i, value) in input.data[..input.width * input.height].iter().enumerate() {
            sum += value;
            at_x += value * ((i % input.width) as f32 + 0.5);
            at_y += value * ((i / input.width) as f32 + 0.5);
        }
        assert!((at_x / sum - 630.0 * input.scale).abs() < 0.05, "{}", at_x / sum);
        assert!((at_y / sum - 315.0 * input.scale).abs() < 0.05, "{}", at_y / sum);
    }

    #[test]
    fn both_layouts_of_colour_give_the_same_tensor() {
        let picture = Painted::new(131, 77, |x, y| [(x + y) as u8, (2 * x) as u8, (3 * y) as u8]);
        let (mut one, mut other) = (InputMaker::new(), InputMaker::new());
        let (planar, interleaved) = (picture.view(false), picture.view(true));
        assert_eq!(one.prepare(&planar, 96).data, other.prepare(&interleaved, 96).data);
    }

    #[test]
    fn a_change_of_shape_leaves_nothing_behind() {
        let large = Painted::new(90, 90, |_, _| [235, 128, 128]);
        let small = Painted::new(40, 20, |_, _| [235, 128, 128]);
        let mut maker = InputMaker::new();
        maker.prepare(&large.view(false), 320);
        let view = small.view(false);
        let mut fresh = InputMaker::new();
        assert_eq!(maker.prepare(&view, 320).data, fresh.prepare(&view, 320).data);
    }

    proptest! {
        #[test]
        fn any_picture_makes_a_sound_tensor(
            width in 1usize..300, height in 1usize..300, long_side in 1u32..400,
        ) {
            let picture = Painted::new(width, height, |x, y| [(x ^ y) as u8, x as u8, y as u8]);
            let mut maker = InputMaker::new();
            let view = picture.view(width % 2 == 0);
            let input = maker.prepare(&view, long_side);
            prop_assert_eq!((input.width % 32, input.height % 32), (0, 0));
            prop_assert!(input.scale > 0.0 && input.scale <= 1.0);
            prop_assert!(width as f32 * input.scale <= input.width as f32 + 0.5);
            prop_assert_eq!(input.data.len(), 3 * input.width * input.height);
            prop_assert!(input.data.iter().all(|v| (0.0..=255.0).contains(v)));
        }
    }
}
