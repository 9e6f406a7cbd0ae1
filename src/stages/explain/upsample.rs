//! Bicubic enlargement of a small map, as `torch.nn.functional.interpolate` does it.
//!
//! Takes an h × w map and gives an H × W one: Keys' cubic with a = −0.75, pixel centres at half
//! integers (`align_corners=False`), edges replicated, no smoothing when shrinking. OpenCV's
//! `INTER_CUBIC` computes the same. Equal to both within rounding. [`Bicubic::evidence`] clamps
//! negative, NaN and infinite values before and after: a cubic undershoots beside a peak, and the
//! paper's script shows that undershoot as bright red. The result may exceed the input's maximum (a
//! cubic overshoots by up to a fifth).
//!
//! Weights depend only on the two sizes and the region, so they are computed once for each.

/// Keys' parameter, as in torch and OpenCV.
const A: f32 = -0.75;

use multiversion::multiversion;

/// The four neighbours of one output sample along one axis, and their weights.
#[derive(Clone, Copy, Debug)]
struct Tap {
    from: [usize; 4],
    weight: [f32; 4],
}

/// An enlargement between two fixed sizes.
#[derive(Clone, Debug, Default)]
pub struct Bicubic {
    from: (usize, usize),
    across: Vec<Tap>,
    down: Vec<Tap>,
    /// The clamped input, and the input enlarged horizontally; kept to avoid allocations.
    clamped: Vec<f32>,
    wide: Vec<f32>,
}

impl Bicubic {
    /// Creates the weights from maps of `from` to maps of `to`, each (width, height) in cells;
    /// `None` if one of the four is zero.
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Option<Self> {
        Self::for_region(from, ((0.0, from.0 as f64), (0.0, from.1 as f64)), to)
    }

    /// As [`Bicubic::new`], but enlarges only the region of the map from `across.0` to `across.1`
    /// and from `down.0` to `down.1`, in cells; beyond the map its edge is replicated. `None` if a
    /// size is zero or a bound is not finite.
    pub fn for_region(
        from: (usize, usize),
        (across, down): ((f64, f64), (f64, f64)),
        to: (usize, usize),
    ) -> Option<Self> {
        let mut made = Self::default();
        made.set_mapping(from, (across, down), to).then_some(made)
    }

    /// Sets the weights as [`Bicubic::for_region`], reusing buffers; `false`, with nothing changed,
    /// if that gives `None`.
    pub fn set_mapping(
        &mut self,
        from: (usize, usize),
        (across, down): ((f64, f64), (f64, f64)),
        to: (usize, usize),
    ) -> bool {
        let sides = [from.0, from.1, to.0, to.1];
        let bounds = [across.0, across.1, down.0, down.1];
        if sides.contains(&0) || bounds.iter().any(|b| !b.is_finite()) {
            return false;
        }
        self.from = from;
        fill_taps(&mut self.across, from.0, across, to.0);
        fill_taps(&mut self.down, from.1, down, to.1);
        true
    }

    /// Size of the input maps: (width, height).
    pub const fn from(&self) -> (usize, usize) {
        self.from
    }

    /// Size of the output maps: (width, height).
    pub fn to(&self) -> (usize, usize) {
        (self.across.len(), self.down.len())
    }

    /// Enlarges `src` (row by row) without clamping.
    ///
    /// # Panics
    /// Where `src` is not of the size given to [`Bicubic::new`].
    pub fn enlarged(&mut self, src: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        self.enlarge(src, &mut out);
        out
    }

    /// Enlarges `src`, clamped to ≥ 0 before and after; non-finite values count as 0.
    ///
    /// # Panics
    /// Where `src` is not of the size given to [`Bicubic::new`].
    pub fn evidence(&mut self, src: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        self.clamped(src, |this, clamped| this.enlarge(clamped, &mut out));
        out.iter_mut().for_each(|v| *v = v.max(0.0));
        out
    }

    /// As [`Bicubic::evidence`], in 256 steps into `out`: 0 is 0; 255 is 1 and above.
    ///
    /// # Panics
    /// Where `src` is not of the size given to [`Bicubic::new`].
    pub fn evidence_u8(&mut self, src: &[f32], out: &mut Vec<u8>) {
        self.clamped(src, |this, clamped| {
            this.enlarge_rows(clamped);
            let wide = this.across.len();
            out.clear();
            out.resize(wide * this.down.len(), 0);
            for (out, tap) in out.chunks_exact_mut(wide.max(1)).zip(&this.down) {
                let rows = tap.from.map(|y| &this.wide[y * wide..][..wide]);
                blend_row(rows, tap.weight, out);
            }
        });
    }

    /// Calls `work` with `src` clamped to finite values ≥ 0.
    fn clamped(&mut self, src: &[f32], work: impl FnOnce(&mut Self, &[f32])) {
        // A fifth of the largest float leaves room for the overshoot.
        let clamp = |v: f32| {
            if v.is_finite() { v.clamp(0.0, f32::MAX / 5.0) } else { 0.0 }
        };
        let mut clamped = std::mem::take(&mut self.clamped);
        clamped.clear();
        clamped.extend(src.iter().copied().map(clamp));
        work(self, &clamped);
        self.clamped = clamped;
    }

    fn enlarge(&mut self, src: &[f32], out: &mut Vec<f32>) {
        self.enlarge_rows(src);
        let wide = self.across.len();
        out.reserve_exact(wide * self.down.len());
        for tap in &self.down {
            let rows = tap.from.map(|y| &self.wide[y * wide..][..wide]);
            out.extend((0..wide).map(|x| (0..4).map(|k| rows[k][x] * tap.weight[k]).sum::<f32>()));
        }
    }

    /// Enlarges horizontally only.
    fn enlarge_rows(&mut self, src: &[f32]) {
        let (width, height) = self.from;
        assert_eq!(src.len(), width * height, "a map of {width}x{height} was promised");
        self.wide.clear();
        for row in src.chunks_exact(width) {
            self.wide.extend(
                self.across
                    .iter()
                    .map(|tap| (0..4).map(|k| row[tap.from[k]] * tap.weight[k]).sum::<f32>()),
            );
        }
    }
}

/// One row of [`Bicubic::evidence_u8`]. A face that fills a 1080p frame has 400 000 samples, so
/// this is compiled for the widest registers of each processor.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn blend_row(rows: [&[f32]; 4], weights: [f32; 4], out: &mut [u8]) {
    let [a, b, c, d] = rows;
    let four = a.iter().zip(b).zip(c.iter().zip(d));
    for (out, ((a, b), (c, d))) in out.iter_mut().zip(four) {
        let sum = a * weights[0] + b * weights[1] + c * weights[2] + d * weights[3];
        *out = (sum.clamp(0.0, 1.0) * 255.0 + 0.5) as i32 as u8;
    }
}

fn fill_taps(taps: &mut Vec<Tap>, from: usize, part: (f64, f64), to: usize) {
    let scale = (part.1 - part.0) / to as f64;
    let last = from as f64 - 1.0;
    taps.clear();
    taps.extend((0..to).map(|i| {
        let at = part.0 + (i as f64 + 0.5) * scale - 0.5;
        let floor = at.floor();
        let neighbour = |k: f64| (floor + k).clamp(0.0, last) as usize;
        Tap {
            from: [neighbour(-1.0), neighbour(0.0), neighbour(1.0), neighbour(2.0)],
            weight: cubic((at - floor) as f32),
        }
    }));
}

/// Weights of the neighbours at −1, 0, 1, 2 for a point at `t` within 0..1.
fn cubic(t: f32) -> [f32; 4] {
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys' kernel as published, over all input cells, with the input extended at the edges.
    fn slow(src: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f64> {
        let kernel = |x: f64| {
            let (x, a) = (x.abs(), f64::from(A));
            match x {
                x if x <= 1.0 => (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0,
                x if x < 2.0 => a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a,
                _ => 0.0,
            }
        };
        let position =
            |i: usize, from: usize, to: usize| (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let mut out = Vec::new();
        for j in 0..to.1 {
            for i in 0..to.0 {
                let (x, y) = (position(i, from.0, to.0), position(j, from.1, to.1));
                let mut sum = 0.0;
                for v in -3..from.1 as isize + 3 {
                    for u in -3..from.0 as isize + 3 {
                        let row = v.clamp(0, from.1 as isize - 1) as usize;
                        let column = u.clamp(0, from.0 as isize - 1) as usize;
                        let weight = kernel(x - u as f64) * kernel(y - v as f64);
                        sum += weight * f64::from(src[row * from.0 + column]);
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    fn maps() -> impl Strategy<Value = (Vec<f32>, (usize, usize), (usize, usize))> {
        (1usize..7, 1usize..7, 1usize..20, 1usize..20).prop_flat_map(|(w, h, to_w, to_h)| {
            (prop::collection::vec(-1.0f32..1.0, w * h), Just((w, h)), Just((to_w, to_h)))
        })
    }

    proptest! {
        #[test]
        fn it_equals_the_published_kernel((src, from, to) in maps()) {
            let fast = Bicubic::new(from, to).expect("no zero").enlarged(&src);
            for (a, b) in fast.iter().zip(slow(&src, from, to)) {
                prop_assert!((f64::from(*a) - b).abs() < 1e-5, "{a} != {b}");
            }
        }

        #[test]
        fn a_flat_map_stays_flat((_, from, to) in maps(), level in 0.0f32..9.0) {
            let mut bicubic = Bicubic::new(from, to).expect("no zero");
            let out = bicubic.evidence(&vec![level; from.0 * from.1]);
            prop_assert_eq!(out.len(), to.0 * to.1);
            prop_assert!(out.iter().all(|v| (v - level).abs() <= 1e-5 * (1.0 + level)));
        }

        #[test]
        fn evidence_is_never_negative_or_non_finite(
            src in prop::collection::vec(prop::num::f32::ANY, 12)
        ) {
            let out = Bicubic::new((4, 3), (17, 9)).expect("no zero").evidence(&src);
            prop_assert!(out.iter().all(|v| v.is_finite() && *v >= 0.0), "{out:?}");
        }
    }

    #[test]
    fn opencv_gives_these_numbers() {
        // cv2.resize(np.float32([[0, 1], [4, 2]]), (3, 4), interpolation=cv2.INTER_CUBIC) of OpenCV 5.0.
        let golden = [
            [-0.536_146_34, 0.236_328_12, 1.008_802_7],
            [0.878_445_15, 1.066_406_2, 1.254_367_4],
            [3.208_360_4, 2.433_593_8, 1.658_827_1],
            [4.622_952, 3.263_671_9, 1.904_391_8],
        ];
        let out = Bicubic::new((2, 2), (3, 4)).expect("no zero").enlarged(&[0.0, 1.0, 4.0, 2.0]);
        for (a, b) in out.iter().zip(golden.as_flattened()) {
            assert!((a - b).abs() < 1e-5, "{out:?}");
        }
    }

    #[test]
    fn a_region_equals_the_same_part_of_the_whole() {
        let src: Vec<f32> = (0..16).map(|i| ((i * 7) % 5) as f32).collect();
        let whole = Bicubic::new((4, 4), (16, 16)).expect("no zero").enlarged(&src);
        let part = Bicubic::for_region((4, 4), ((1.0, 3.0), (0.0, 1.0)), (8, 4));
        let part = part.expect("no zero").enlarged(&src);
        for (i, v) in part.iter().enumerate() {
            assert!((v - whole[i / 8 * 16 + 4 + i % 8]).abs() < 1e-5);
        }
        assert!(Bicubic::for_region((4, 4), ((f64::NAN, 1.0), (0.0, 1.0)), (1, 1)).is_none());
    }

    #[test]
    fn a_size_of_zero_is_none() {
        assert!(Bicubic::new((0, 1), (1, 1)).is_none());
        assert!(Bicubic::new((1, 1), (1, 0)).is_none());
    }
}
