//! Makes the face detector's input: a small BGR frame as a tensor.
//!
//! Takes a frame's planes and the long side wanted; gives planar BGR, f32, 0..255, whose sides
//! are multiples of 32: zeros fill the right and the bottom. Frames are never enlarged.
//! The planes are reduced first, by averaging over the area of each new pixel, and only the small
//! frame is converted to colour: no full-size colour frame is ever made.
//! Promises an exact [`DetectorInput::scale`]: a point of the source at `p` stands at `p · scale` in
//! the tensor, on both axes. Keeps its buffers and tables while the frame's shape stays.
//! A frame that needs no reduction becomes swscale's BGR to the bit (golden detections: IoU ≥ .999).
//! Does not mind where within two pixels chroma is sited: like swscale, it repeats it.

use std::ops::Range;

use multiversion::multiversion;

use crate::core::frame::{Chroma, ImageView, LumaRange, Plane};
use crate::core::image_resize::Axis;

/// What the sides of the tensor are multiples of: the detector's coarsest stride.
const SIDE_MULTIPLE_PX: usize = 32;

/// A tensor's memory is not kept for one that is so many times smaller.
const MAX_CAPACITY_RATIO: usize = 4;

/// A detector's input tensor, borrowed from the [`InputBuilder`] that made it.
#[derive(Clone, Copy, Debug)]
pub struct DetectorInput<'a> {
    /// `[3, height, width]`: blue, green, red, 0..255.
    pub data: &'a [f32],
    /// Width in pixels, a multiple of 32.
    pub width: usize,
    /// Height in pixels, a multiple of 32.
    pub height: usize,
    /// Pixels of the tensor per pixel of the source frame, at most 1.
    pub scale: f32,
}

/// Makes input tensors; one for each stream, so that its tables fit.
#[derive(Default)]
pub struct InputBuilder {
    shape: Shape,
    luma: [Axis; 2],
    chroma: [Axis; 2],
    /// A row of the reduced frame: Y, Cb, Cr.
    reduced: [Vec<f32>; 3],
    /// Sums of rows of the source.
    row: Vec<f32>,
    tensor: Vec<f32>,
}

/// What the tables depend on.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Shape {
    source: (usize, usize),
    /// Size of the reduced frame inside the tensor.
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

impl InputBuilder {
    /// A maker that has made nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether its tables are for such a frame, so that the next tensor costs none.
    pub fn matches(&self, image: &ImageView<'_>, long_side_px: u32) -> bool {
        self.shape == Shape::new(image.width, image.height, long_side_px)
    }

    /// The tensor for `image` with its longer side reduced to `long_side_px`.
    pub fn prepare(&mut self, image: &ImageView<'_>, long_side_px: u32) -> DetectorInput<'_> {
        let shape = Shape::new(image.width, image.height, long_side_px);
        if shape != self.shape || self.tensor.is_empty() {
            self.reshape(shape);
        }
        let conversion = Conversion::of(image);
        for row in 0..shape.content.1 {
            self.reduce(image, row);
            self.convert(&conversion, row);
        }
        let (width, height) = shape.tensor;
        DetectorInput { data: &self.tensor, width, height, scale: shape.scale }
    }

    /// Lends the tensor that was made last; [`Self::return_tensor`] spares making it anew.
    pub fn take_tensor(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.tensor)
    }

    /// Takes a tensor back that was lent and not changed.
    pub fn return_tensor(&mut self, tensor: Vec<f32>) {
        if tensor.len() == 3 * self.shape.tensor.0 * self.shape.tensor.1 {
            self.tensor = tensor;
        }
    }

    fn reshape(&mut self, shape: Shape) {
        let cell = 1.0 / shape.scale;
        let (source, content) = (shape.source, shape.content);
        self.luma[0].average(content.0, cell, source.0);
        self.luma[1].average(content.1, cell, source.1);
        self.chroma[0].average(content.0, cell / 2.0, source.0.div_ceil(2));
        self.chroma[1].average(content.1, cell / 2.0, source.1.div_ceil(2));
        for row in &mut self.reduced {
            row.clear();
            row.resize(content.0, 0.0);
        }
        let values = 3 * shape.tensor.0 * shape.tensor.1;
        if self.tensor.capacity() > MAX_CAPACITY_RATIO * values {
            self.tensor = Vec::new();
        }
        self.tensor.clear();
        self.tensor.resize(values, 0.0);
        self.shape = shape;
    }

    /// Reduces the source's rows that make up `row` of the reduced frame.
    fn reduce(&mut self, image: &ImageView<'_>, row: usize) {
        let [y, cb, cr] = &mut self.reduced;
        let sums = &mut self.row;
        sum_rows(image.luma, 1, &self.luma, row, sums);
        sum_columns(sums, Component::ONLY, &self.luma[0], y);
        match image.chroma {
            Chroma::Planar { u, v } => {
                for (plane, out) in [(u, cb), (v, cr)] {
                    sum_rows(plane, 1, &self.chroma, row, sums);
                    sum_columns(sums, Component::ONLY, &self.chroma[0], out);
                }
            }
            Chroma::Interleaved(uv) => {
                sum_rows(uv, 2, &self.chroma, row, sums);
                sum_columns(sums, Component::FIRST, &self.chroma[0], cb);
                sum_columns(sums, Component::SECOND, &self.chroma[0], cr);
            }
        }
    }

    /// Fills `row` of the tensor's content from the reduced row; the padding stays zero.
    fn convert(&mut self, conversion: &Conversion, row: usize) {
        let (width, height) = self.shape.tensor;
        let (blue, rest) = self.tensor.split_at_mut(width * height);
        let (green, red) = rest.split_at_mut(width * height);
        let to = row * width..row * width + self.shape.content.0;
        let (blue, green, red) = (&mut blue[to.clone()], &mut green[to.clone()], &mut red[to]);
        let [y, cb, cr] = &self.reduced;
        let pixels = blue.iter_mut().zip(green).zip(red).zip(y.iter().zip(cb).zip(cr));
        for (((blue, green), red), ((y, cb), cr)) in pixels {
            [*blue, *green, *red] = conversion.bgr(*y, *cb, *cr);
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

/// Sums up the rows of `plane` that make up `row` of the reduced frame, `step` bytes a sample.
fn sum_rows(
    plane: Plane<'_>,
    step: usize,
    [across, down]: &[Axis; 2],
    row: usize,
    sums: &mut Vec<f32>,
) {
    let Range { start: _, end } = across.reach();
    sums.clear();
    sums.resize(end as usize * step, 0.0);
    let (first, weights) = down.at(row);
    for (y, weight) in (first as usize..).zip(weights).filter(|(_, weight)| **weight > 0.0) {
        accumulate(sums, plane.data.get(y * plane.stride..).unwrap_or(&[]), *weight);
    }
}

/// Sums up one component of a row's samples for each output.
fn sum_columns(row: &[f32], component: Component, across: &Axis, out: &mut [f32]) {
    // Loops of a known length, where it is a usual one.
    match across.taps() {
        1 => sum_columns_of::<1>(row, component, across, out),
        2 => sum_columns_of::<2>(row, component, across, out),
        3 => sum_columns_of::<3>(row, component, across, out),
        4 => sum_columns_of::<4>(row, component, across, out),
        6 => sum_columns_of::<6>(row, component, across, out),
        _ => sum_columns_of::<0>(row, component, across, out),
    }
}

/// The same; `TAPS` for each, where it is not 0.
fn sum_columns_of<const TAPS: usize>(
    row: &[f32],
    component: Component,
    across: &Axis,
    out: &mut [f32],
) {
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

/// From one frame's Y, Cb, Cr (0..255) to blue, green, red (0..255), in the arithmetic of
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
    fn of(image: &ImageView<'_>) -> Self {
        let (red, blue) = if image.bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match image.range {
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
        let y = fast_floor((y - self.black) * self.luma);
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        [
            (y + fast_floor(self.blue_cb * cb)).clamp(0.0, 255.0),
            (y + fast_floor(self.green_cb * cb) + fast_floor(self.green_cr * cr)).clamp(0.0, 255.0),
            (y + fast_floor(self.red_cr * cr)).clamp(0.0, 255.0),
        ]
    }
}

/// The next whole number below, exactly so for multiples of 1/8192 within ±512.
///
/// By adding and taking away a number whose neighbours are 1 apart: unlike `floor`, that is one
/// instruction for several pixels on every processor.
fn fast_floor(value: f32) -> f32 {
    const ONE_APART: f32 = 12_582_912.0;
    (value + (1.0 / 32_768.0 - 0.5) + ONE_APART) - ONE_APART
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
