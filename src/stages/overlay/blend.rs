//! Blends sprites into a picture's own planes: only the samples under a sprite are touched, and
//! each is read and written once.
//!
//! Takes sprites and one plane at a time; changes that plane. A sprite is turned into the picture's
//! colour once ([`Ink`]) and kept by whoever shows it again. Luma is blended sample by sample, chroma
//! with the mean of the up to four pixels that it stands for. Everything fits 16 bits, so that the
//! loops run on several samples at once.

use super::{Place, Sprite};
use crate::core::picture::LumaRange;

/// How a picture's samples say colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colour {
    /// What black and white are.
    pub range: LumaRange,
    /// Whether the matrix is BT.709 (else BT.601).
    pub bt709: bool,
}

/// The colour plane to blend into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chroma {
    /// Cb alone.
    Blue,
    /// Cr alone.
    Red,
    /// Cb and Cr by turns.
    Both,
}

/// A plane's samples, to be changed.
pub struct PlaneMut<'a> {
    /// Row by row; row `y` starts at `y * stride`.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// A sprite in a picture's colour: premultiplied samples, all at full resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ink {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
    alpha: Vec<u8>,
}

impl Ink {
    /// `sprite` as pictures of `colour` have it.
    pub fn new(sprite: &Sprite, colour: Colour) -> Self {
        let (red, blue) = if colour.bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match colour.range {
            LumaRange::Limited => (16.0, 219.0 / 255.0, 224.0 / 255.0),
            LumaRange::Full => (0.0, 1.0, 1.0),
        };
        // Sixteen bits behind the point; a half rounds.
        let fixed = |value: f32| (value * 65_536.0).round() as i32;
        let weights = [red, green, blue].map(|w| fixed(w * luma));
        let difference = |own: f32| {
            let scale = chroma / (2.0 * (1.0 - own));
            [red, green, blue].map(|w| -w * scale)
        };
        let [mut to_blue, mut to_red] = [difference(blue), difference(red)];
        to_blue[2] += chroma / (2.0 * (1.0 - blue));
        to_red[0] += chroma / (2.0 * (1.0 - red));
        let zero = fixed(black / 255.0);
        let middle = fixed(128.0 / 255.0);
        let pixels = (sprite.width * sprite.height) as usize;
        let plane = || vec![0; pixels];
        let mut ink = Self {
            width: sprite.width as usize,
            height: sprite.height as usize,
            luma: plane(),
            blue: plane(),
            red: plane(),
            alpha: plane(),
        };
        let (to_blue, to_red) = (to_blue.map(fixed), to_red.map(fixed));
        let sum = |[r, g, b, a]: [i32; 4], [wr, wg, wb]: [i32; 3], offset: i32| {
            ((wr * r + wg * g + wb * b + offset * a + 32_768) >> 16).clamp(0, 255) as u8
        };
        for (i, pixel) in sprite.pixels.chunks_exact(4).take(pixels).enumerate() {
            // Most of a heatmap is not seen.
            if pixel[3] > 0 {
                let seen = [2, 1, 0, 3].map(|i| i32::from(pixel[i]));
                ink.luma[i] = sum(seen, weights, zero);
                ink.blue[i] = sum(seen, to_blue, middle);
                ink.red[i] = sum(seen, to_red, middle);
                ink.alpha[i] = pixel[3];
            }
        }
        ink
    }

    /// Memory held, in bytes.
    pub fn byte_size(&self) -> usize {
        4 * self.alpha.len()
    }

    /// Fills `self` with `from` at another size, by linear interpolation between pixel centres.
    pub fn scale(&mut self, from: &Self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        let (across, down) = (taps(from.width, width), taps(from.height, height));
        let planes = [
            (&from.luma, &mut self.luma),
            (&from.blue, &mut self.blue),
            (&from.red, &mut self.red),
            (&from.alpha, &mut self.alpha),
        ];
        let mut line = vec![0u16; from.width];
        for (from, to) in planes.map(|(f, t)| (f.chunks_exact(line.len()), t)) {
            let rows: Vec<&[u8]> = from.collect();
            to.clear();
            for (first, second, part) in &down {
                let (Some(upper), Some(lower)) = (rows.get(*first), rows.get(*second)) else {
                    continue;
                };
                for (to, (a, b)) in line.iter_mut().zip(upper.iter().zip(*lower)) {
                    *to = (16 - part) * u16::from(*a) + part * u16::from(*b);
                }
                let between = |(first, second, part): &(usize, usize, u16)| {
                    (((16 - part) * line[*first] + part * line[*second] + 128) >> 8) as u8
                };
                to.extend(across.iter().map(between));
            }
        }
    }
}

/// For each of `to` places: two neighbours among `from`, and the second's part in sixteenths.
fn taps(from: usize, to: usize) -> Vec<(usize, usize, u16)> {
    let last = from.saturating_sub(1);
    let tap = |i: usize| {
        let at = ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, last as f32);
        let first = at as usize;
        (first, (first + 1).min(last), ((at - first as f32) * 16.0 + 0.5) as u16)
    };
    (0..to).map(tap).collect()
}

/// Blends `ink`, which is as large as `place`, into the luma plane of a picture that holds it.
pub fn luma(plane: &mut PlaneMut<'_>, ink: &Ink, place: Place) {
    let (x, y) = (place.x.unsigned_abs() as usize, place.y.unsigned_abs() as usize);
    let rows = plane.data.chunks_mut(plane.stride).skip(y);
    let inks = ink.luma.chunks_exact(ink.width).zip(ink.alpha.chunks_exact(ink.width));
    for (row, (ink, alpha)) in rows.zip(inks) {
        let row = row.get_mut(x..).unwrap_or_default();
        for (under, (ink, alpha)) in row.iter_mut().zip(ink.iter().zip(alpha)) {
            *under = over(*under, u16::from(*ink), u16::from(*alpha));
        }
    }
}

/// Sums of what lies over each colour sample of a row.
#[derive(Debug, Default)]
pub struct Sums {
    ink: [Vec<u16>; 2],
    alpha: Vec<u16>,
}

/// The same for a colour plane of a picture of `size` luma samples, with half of them both ways.
pub fn chroma(
    plane: &mut PlaneMut<'_>,
    which: Chroma,
    ink: &Ink,
    place: Place,
    size: (usize, usize),
    sums: &mut Sums,
) {
    let (x, y) = (place.x.unsigned_abs() as usize, place.y.unsigned_abs() as usize);
    let (end_x, end_y) = (x + ink.width, y + ink.height);
    if ink.width == 0 || ink.height == 0 {
        return;
    }
    let columns = x / 2..end_x.div_ceil(2);
    // The last column of a picture with an odd width stands for itself alone.
    let pairs = Pairs { starts_odd: x % 2 == 1, ends_alone: end_x == size.0 && size.0 % 2 == 1 };
    let step = if which == Chroma::Both { 2 } else { 1 };
    for row in y / 2..end_y.div_ceil(2) {
        sums.clear(columns.len());
        for line in [2 * row, (2 * row + 1).min(size.1 - 1)] {
            if (y..end_y).contains(&line) {
                let at = (line - y) * ink.width..(line - y + 1) * ink.width;
                pairs.add(&ink.alpha[at.clone()], &mut sums.alpha);
                match which {
                    Chroma::Blue => pairs.add(&ink.blue[at], &mut sums.ink[0]),
                    Chroma::Red => pairs.add(&ink.red[at], &mut sums.ink[0]),
                    Chroma::Both => {
                        pairs.add(&ink.blue[at.clone()], &mut sums.ink[0]);
                        pairs.add(&ink.red[at], &mut sums.ink[1]);
                    }
                }
            }
        }
        let from = row * plane.stride + columns.start * step;
        let samples = plane.data.get_mut(from..).unwrap_or_default();
        for (n, ink) in sums.ink.iter().take(step).enumerate() {
            let samples = samples.iter_mut().skip(n).step_by(step);
            for (under, (ink, alpha)) in samples.zip(ink.iter().zip(&sums.alpha)) {
                *under = over(*under, (ink + 2) >> 2, (alpha + 2) >> 2);
            }
        }
    }
}

impl Sums {
    fn clear(&mut self, columns: usize) {
        for sums in self.ink.iter_mut().chain([&mut self.alpha]) {
            sums.clear();
            sums.resize(columns, 0);
        }
    }
}

/// How pixels of a row fall into pairs.
#[derive(Clone, Copy)]
struct Pairs {
    starts_odd: bool,
    ends_alone: bool,
}

impl Pairs {
    fn add(self, row: &[u8], sums: &mut [u16]) {
        let (alone, rest) = row.split_at(usize::from(self.starts_odd));
        let (first, sums) = sums.split_at_mut(alone.len());
        first.iter_mut().zip(alone).for_each(|(sum, sample)| *sum += u16::from(*sample));
        let pairs = rest.chunks_exact(2);
        let left_over = pairs.remainder().first().copied();
        for (sum, pair) in sums.iter_mut().zip(pairs) {
            *sum += u16::from(pair[0]) + u16::from(pair[1]);
        }
        if let (Some(sample), Some(sum)) = (left_over, sums.last_mut()) {
            *sum += u16::from(sample) * if self.ends_alone { 2 } else { 1 };
        }
    }
}

/// Premultiplied `ink` of `alpha` (0..=255) over a sample.
fn over(under: u8, ink: u16, alpha: u16) -> u8 {
    let seen = u16::from(under) * (255 - alpha) + 128;
    // Exactly seen / 255, rounded.
    let seen = (seen + (seen >> 8)) >> 8;
    (ink + seen).min(255) as u8
}

#[cfg(test)]
#[path = "blend_tests.rs"]
mod tests;
