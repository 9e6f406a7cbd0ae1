//! Blends sprites into a frame's planes in place. Only the samples under a sprite are touched, and
//! each is read and written once.
//!
//! A sprite is converted to the frame's colorimetry once ([`YuvSprite`]); the caller may cache the
//! result. Luma is blended sample by sample, chroma with the mean of the up to four pixels that it
//! covers. All arithmetic fits 16 bits, so that the loops vectorise, and they are compiled for each
//! processor's widest registers.

use std::ops::Range;

use multiversion::multiversion;

use super::pixel_rect::PixelRect;
use super::sprite::{Sprite, SpriteContent};
use crate::core::frame::{LumaRange, Plane};

/// A frame's colorimetry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colorimetry {
    /// The range from black to white.
    pub range: LumaRange,
    /// Whether the matrix is BT.709 (otherwise BT.601).
    pub bt709: bool,
}

/// A plane's samples, mutable.
pub struct PlaneMut<'a> {
    /// Row by row; row `y` starts at `y * stride`.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// The chroma planes to blend into.
pub enum Chroma<'a> {
    /// Cb and Cr, a plane each (I420).
    Planar(PlaneMut<'a>, PlaneMut<'a>),
    /// Cb and Cr interleaved (NV12).
    Interleaved(PlaneMut<'a>),
}

/// A sprite in a frame's colorimetry: premultiplied samples, all at full resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct YuvSprite {
    width: usize,
    height: usize,
    /// Luma, blue and red difference, and alpha, a plane each.
    samples: Vec<u8>,
}

impl YuvSprite {
    /// Converts `sprite` to `colorimetry`.
    pub fn new(sprite: &Sprite, colorimetry: Colorimetry) -> Self {
        let mut yuv = Self::default();
        yuv.fill(sprite, colorimetry);
        yuv
    }

    /// Converts `sprite` to `colorimetry` into this buffer; allocates only if it has to grow.
    pub fn fill(&mut self, sprite: &Sprite, colorimetry: Colorimetry) {
        (self.width, self.height) = (sprite.rect.w as usize, sprite.rect.h as usize);
        let converter = ColourConverter::new(colorimetry);
        let pixels = self.width * self.height;
        self.samples.clear();
        self.samples.resize(4 * pixels, 0);
        match &sprite.content {
            SpriteContent::Pixels(pixels) => {
                let samples = pixels.as_chunks().0.iter().map(|pixel| converter.convert(*pixel));
                self.set_samples(samples);
            }
            SpriteContent::Strip(strip) => {
                let width = self.width;
                strip.for_each_rect(|[x1, y1, x2, y2], colour| {
                    for (plane, sample) in
                        self.planes_mut().into_iter().zip(converter.convert(colour))
                    {
                        for row in plane.chunks_exact_mut(width).take(y2).skip(y1) {
                            row[x1..x2].fill(sample);
                        }
                    }
                });
            }
            SpriteContent::Indexed { values, colours } => {
                let table = colours.map(|colour| converter.convert(colour));
                self.set_samples(values.iter().map(|v| table[usize::from(*v)]));
            }
        }
    }

    /// Stores these pixels: Y, Cb, Cr, A each.
    fn set_samples(&mut self, pixels: impl Iterator<Item = [u8; 4]>) {
        let [luma, blue, red, alpha] = self.planes_mut();
        let to = luma.iter_mut().zip(blue).zip(red).zip(alpha);
        for ((((y, u), v), a), pixel) in to.zip(pixels) {
            [*y, *u, *v, *a] = pixel;
        }
    }

    fn planes_mut(&mut self) -> [&mut [u8]; 4] {
        let (luma, rest) = self.samples.split_at_mut(self.width * self.height);
        let (blue, rest) = rest.split_at_mut(luma.len());
        let (red, alpha) = rest.split_at_mut(luma.len());
        [luma, blue, red, alpha]
    }

    /// Luma, blue and red difference, and alpha.
    fn planes(&self) -> [&[u8]; 4] {
        let plane = self.width * self.height;
        [0, 1, 2, 3].map(|n| &self.samples[n * plane..][..plane])
    }

    /// Memory held, in bytes.
    pub fn byte_size(&self) -> usize {
        self.samples.len()
    }
}

/// Converts premultiplied B, G, R, A to premultiplied Y, Cb, Cr, A; 16-bit fixed point.
struct ColourConverter {
    luma: [i32; 3],
    blue: [i32; 3],
    red: [i32; 3],
    black: i32,
    middle: i32,
}

impl ColourConverter {
    fn new(colorimetry: Colorimetry) -> Self {
        let (red, blue) = if colorimetry.bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match colorimetry.range {
            LumaRange::Limited => (16.0, 219.0 / 255.0, 224.0 / 255.0),
            LumaRange::Full => (0.0, 1.0, 1.0),
        };
        let fixed = |value: f32| (value * 65_536.0).round() as i32;
        let difference = |own: f32| {
            let scale = chroma / (2.0 * (1.0 - own));
            [red, green, blue].map(|w| -w * scale)
        };
        let [mut to_blue, mut to_red] = [difference(blue), difference(red)];
        to_blue[2] += chroma / (2.0 * (1.0 - blue));
        to_red[0] += chroma / (2.0 * (1.0 - red));
        Self {
            luma: [red, green, blue].map(|w| fixed(w * luma)),
            blue: to_blue.map(fixed),
            red: to_red.map(fixed),
            black: fixed(black / 255.0),
            middle: fixed(128.0 / 255.0),
        }
    }

    fn convert(&self, [b, g, r, a]: [u8; 4]) -> [u8; 4] {
        let [r, g, b, alpha] = [r, g, b, a].map(i32::from);
        // Rounds by adding a half.
        let sum = |[wr, wg, wb]: [i32; 3], offset: i32| {
            ((wr * r + wg * g + wb * b + offset * alpha + 32_768) >> 16).clamp(0, 255) as u8
        };
        [sum(self.luma, self.black), sum(self.blue, self.middle), sum(self.red, self.middle), a]
    }
}

/// Blends `yuv`, which is as large as `rect`, into the luma plane of a frame that holds it.
pub fn blend_luma(plane: &mut PlaneMut<'_>, yuv: &YuvSprite, rect: PixelRect) {
    let (x, y) = (rect.x.unsigned_abs() as usize, rect.y.unsigned_abs() as usize);
    plane.prefetch(y..y + yuv.height, x..x + yuv.width);
    let rows = plane.data.chunks_mut(plane.stride).skip(y);
    let [samples, _, _, alpha] = yuv.planes().map(|plane| plane.chunks_exact(yuv.width.max(1)));
    for (row, (samples, alpha)) in rows.zip(samples.zip(alpha)) {
        blend_samples(row.get_mut(x..).unwrap_or_default(), samples, alpha);
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn blend_samples(under: &mut [u8], over: &[u8], alpha: &[u8]) {
    for (under, (over, alpha)) in under.iter_mut().zip(over.iter().zip(alpha)) {
        *under = blend_over(*under, u16::from(*over), u16::from(*alpha));
    }
}

/// Sums of the sprite's pixels over each chroma sample of a row.
#[derive(Debug, Default)]
pub struct ChromaSums {
    blue: Vec<u16>,
    red: Vec<u16>,
    alpha: Vec<u16>,
}

/// Blends `yuv` into the chroma planes of a frame of `size` luma samples, subsampled by two in both
/// directions.
pub fn blend_chroma(
    planes: &mut Chroma<'_>,
    yuv: &YuvSprite,
    rect: PixelRect,
    size: (usize, usize),
    sums: &mut ChromaSums,
) {
    let (x, y) = (rect.x.unsigned_abs() as usize, rect.y.unsigned_abs() as usize);
    let (end_x, end_y) = (x + yuv.width, y + yuv.height);
    if yuv.width == 0 || yuv.height == 0 {
        return;
    }
    let [_, blues, reds, alphas] = yuv.planes();
    let columns = x / 2..end_x.div_ceil(2);
    // The last column of a frame with an odd width has no partner.
    let pairs =
        PixelPairs { starts_odd: x % 2 == 1, ends_unpaired: end_x == size.0 && size.0 % 2 == 1 };
    let rows = y / 2..end_y.div_ceil(2);
    match planes {
        Chroma::Planar(blue, red) => {
            blue.prefetch(rows.clone(), columns.clone());
            red.prefetch(rows.clone(), columns.clone());
        }
        Chroma::Interleaved(both) => {
            both.prefetch(rows.clone(), 2 * columns.start..2 * columns.end);
        }
    }
    for row in rows {
        sums.clear(columns.len());
        for line in [2 * row, (2 * row + 1).min(size.1 - 1)] {
            if (y..end_y).contains(&line) {
                let at = (line - y) * yuv.width..(line - y + 1) * yuv.width;
                pairs.add(&blues[at.clone()], &mut sums.blue);
                pairs.add(&reds[at.clone()], &mut sums.red);
                pairs.add(&alphas[at], &mut sums.alpha);
            }
        }
        match planes {
            Chroma::Planar(blue, red) => {
                blend_means(blue.row_from(row, columns.start), &sums.blue, &sums.alpha);
                blend_means(red.row_from(row, columns.start), &sums.red, &sums.alpha);
            }
            Chroma::Interleaved(both) => {
                blend_interleaved_means(both.row_from(row, 2 * columns.start), sums);
            }
        }
    }
}

/// Blends means, from sums over up to four pixels.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn blend_means(under: &mut [u8], over: &[u16], alpha: &[u16]) {
    for (under, (over, alpha)) in under.iter_mut().zip(over.iter().zip(alpha)) {
        *under = blend_over(*under, (over + 2) >> 2, (alpha + 2) >> 2);
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn blend_interleaved_means(under: &mut [u8], sums: &ChromaSums) {
    let means = sums.blue.iter().zip(&sums.red).zip(&sums.alpha);
    for (under, ((blue, red), alpha)) in under.as_chunks_mut::<2>().0.iter_mut().zip(means) {
        let [u, v] = *under;
        let alpha = (alpha + 2) >> 2;
        *under = [blend_over(u, (blue + 2) >> 2, alpha), blend_over(v, (red + 2) >> 2, alpha)];
    }
}

impl PlaneMut<'_> {
    /// Prefetches the samples to blend into.
    fn prefetch(&self, rows: Range<usize>, bytes: Range<usize>) {
        Plane { data: self.data, stride: self.stride }.prefetch(rows, bytes);
    }

    /// Row `row`, starting at byte `column`.
    fn row_from(&mut self, row: usize, column: usize) -> &mut [u8] {
        self.data.get_mut(row * self.stride + column..).unwrap_or_default()
    }
}

impl ChromaSums {
    fn clear(&mut self, columns: usize) {
        for sums in [&mut self.blue, &mut self.red, &mut self.alpha] {
            sums.clear();
            sums.resize(columns, 0);
        }
    }
}

/// How a row's pixels are paired for chroma subsampling.
#[derive(Clone, Copy)]
struct PixelPairs {
    starts_odd: bool,
    ends_unpaired: bool,
}

impl PixelPairs {
    fn add(self, row: &[u8], sums: &mut [u16]) {
        let (alone, rest) = row.split_at(usize::from(self.starts_odd));
        let (first, sums) = sums.split_at_mut(alone.len());
        first.iter_mut().zip(alone).for_each(|(sum, sample)| *sum += u16::from(*sample));
        let (pairs, left_over) = rest.as_chunks();
        add_pairs(pairs, sums);
        let left_over = left_over.first().copied();
        if let (Some(sample), Some(sum)) = (left_over, sums.last_mut()) {
            *sum += u16::from(sample) * if self.ends_unpaired { 2 } else { 1 };
        }
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn add_pairs(pairs: &[[u8; 2]], sums: &mut [u16]) {
    for (sum, [a, b]) in sums.iter_mut().zip(pairs) {
        *sum += u16::from(*a) + u16::from(*b);
    }
}

/// Premultiplied `over` with `alpha` (0..=255) over a sample.
#[inline(always)]
fn blend_over(under: u8, over: u16, alpha: u16) -> u8 {
    let rest = u16::from(under) * (255 - alpha) + 128;
    // Exactly rest / 255, rounded.
    let rest = (rest + (rest >> 8)) >> 8;
    (over + rest).min(255) as u8
}

#[cfg(test)]
#[path = "blend_tests.rs"]
mod tests;
