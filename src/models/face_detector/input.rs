//! Makes the face detector's input tensor: a downscaled BGR image.
//!
//! Takes a frame's planes and the requested long side; gives planar BGR, f32, 0..255. Its sides are
//! multiples of 32, padded with zeros at the right and the bottom. Images are never enlarged.
//! The planes are downscaled first, by averaging over the area of each new pixel. Only the small
//! image is converted to BGR: there is never a full-size BGR image.
//! [`DetectorInput::scale`] is exact: a source point `p` is at `p · scale` in the tensor, on both
//! axes. Buffers and tables are reused while the frame's size stays the same.
//! Without downscaling the BGR is bit-exact to swscale's (golden detections: IoU ≥ .999).
//! Chroma siting is ignored: like swscale, it repeats chroma samples.

use std::ops::Range;

use multiversion::multiversion;

use crate::core::frame::{Chroma, ImageView, LumaRange, Plane};
use crate::core::image_resize::Axis;

/// The tensor's sides are multiples of this: the detector's coarsest stride.
const SIDE_MULTIPLE_PX: usize = 32;

/// The tensor's buffer is freed when the new tensor is smaller by more than this factor.
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

/// Makes input tensors. Use one per stream, so that its tables can be reused.
#[derive(Default)]
pub struct InputBuilder {
    shape: Shape,
    luma: [Axis; 2],
    chroma: [Axis; 2],
    /// A row of the downscaled image: Y, Cb, Cr.
    reduced: [Vec<f32>; 3],
    /// Weighted sum of source rows.
    row: Vec<f32>,
    tensor: Vec<f32>,
}

/// The sizes that the tables depend on.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Shape {
    source: (usize, usize),
    /// Size of the downscaled image inside the tensor.
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
    /// A builder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether its tables fit such an image and need not be rebuilt.
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

    /// Takes the last tensor out; [`Self::return_tensor`] puts it back for reuse.
    pub fn take_tensor(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.tensor)
    }

    /// Puts an unchanged tensor back.
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

    /// Downscales the source rows that contribute to `row` of the downscaled image.
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

    /// Fills `row` of the tensor's content from the downscaled row; the padding stays zero.
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

/// The byte positions of one component in a plane.
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

/// Sums the rows of `plane` that contribute to `row` of the downscaled image, with `step` bytes per
/// sample.
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

/// Sums one component of a row's samples for each output pixel.
fn sum_columns(row: &[f32], component: Component, across: &Axis, out: &mut [f32]) {
    // Usual numbers of taps get a loop of constant length.
    match across.taps() {
        1 => sum_columns_of::<1>(row, component, across, out),
        2 => sum_columns_of::<2>(row, component, across, out),
        3 => sum_columns_of::<3>(row, component, across, out),
        4 => sum_columns_of::<4>(row, component, across, out),
        6 => sum_columns_of::<6>(row, component, across, out),
        _ => sum_columns_of::<0>(row, component, across, out),
    }
}

/// The same, with `TAPS` as a constant unless it is 0.
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

/// The most expensive loop of the analysis at 1080p, so compiled for each processor's widest SIMD.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn accumulate(row: &mut [f32], samples: &[u8], weight: f32) {
    row.iter_mut().zip(samples).for_each(|(sum, s)| *sum += weight * f32::from(*s));
}

/// Converts Y, Cb, Cr (0..255) to blue, green, red (0..255) with swscale's arithmetic, which OpenCV
/// and the references use: 13-bit factors, and every term rounded down to a whole level by itself.
/// Half a level can change a detector's boxes.
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

/// `floor`, exact for multiples of 1/8192 within ±512.
///
/// Adds and subtracts a number whose neighbours are 1 apart. Unlike `floor`, this vectorizes on
/// every processor.
fn fast_floor(value: f32) -> f32 {
    const ONE_APART: f32 = 12_582_912.0;
    (value + (1.0 / 32_768.0 - 0.5) + ONE_APART) - ONE_APART
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
