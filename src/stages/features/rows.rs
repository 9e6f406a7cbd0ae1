//! Rows of a frame's samples: mapped to grey levels, blended and resized.
//!
//! Takes the samples of a plane and tables of weights ([`Axis`]); gives levels as `f32`. Rows are
//! resized [`LANES`] at a time with each column's samples side by side, so that one SIMD register
//! holds the samples that share a weight. Results are the same on every machine.

use std::ops::Range;

use multiversion::multiversion;

use crate::core::frame::{Chroma, ImageView, Plane};
use crate::core::image_resize::Axis;

/// Rows that are resized together.
pub(super) const LANES: usize = 8;

/// Maps a sample to a level: sample × gain + offset, between two bounds.
#[derive(Clone, Copy)]
pub(super) struct SampleMapping {
    pub(super) gain: f32,
    pub(super) offset: f32,
    pub(super) min: f32,
    pub(super) max: f32,
}

impl SampleMapping {
    #[inline(always)]
    fn of(self, sample: u8) -> f32 {
        at_most(at_least(f32::from(sample) * self.gain + self.offset, self.min), self.max)
    }
}

/// Samples of one component of a frame.
pub(super) struct Component<'a> {
    plane: Plane<'a>,
    /// Bytes from one sample to the next, and to the first one of a row.
    step: usize,
    start: usize,
    width: usize,
    height: usize,
}

impl<'a> Component<'a> {
    pub(super) fn luma(image: &ImageView<'a>) -> Self {
        let ImageView { width, height, luma: plane, .. } = *image;
        Self { plane, step: 1, start: 0, width, height }
    }

    pub(super) fn chroma(image: &ImageView<'a>) -> [Self; 2] {
        let (width, height) = (image.width.div_ceil(2), image.height.div_ceil(2));
        let source = |plane, step, start| Self { plane, step, start, width, height };
        match image.chroma {
            Chroma::Planar { u, v } => [source(u, 1, 0), source(v, 1, 0)],
            Chroma::Interleaved(uv) => [source(uv, 2, 0), source(uv, 2, 1)],
        }
    }

    /// Prefetches the samples of `rows` and `columns` into the cache.
    pub(super) fn prefetch(&self, rows: &Range<i32>, columns: &Range<i32>) {
        let inside = |at: i32, max: usize| max.min(at.max(0) as usize);
        let [y1, y2] = [rows.start, rows.end].map(|y| inside(y, self.height));
        let [x1, x2] = [columns.start, columns.end].map(|x| inside(x, self.width) * self.step);
        self.plane.prefetch(y1..y2, x1..x2);
    }

    /// Row `y`'s bytes from sample `x1` to `x2`; `None` outside the plane.
    fn row(&self, y: i32, x1: usize, x2: usize) -> Option<&'a [u8]> {
        let y = usize::try_from(y).ok().filter(|y| *y < self.height)?;
        let from = y * self.plane.stride + self.start;
        self.plane.data.get(from + x1 * self.step..from + (x2 - 1) * self.step + 1)
    }

    /// Adds the weighted sum of the rows from the first on to `out`, over the `columns`; `outside`
    /// is the level outside the frame.
    pub(super) fn blend_rows(
        &self,
        (first, weights): (i32, &[f32]),
        columns: &Range<i32>,
        outside: f32,
        level: SampleMapping,
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

/// Adds a row of samples.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn add_row(sums: &mut [f32], samples: &[u8], weight: f32, level: SampleMapping) {
    sums.iter_mut().zip(samples).for_each(|(sum, s)| *sum += weight * level.of(*s));
}

/// Adds a weighted row to another one.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
pub(super) fn add_weighted(sums: &mut [f32], row: &[f32], weight: f32) {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
}

/// Rounds levels to bytes.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
pub(super) fn to_bytes(levels: &[f32], bytes: &mut [u8]) {
    // At 2²³ an f32 has no fraction bits left, so its lowest eight bits are the rounded byte.
    const WHOLE: f32 = 8_388_608.0;
    let byte = |level: f32| (at_most(at_least(level, 0.0), 255.0) + WHOLE).to_bits() as u8;
    bytes.iter_mut().zip(levels).for_each(|(out, level)| *out = byte(*level));
}

// Comparisons that map to single SIMD instructions; the standard ones also check for NaN.
#[inline(always)]
fn at_least(value: f32, min: f32) -> f32 {
    if value > min { value } else { min }
}

#[inline(always)]
fn at_most(value: f32, max: f32) -> f32 {
    if value < max { value } else { max }
}

/// The samples of a column, one of each row.
type Column = [f32; LANES];

/// Resizes rows horizontally.
#[derive(Default)]
pub(super) struct RowResizer {
    narrow: Vec<Column>,
    wide: Vec<Column>,
}

impl RowResizer {
    /// Resizes [`LANES`] `rows`, which start at sample `start`, by `across`; adds them to `out`.
    pub(super) fn add(&mut self, across: &Axis, start: i32, rows: &[f32], out: &mut [f32]) {
        self.narrow.resize(rows.len() / LANES, [0.0; LANES]);
        self.wide.resize(out.len() / LANES, [0.0; LANES]);
        to_columns(rows, &mut self.narrow);
        resize_columns(across, start, &self.narrow, &mut self.wide);
        add_to_rows(&self.wide, out);
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn to_columns(rows: &[f32], columns: &mut [Column]) {
    let width = columns.len();
    let rows: [&[f32]; LANES] = std::array::from_fn(|k| &rows[k * width..][..width]);
    for (i, column) in columns.iter_mut().enumerate() {
        *column = std::array::from_fn(|k| rows[k][i]);
    }
}

/// Sums weighted columns, a whole column at a time.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn resize_columns(across: &Axis, start: i32, narrow: &[Column], wide: &mut [Column]) {
    for (out, (first, weights)) in wide.iter_mut().zip(across.iter()) {
        let mut sums = [0.0; LANES];
        for (column, weight) in narrow[(first - start) as usize..].iter().zip(weights) {
            sums = std::array::from_fn(|k| sums[k] + weight * column[k]);
        }
        *out = sums;
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn add_to_rows(columns: &[Column], rows: &mut [f32]) {
    for (k, row) in rows.chunks_exact_mut(columns.len().max(1)).enumerate().take(LANES) {
        row.iter_mut().zip(columns).for_each(|(out, column)| *out += column[k]);
    }
}
