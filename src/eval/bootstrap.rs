//! The percentile bootstrap: confidence intervals of means and metrics.
//!
//! Input: a number of independent units (videos, windows). Output: draws of as many units with
//! replacement, the same for the same seed, and the 90 % interval over the draws' results.

use crate::core::rng::SeededRng;

/// The lower and upper bound of a 90 % interval.
pub(crate) type Interval = [f64; 2];

/// `count` draws over `units` units: how often each unit was drawn; a draw adds up to `units`.
pub(crate) fn draws(units: usize, count: usize, seed: u64) -> impl Iterator<Item = Vec<u64>> {
    let mut seeded = SeededRng::new(seed);
    (0..count).map(move |_| {
        let mut times = vec![0; units];
        for _ in 0..units {
            times[seeded.next_below(units)] += 1;
        }
        times
    })
}

/// The 5th and the 95th percentile of `values`, interpolated linearly; `None` without values.
pub(crate) fn interval_90(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let percentile = |share: f64| {
        let at = share * last as f64;
        let (low, part) = (at.floor() as usize, at.fract());
        let high = values[(low + 1).min(last)];
        values[low] + (high - values[low]) * part
    };
    Some([percentile(0.05), percentile(0.95)])
}

/// The 90 % interval of the mean of `values`; `None` without values.
pub(crate) fn mean_interval(values: &[f64], count: usize, seed: u64) -> Option<Interval> {
    let mean = |times: Vec<u64>| {
        let sum: f64 = times.iter().zip(values).map(|(n, v)| *n as f64 * v).sum();
        sum / values.len() as f64
    };
    let means = if values.is_empty() { 0 } else { count };
    interval_90(draws(values.len(), means, seed).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_interpolated_between_values() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(interval_90(values), Some([5.0, 95.0]));
        assert_eq!(interval_90(vec![1.0, 2.0]), Some([1.05, 1.95]));
        assert_eq!(interval_90(vec![3.0]), Some([3.0, 3.0]));
        assert_eq!(interval_90(Vec::new()), None);
    }

    #[test]
    fn a_draw_has_as_many_units_as_given_and_repeats_for_its_seed() {
        let drawn: Vec<_> = draws(7, 20, 3).collect();
        assert!(drawn.iter().all(|times| times.iter().sum::<u64>() == 7));
        assert_eq!(drawn, draws(7, 20, 3).collect::<Vec<_>>());
        assert_ne!(drawn, draws(7, 20, 4).collect::<Vec<_>>());
    }

    #[test]
    fn a_mean_s_interval_is_as_wide_as_the_standard_error_says() {
        // 400 values of standard deviation 1: the mean's is 0.05, and 90 % lie within ±1.645 of it.
        let values: Vec<f64> = (0..400).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let [low, high] = mean_interval(&values, 4_000, 1).expect("there are values");
        assert!((low + 0.082).abs() < 0.008 && (high - 0.082).abs() < 0.008, "{low} {high}");
        assert_eq!(mean_interval(&[], 10, 1), None);
    }
}
