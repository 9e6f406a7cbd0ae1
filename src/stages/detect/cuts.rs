//! Detects shot cuts: frames that differ entirely from the previous one.
//!
//! Takes every frame in order; reports whether it begins a new shot. Compares 64×36 thumbnails of
//! the luma plane by their correlation, which is independent of brightness and contrast. It is a
//! cut if the correlation is below 0.3, or below 0.6 while the mean difference is also far above
//! the shot's median and the histogram has changed. A fade through black or white is one cut, at
//! the new content. A flash, after which the old content returns, is none: frames without structure
//! are skipped. Slow dissolves and wipes are not detected: tracks end there by themselves. Measured
//! on four clips with cuts and motion: every cut, nothing else (`tests/shot_cuts.rs`).

use crate::core::frame::ImageView;

const COLUMNS: usize = 64;
const ROWS: usize = 36;
/// Samples averaged per thumbnail pixel: across and down.
const SAMPLES: usize = 4;
/// Below this correlation it is a cut. Measured: cuts −.14 to .23, the fastest motion .46.
const CUT_CORRELATION: f32 = 0.3;
/// Above this correlation it is the same shot, whatever else changed.
const SAME_CORRELATION: f32 = 0.6;
/// Between the two, a cut's difference is this many times the median (measured: cut 7, motion 3) …
const MIN_DIFFERENCE_RATIO: f32 = 5.0;
/// … and its histogram has shifted by this many levels on average (cut 7, motion 3.5).
const MIN_LEVELS_SHIFT: f32 = 5.0;
/// Mean differences up to this, in levels, are noise.
const NOISE_LEVELS: f32 = 2.0;
/// Frames with a standard deviation below this, in levels, have no structure to compare.
const FLAT_LEVELS: f32 = 3.0;
/// Differences in the median, and the minimum number for it.
const HISTORY_FRAMES: usize = 25;
const MIN_HISTORY_FRAMES: usize = 5;
/// A row or column within this range of levels in both thumbnails is a black bar.
const BAR_LEVELS: u8 = 6;

type Thumbnail = [[u8; COLUMNS]; ROWS];

/// Detects the shot cuts of one stream.
#[derive(Clone, Debug)]
pub struct CutDetector {
    /// The last frame with structure.
    last: Option<Box<Thumbnail>>,
    /// Mean differences in this shot, as a ring buffer.
    differences: [f32; HISTORY_FRAMES],
    recorded: usize,
}

impl Default for CutDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl CutDetector {
    /// A detector without history: the first frame is not a cut.
    pub const fn new() -> Self {
        Self { last: None, differences: [0.0; HISTORY_FRAMES], recorded: 0 }
    }

    /// Takes the next frame; returns whether a new shot begins with it.
    pub fn push(&mut self, image: &ImageView<'_>) -> bool {
        let now = thumbnail(image);
        let whole = Area { rows: (0, ROWS), columns: (0, COLUMNS) };
        if Moments::of(&now, &now, whole).std_dev_a() < FLAT_LEVELS {
            return false;
        }
        let Some(last) = &mut self.last else {
            self.last = Some(Box::new(now));
            return false;
        };
        let area = Area::without_bars(last, &now);
        let difference = mean_difference(last, &now, area);
        let correlation = Moments::of(last, &now, area).correlation();
        let unusual = self.recorded >= MIN_HISTORY_FRAMES
            && difference > MIN_DIFFERENCE_RATIO * (1.0 + median(&self.differences, self.recorded));
        let cut = difference > NOISE_LEVELS
            && (correlation < CUT_CORRELATION
                || correlation < SAME_CORRELATION
                    && unusual
                    && levels_shift(last, &now, area) > MIN_LEVELS_SHIFT);
        **last = now;
        if cut {
            self.recorded = 0;
        } else {
            self.differences[self.recorded % HISTORY_FRAMES] = difference;
            self.recorded += 1;
        }
        cut
    }
}

/// The luma plane as a thumbnail: each pixel is the mean of 16 samples spread over its cell.
fn thumbnail(image: &ImageView<'_>) -> Thumbnail {
    let (width, height) = (image.width.max(1), image.height.max(1));
    let spread = |i: usize, count: usize, side: usize| (2 * i + 1) * side / (2 * count);
    let columns: [usize; COLUMNS * SAMPLES] =
        std::array::from_fn(|i| spread(i, COLUMNS * SAMPLES, width));
    let mut thumbnail = [[0; COLUMNS]; ROWS];
    for (row, out) in thumbnail.iter_mut().enumerate() {
        let mut sums = [0u16; COLUMNS];
        for k in 0..SAMPLES {
            let y = spread(row * SAMPLES + k, ROWS * SAMPLES, height);
            let from = y * image.luma.stride;
            let Some(line) = image.luma.data.get(from..from + width) else {
                continue;
            };
            for (sum, columns) in sums.iter_mut().zip(columns.chunks_exact(SAMPLES)) {
                *sum += columns.iter().map(|x| u16::from(line[*x])).sum::<u16>();
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / 16) as u8);
    }
    thumbnail
}

/// A part of a thumbnail, ends exclusive.
#[derive(Clone, Copy)]
struct Area {
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Area {
    /// All but the flat rows and columns at the edges of both: black bars would make any two frames
    /// similar.
    fn without_bars(a: &Thumbnail, b: &Thumbnail) -> Self {
        let flat = |values: &mut dyn Iterator<Item = u8>| {
            let (low, high) = values.fold((255, 0), |(l, h), v| (v.min(l), v.max(h)));
            high - low.min(high) <= BAR_LEVELS
        };
        let bar_row = |y: usize| flat(&mut a[y].iter().copied()) && flat(&mut b[y].iter().copied());
        let bar_column = |x: usize| {
            flat(&mut a.iter().map(|row| row[x])) && flat(&mut b.iter().map(|row| row[x]))
        };
        let span = |count: usize, bar: &dyn Fn(usize) -> bool| {
            let first = (0..count).find(|i| !bar(*i)).unwrap_or(0);
            let last = (first..count).rev().find(|i| !bar(*i)).unwrap_or(count - 1);
            (first, last + 1)
        };
        Self { rows: span(ROWS, &bar_row), columns: span(COLUMNS, &bar_column) }
    }

    fn pixels(self) -> f32 {
        ((self.rows.1 - self.rows.0) * (self.columns.1 - self.columns.0)) as f32
    }

    /// The rows of both thumbnails, cropped to the columns.
    fn rows<'a>(
        self,
        a: &'a Thumbnail,
        b: &'a Thumbnail,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let columns = self.columns.0..self.columns.1;
        let rows = self.rows.0..self.rows.1;
        let cut = move |row: &'a [u8; COLUMNS]| &row[columns.clone()];
        a[rows.clone()].iter().map(cut.clone()).zip(b[rows].iter().map(cut))
    }
}

/// Sums over two thumbnails, exact integers.
#[derive(Default)]
struct Moments {
    pixels: f32,
    a: u32,
    b: u32,
    aa: u32,
    bb: u32,
    ab: u32,
}

impl Moments {
    fn of(a: &Thumbnail, b: &Thumbnail, area: Area) -> Self {
        let mut sums = Self { pixels: area.pixels(), ..Self::default() };
        for (a, b) in area.rows(a, b) {
            for (a, b) in a.iter().zip(b) {
                let (a, b) = (u32::from(*a), u32::from(*b));
                sums.a += a;
                sums.b += b;
                sums.aa += a * a;
                sums.bb += b * b;
                sums.ab += a * b;
            }
        }
        sums
    }

    fn covariance(&self, xy: u32, x: u32, y: u32) -> f32 {
        let n = f64::from(self.pixels);
        ((f64::from(xy) - f64::from(x) * f64::from(y) / n) / n) as f32
    }

    /// Standard deviation of the first thumbnail, in levels.
    fn std_dev_a(&self) -> f32 {
        self.covariance(self.aa, self.a, self.a).max(0.0).sqrt()
    }

    /// −1..=1; 0 where one of the two is flat.
    fn correlation(&self) -> f32 {
        let std_dev_b = self.covariance(self.bb, self.b, self.b).max(0.0).sqrt();
        let product = self.std_dev_a() * std_dev_b;
        if product > 0.0 { self.covariance(self.ab, self.a, self.b) / product } else { 0.0 }
    }
}

fn mean_difference(a: &Thumbnail, b: &Thumbnail, area: Area) -> f32 {
    let rows = area.rows(a, b);
    let sum: u32 = rows
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>())
        .sum();
    sum as f32 / area.pixels()
}

/// The earth mover's distance between the histograms, in levels: the area between the cumulative
/// histograms.
fn levels_shift(a: &Thumbnail, b: &Thumbnail, area: Area) -> f32 {
    let mut histogram = [0i32; 256];
    for (a, b) in area.rows(a, b) {
        a.iter().for_each(|a| histogram[usize::from(*a)] += 1);
        b.iter().for_each(|b| histogram[usize::from(*b)] -= 1);
    }
    let mut cumulative = 0i32;
    let sum: i32 = histogram
        .iter()
        .map(|count| {
            cumulative += count;
            cumulative.abs()
        })
        .sum();
    sum as f32 / area.pixels()
}

/// The median of the differences so far, 0 if there are none.
fn median(differences: &[f32; HISTORY_FRAMES], recorded: usize) -> f32 {
    let mut sorted = *differences;
    let known = &mut sorted[..recorded.min(HISTORY_FRAMES)];
    known.sort_unstable_by(f32::total_cmp);
    known.get(known.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::frame::{Chroma, LumaRange, Plane};

    const WIDTH: usize = 160;
    const HEIGHT: usize = 90;

    /// A scene of soft blobs, different for each `scene`, moved by `shift` pixels, with the
    /// brightness `light` (0 black, 1 normal).
    fn paint(scene: u32, shift: f32, light: f32) -> Vec<u8> {
        let phase = scene as f32 * 2.1;
        let value = |x: f32, y: f32| {
            let waves = (x / (11.0 + phase)).sin()
                + (y / 9.0 + phase).cos()
                + ((x + 2.0 * y) / 23.0 + 2.0 * phase).sin();
            (110.0 + 28.0 * waves) * light
        };
        let at = |i: usize| value((i % WIDTH) as f32 + shift, (i / WIDTH) as f32);
        (0..WIDTH * HEIGHT).map(|i| at(i).round().clamp(0.0, 255.0) as u8).collect()
    }

    fn push_frame(detector: &mut CutDetector, luma: &[u8]) -> bool {
        detector.push(&ImageView {
            width: WIDTH,
            height: HEIGHT,
            luma: Plane { data: luma, stride: WIDTH },
            chroma: Chroma::Interleaved(Plane { data: &[], stride: 0 }),
            range: LumaRange::Full,
            bt709: true,
        })
    }

    fn cuts(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<usize> {
        let mut detector = CutDetector::new();
        let found = frames.into_iter().map(|f| push_frame(&mut detector, &f)).enumerate();
        found.filter_map(|(i, cut)| cut.then_some(i)).collect()
    }

    #[test]
    fn another_scene_is_a_cut() {
        let scene = |i: u32| paint(i / 10, (i % 10) as f32, 1.0);
        assert_eq!(cuts((0..40).map(scene)), [10, 20, 30]);
    }

    #[test]
    fn the_first_frame_and_a_moving_camera_are_no_cuts() {
        assert_eq!(cuts((0..60).map(|i| paint(1, 4.0 * i as f32, 1.0))), [0_usize; 0]);
    }

    #[test]
    fn flashes_are_no_cuts() {
        let white = || vec![255; WIDTH * HEIGHT];
        let light = [1.0, 1.0, 1.6, 1.0, 1.9, 0.4, 1.0];
        let mut frames: Vec<_> = light.iter().cycle().take(40).map(|l| paint(2, 0.0, *l)).collect();
        frames.insert(11, white());
        frames.insert(20, white());
        assert_eq!(cuts(frames), [0_usize; 0]);
    }

    #[test]
    fn a_fade_through_black_is_one_cut() {
        let fade = (0..20).map(|i| paint(1, 0.0, (20 - i) as f32 / 20.0));
        let rise = (0..20).map(|i| paint(2, 0.0, i as f32 / 20.0));
        let found = cuts(fade.chain(rise));
        assert!(matches!(found[..], [20..=24]), "{found:?}");
    }

    #[test]
    fn a_fade_to_black_and_back_is_no_cut() {
        let light = |i: i32| (i - 20).abs() as f32 / 20.0;
        assert_eq!(cuts((0..40).map(|i| paint(1, 0.0, light(i)))), [0_usize; 0]);
    }

    #[test]
    fn bars_do_not_hide_a_cut() {
        let barred = |scene| {
            let mut frame = paint(scene, 0.0, 1.0);
            for (i, v) in frame.iter_mut().enumerate() {
                if !(60..100).contains(&(i % WIDTH)) {
                    *v = 16;
                }
            }
            frame
        };
        assert_eq!(cuts((0..20).map(|i| barred(1 + i / 10))), [10]);
    }

    proptest! {
        #[test]
        fn small_and_truncated_frames_are_accepted(
            width in 1usize..80, height in 1usize..80, spare in 0usize..9, cut_short in 0usize..99,
        ) {
            let stride = width + spare;
            let mut data: Vec<u8> = (0..stride * height).map(|i| (i * 37 % 251) as u8).collect();
            data.truncate(data.len().saturating_sub(cut_short));
            let luma = Plane { data: &data, stride };
            let chroma = Chroma::Interleaved(luma);
            let range = LumaRange::Limited;
            let view = ImageView { width, height, luma, chroma, range, bt709: false };
            let mut detector = CutDetector::new();
            prop_assert!(!detector.push(&view));
            prop_assert!(!detector.push(&view));
        }
    }
}
