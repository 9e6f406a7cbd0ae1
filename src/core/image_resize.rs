//! Image resizing: the source pixels and weights for each output pixel, along one axis.
//!
//! Takes the output's sampling positions and a reduction factor. For each output pixel it computes
//! the first source pixel and a fixed number of weights, which sum to 1.
//! The weights combine two steps: the source is averaged over cells of `cell` pixels (OpenCV's
//! `INTER_AREA`), then the cells are interpolated linearly between their centres (`INTER_LINEAR`).
//! With a cell of one pixel the first step does nothing.
//! Guarantees: weights are not negative and sum to 1; indices are in rising order.
//! [`Axis::interpolate`] can return indices outside the frame: the caller decides what is there.
//! Tables, because the same few hundred weights apply to every row of a frame.

/// Source pixels and weights for each output pixel along one axis.
#[derive(Default, Debug)]
pub(crate) struct Axis {
    taps: usize,
    first: Vec<i32>,
    weights: Vec<f32>,
}

impl Axis {
    #[cfg(test)]
    /// A table without outputs; fill it with [`Self::interpolate`] or [`Self::average`].
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Output pixel `i` of `count` samples the source at `position(i)`, in source pixels (0 is the
    /// left edge of the first pixel), averaged over cells of `cell` ≥ 1 pixels first.
    pub(crate) fn interpolate(&mut self, count: usize, cell: f32, position: impl Fn(usize) -> f32) {
        let cell = cell.max(1.0);
        // Two neighbouring cells of c pixels touch at most ⌈2c⌉ + 1 whole pixels.
        self.clear(count, if cell == 1.0 { 2 } else { (2.0 * cell).ceil() as usize + 1 });
        for i in 0..count {
            let at = position(i) / cell - 0.5;
            let left = at.floor();
            let right_share = at - left;
            let first = (left * cell).floor() as i32;
            self.first.push(first);
            self.add(i, left * cell, cell, 1.0 - right_share);
            self.add(i, (left + 1.0) * cell, cell, right_share);
        }
        self.normalise();
    }

    /// Output pixel `i` of `count` is the mean of the source from `i * cell` to `(i + 1) * cell`;
    /// beyond the `size` source pixels the edge pixel is repeated. All indices lie inside the
    /// source; where it has fewer pixels than taps, the weights beyond it are 0.
    ///
    /// With `cell` below 1 the frame is enlarged by repeating pixels.
    pub(crate) fn average(&mut self, count: usize, cell: f32, size: usize) {
        // A cell of whole pixels, or of half a pixel, never straddles one more.
        let straddles = cell.fract() != 0.0 && cell != 0.5;
        self.clear(count, cell.ceil() as usize + usize::from(straddles));
        for i in 0..count {
            self.first.push((i as f32 * cell).floor() as i32);
            self.add(i, i as f32 * cell, cell, 1.0);
        }
        self.keep_inside(size);
        self.normalise();
    }

    /// Weights per output pixel.
    pub(crate) const fn taps(&self) -> usize {
        self.taps
    }

    /// For each output pixel: the index of its first source pixel and the weights from there on.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (i32, &[f32])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.taps.max(1)))
    }

    /// The same for output pixel `i`, which must exist.
    pub(crate) fn at(&self, i: usize) -> (i32, &[f32]) {
        (self.first[i], &self.weights[i * self.taps..][..self.taps])
    }

    /// The source pixels that any output needs, end exclusive; empty without outputs.
    pub(crate) fn reach(&self) -> std::ops::Range<i32> {
        let lowest = self.first.iter().copied().min().unwrap_or(0);
        let highest = self.first.iter().copied().max().unwrap_or(0);
        lowest..if self.first.is_empty() { lowest } else { highest + self.taps as i32 }
    }

    fn clear(&mut self, count: usize, taps: usize) {
        self.taps = taps;
        self.first.clear();
        self.weights.clear();
        self.weights.resize(count * taps, 0.0);
    }

    /// Distributes `share` over the pixels that `from .. from + length` covers.
    fn add(&mut self, output: usize, from: f32, length: f32, share: f32) {
        let first = self.first[output];
        let weights = &mut self.weights[output * self.taps..][..self.taps];
        for (k, weight) in weights.iter_mut().enumerate() {
            let left = (first + k as i32) as f32;
            let covered = (left + 1.0).min(from + length) - left.max(from);
            *weight += share * covered.max(0.0);
        }
    }

    /// Adds the weight of pixels outside `0..size` to the pixel at that edge.
    fn keep_inside(&mut self, size: usize) {
        let last = size.max(1) as i32 - 1;
        let mut inside = vec![0.0; self.taps];
        let outputs = self.first.iter_mut().zip(self.weights.chunks_exact_mut(self.taps.max(1)));
        for (first, weights) in outputs {
            let moved_first = (*first).min(last + 1 - weights.len() as i32).max(0);
            inside.fill(0.0);
            for (index, weight) in (*first..).zip(weights.iter()) {
                inside[(index.clamp(0, last) - moved_first) as usize] += *weight;
            }
            weights.copy_from_slice(&inside);
            *first = moved_first;
        }
    }

    fn normalise(&mut self) {
        for weights in self.weights.chunks_exact_mut(self.taps.max(1)) {
            let sum: f32 = weights.iter().sum();
            if sum > 0.0 {
                weights.iter_mut().for_each(|w| *w /= sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(axis: &Axis, source: &[f32]) -> Vec<f32> {
        axis.iter()
            .map(|(first, weights)| {
                weights.iter().zip(&source[first as usize..]).map(|(w, s)| w * s).sum()
            })
            .collect()
    }

    #[test]
    fn doubling_repeats_pixels() {
        let mut axis = Axis::new();
        axis.average(4, 0.5, 2);
        assert_eq!(sample(&axis, &[0.0, 100.0]), [0.0, 0.0, 100.0, 100.0]);
    }

    #[test]
    fn interpolation_is_linear_between_pixel_centres() {
        let mut axis = Axis::new();
        axis.interpolate(2, 1.0, |i| 0.75 + 0.5 * i as f32);
        assert_eq!(sample(&axis, &[0.0, 100.0]), [25.0, 75.0]);
    }

    #[test]
    fn reducing_takes_means() {
        let mut axis = Axis::new();
        axis.average(2, 2.5, 5);
        assert_eq!(sample(&axis, &[0.0, 10.0, 20.0, 30.0, 40.0]), [8.0, 32.0]);
    }

    #[test]
    fn a_single_pixel_is_enough() {
        let mut axis = Axis::new();
        axis.average(3, 1.0 / 3.0, 1);
        assert_eq!(sample(&axis, &[7.0]), [7.0; 3]);
    }

    #[test]
    fn interpolating_cells_is_averaging_and_then_interpolating() {
        let source: Vec<f32> = (0..12).map(|i| (i * i) as f32).collect();
        let cells: Vec<f32> = source.chunks(2).map(|c| (c[0] + c[1]) / 2.0).collect();
        let (mut both, mut second) = (Axis::new(), Axis::new());
        both.interpolate(5, 2.0, |i| 2.5 + 1.7 * i as f32);
        second.interpolate(5, 1.0, |i| (2.5 + 1.7 * i as f32) / 2.0);
        for (a, b) in sample(&both, &source).iter().zip(sample(&second, &cells)) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn weights_are_shares_and_indices_stay_inside(
            count in 1usize..50, cell in 0.05f32..40.0, spare in 0.6f32..1.4,
        ) {
            let size = ((count as f32 * cell * spare) as usize).max(1);
            let mut axis = Axis::new();
            axis.average(count, cell, size);
            for (first, weights) in axis.iter() {
                prop_assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                prop_assert!(weights.iter().all(|w| *w >= 0.0));
                prop_assert!(first >= 0 && (first as usize) < size);
                let beyond = weights.iter().skip(size - first as usize);
                prop_assert!(beyond.copied().all(|w| w == 0.0));
            }
            prop_assert!(axis.reach().end as usize <= size.max(axis.taps()));
        }
    }
}
