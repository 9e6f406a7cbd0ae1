//! The running scale that maps a track's raw maps to 0..=1.
//!
//! Takes a track's raw maps, each with its duration; keeps the 99th percentile of their cells over
//! the last seconds and divides by it. The same maps give the same scale. A single frame hardly
//! changes it (per-frame min–max would invent structure where there is none). It starts at the
//! typical value of the model and mode and never falls below a stated share of it, so that a face
//! without evidence stays dark however long it is silent. Two tracks are not comparable above that
//! floor.
//!
//! A histogram holds the cells on a logarithmic axis (16 bins per octave, read off the float's
//! bits, so that rounding is equal on all machines). Old weight decays so that its mean age is half
//! the window, as for a plain window. A prior of one second looks like the typical frame: it
//! settles the first frames and loses weight as data comes. The result is slewed.

use std::sync::Arc;

use crate::core::evidence::{Cells, Heatmap};
use crate::core::time::Span;
use crate::models::explain::ScaleRule;

/// Bits of a float dropped to get its bin; 8 bits of exponent and 4 of mantissa remain.
const BIN_SHIFT: u32 = 23 - 4;
/// Bins from 2⁻³² to 2³²; values beyond count in the outermost bins.
const LOWEST: u32 = (127 - 32) << 4;
const BINS: usize = 64 << 4;
/// Weight of the prior, the typical frame, in seconds.
const PRIOR_SECONDS: f64 = 1.0;
/// Time constants of the slew: fast up, so that a new speaker does not saturate; slow down.
const RISE_SECONDS: f64 = 0.25;
const FALL_SECONDS: f64 = 2.0;

/// One track's scale.
#[derive(Clone)]
pub struct RunningScale {
    rule: ScaleRule,
    /// Seconds of cell weight per bin, in units of `unit`: decay changes the unit, not the bins.
    bins: Box<[f64; BINS]>,
    total: f64,
    unit: f64,
    scale: f64,
}

impl RunningScale {
    /// Creates a new track's scale: the typical one.
    pub fn new(rule: ScaleRule) -> Self {
        let bins = Box::new([0.0; BINS]);
        Self { rule, bins, total: 0.0, unit: 1.0, scale: f64::from(rule.typical) }
    }

    /// The value (raw units) that is drawn as 1.
    pub const fn get(&self) -> f32 {
        self.scale as f32
    }

    /// Adds the next frame's raw `map` with its duration `span`; returns the scale to draw it at. A
    /// negative or non-finite cell counts as 0. A span that is not positive changes nothing; a span
    /// longer than the window counts as the window.
    pub fn update(&mut self, map: &[f32], span: Span) -> f32 {
        let seconds = span.seconds().min(self.rule.window_seconds);
        if seconds <= 0.0 || map.is_empty() {
            return self.get();
        }
        // The mean age of exponential weights is their time constant; of a window, half of it.
        self.unit *= (-seconds / (self.rule.window_seconds / 2.0)).exp();
        if self.unit < 1e-9 {
            self.fold_unit();
        }
        let weight = seconds / map.len() as f64 / self.unit;
        for v in map {
            self.bins[bin_of(*v)] += weight;
        }
        self.total += seconds / self.unit;
        let target = self.quantile().max(f64::from(self.rule.floor));
        let time_constant = if target > self.scale { RISE_SECONDS } else { FALL_SECONDS };
        // In octaves, so that rising tenfold and falling tenfold are symmetric.
        let step = 1.0 - (-seconds / time_constant).exp();
        self.scale *= (target / self.scale).powf(step);
        self.get()
    }

    /// `map` (row by row, `width` × `height`) as a share of the current scale; `None` where the
    /// sizes do not fit.
    pub fn heatmap(&self, mut map: Cells, width: usize, height: usize) -> Option<Arc<Heatmap>> {
        let scale = self.get();
        map.iter_mut().for_each(|v| *v /= scale);
        Heatmap::new(width, height, map).map(Arc::new)
    }

    /// The quantile of the histogram and the prior, raw units.
    fn quantile(&self) -> f64 {
        let prior = PRIOR_SECONDS / self.unit;
        let mut above = (self.total + prior) * (1.0 - self.rule.quantile);
        let typical = bin_of(self.rule.typical);
        for bin in (0..BINS).rev() {
            // The prior: all dark except for the share that makes `typical` its quantile.
            let prior_weight =
                if bin == typical { prior * (1.0 - self.rule.quantile) } else { 0.0 };
            let here = self.bins[bin] + prior_weight;
            if here >= above && here > 0.0 {
                let (low, high) = (edge(bin), edge(bin + 1));
                return high - (high - low) * (above / here);
            }
            above -= here;
        }
        0.0
    }

    fn fold_unit(&mut self) {
        self.bins.iter_mut().for_each(|bin| *bin *= self.unit);
        self.total *= self.unit;
        self.unit = 1.0;
    }
}

impl std::fmt::Debug for RunningScale {
    // The thousand bins are left out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunningScale({} of {:?})", self.scale, self.rule)
    }
}

fn bin_of(v: f32) -> usize {
    if !v.is_finite() || v <= 0.0 {
        return 0;
    }
    let bin = (v.to_bits() >> BIN_SHIFT).saturating_sub(LOWEST);
    (bin as usize).min(BINS - 1)
}

/// The lower edge of a bin, raw units.
fn edge(bin: usize) -> f64 {
    f64::from(f32::from_bits((bin as u32 + LOWEST) << BIN_SHIFT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Span = Span::from_ms(40);

    /// Maps of 196 cells, values spread evenly up to `peak`, in an order that depends on `seed`.
    fn frame(peak: f32, seed: usize) -> Vec<f32> {
        (0..196).map(|i| peak * ((i * 37 + seed * 11) % 196) as f32 / 195.0).collect()
    }

    fn after(scale: &mut RunningScale, frames: usize, peak: f32) -> f32 {
        (0..frames).for_each(|i| _ = scale.update(&frame(peak, i), TICK));
        scale.get()
    }

    #[test]
    fn it_converges_to_the_tracks_percentile_from_any_typical_value() {
        for typical in [0.5, 1.0, 2.0] {
            let mut scale = RunningScale::new(ScaleRule::new(typical).expect("positive"));
            let found = after(&mut scale, 500, 1.5);
            assert!((found / (1.5 * 0.99) - 1.0).abs() < 0.03, "typical {typical}: {found}");
        }
    }

    #[test]
    fn it_equals_the_sorted_percentile_of_the_weighted_cells() {
        let mut scale = RunningScale::new(ScaleRule::new(1.0).expect("positive"));
        let mut cells: Vec<(f32, f64)> = vec![(1.0, 0.01), (0.0, 0.99)];
        for i in 0..400 {
            let map = frame(if i < 200 { 3.0 } else { 1.2 }, i);
            scale.update(&map, TICK);
            let age = (399 - i) as f64 * 0.04;
            let weight = 0.04 / 196.0 * (-age / 5.0).exp();
            cells.extend(map.iter().map(|v| (*v, weight)));
        }
        cells.sort_by(|a, b| b.0.total_cmp(&a.0));
        let total: f64 = cells.iter().map(|c| c.1).sum();
        let mut left = total * 0.01;
        let sorted = cells.iter().find(|c| {
            left -= c.1;
            left <= 0.0
        });
        let (found, sorted) = (scale.quantile(), f64::from(sorted.expect("some cell").0));
        assert!((found / sorted - 1.0).abs() < 0.05, "{found} != {sorted}");
    }

    #[test]
    fn weak_evidence_stays_dark() {
        let mut scale = RunningScale::new(ScaleRule::new(1.0).expect("positive"));
        after(&mut scale, 25 * 600, 0.05);
        let map = scale.heatmap(frame(0.05, 0).into(), 14, 14).expect("14x14");
        assert!(map.values().iter().all(|v| *v <= 0.1001), "{map:?}");
    }

    #[test]
    fn it_starts_at_the_typical_value_and_one_frame_changes_it_little() {
        let mut scale = RunningScale::new(ScaleRule::new(1.0).expect("positive"));
        assert_eq!(scale.get(), 1.0);
        let first = scale.update(&frame(30.0, 0), TICK);
        assert!((1.0..2.0).contains(&first), "{first}");
        let mut last = after(&mut scale, 250, 2.0);
        for i in 0..100 {
            let next = scale.update(&frame(if i < 5 { 40.0 } else { 0.0 }, i), TICK);
            assert!((0.97..1.7).contains(&(next / last)), "frame {i}: {last} -> {next}");
            last = next;
        }
    }

    #[test]
    fn a_rule_needs_a_positive_number() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 2.0] {
            assert!(ScaleRule::new(bad).is_none());
        }
        assert!(ScaleRule::new(1.0).is_some());
    }

    proptest! {
        #[test]
        fn it_is_always_a_positive_number_above_its_floor(
            maps in prop::collection::vec(prop::collection::vec(prop::num::f32::ANY, 1..9), 1..60),
            ms in -50i64..100_000,
        ) {
            let mut scale = RunningScale::new(ScaleRule::new(0.1).expect("positive"));
            let mut again = scale.clone();
            for map in maps {
                let now = scale.update(&map, Span::from_ms(ms));
                prop_assert!(now.is_finite() && now >= 0.0499, "{now}");
                prop_assert_eq!(now.to_bits(), again.update(&map, Span::from_ms(ms)).to_bits());
            }
        }
    }
}
