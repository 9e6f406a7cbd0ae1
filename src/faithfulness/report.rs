//! The report over all windows.
//!
//! For each map it has means over windows, the gap between insertion and deletion with its 90 %
//! bootstrap interval, and how often a mode's gap is higher than the gaps of the permuted mode and
//! of the mouth box. All windows have the same weight.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::eval::bootstrap::{Interval, mean_interval};
use crate::stages::explain::faithfulness::{AREAS, Faithfulness, Substrate};

use super::maps::MapKind;
use super::measure::WindowResult;

/// Number of bootstrap draws.
const BOOTSTRAP_DRAWS: usize = 2_000;
/// The index in [`AREAS`] for [`MapReport::removed_by_20`].
const AREA_20_PERCENT: usize = 1;

/// Minimum drop of z when everything is masked; below it a map has little to point at.
const MIN_SCORE_DROP: f64 = 1.0;

/// A mean over windows.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its 90 % bootstrap interval.
    pub interval_90: Interval,
}

impl Mean {
    fn of(values: &[f64], seed: u64) -> Option<Self> {
        let interval_90 = mean_interval(values, BOOTSTRAP_DRAWS, seed)?;
        Some(Self { mean: values.iter().sum::<f64>() / values.len() as f64, interval_90 })
    }
}

/// How often one map's gap is higher than another's in the same window.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Comparison {
    /// Number of windows in which it is higher.
    pub above: usize,
    /// Number of windows in which both maps could be measured.
    pub of: usize,
    /// Two-sided sign test: the probability of such an uneven split if both were equally good.
    pub p: f64,
}

impl Comparison {
    fn of(differences: &[f64]) -> Option<Self> {
        let above = differences.iter().filter(|d| **d > 0.0).count();
        let below = differences.iter().filter(|d| **d < 0.0).count();
        let p = sign_test(above, below);
        (!differences.is_empty()).then_some(Self { above, of: differences.len(), p })
    }
}

/// The results of one map.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct MapReport {
    /// Its name.
    pub map: &'static str,
    /// Whether it is a control.
    pub control: bool,
    /// Number of windows in which it could be measured.
    pub windows: usize,
    /// Number of windows in which it was 0 everywhere.
    pub empty: usize,
    /// Mean z with the map's top 10, 20 and 40 % of the crop deleted.
    pub deletion: Option<[f64; 3]>,
    /// Mean z with only these parts inserted.
    pub insertion: Option<[f64; 3]>,
    /// Mean insertion minus mean deletion; higher is more faithful.
    pub gap: Option<Mean>,
    /// The drop of z from deleting the top 20 %, as a share of the drop from masking everything;
    /// `None` if that drop is small ([`Report::survives_masking`]).
    pub removed_by_20: Option<f64>,
    /// For a mode: compared with the permuted mode.
    pub above_permuted: Option<Comparison>,
    /// For a mode: compared with the mouth box.
    pub above_mouth_box: Option<Comparison>,
    /// For a mode: the median over windows of the 99th percentile of the raw cells; a manifest's
    /// `explain.typical`.
    pub typical: Option<f64>,
}

/// The results of one recording.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct ClipReport {
    /// The recording.
    pub clip: PathBuf,
    /// Number of face tracks.
    pub tracks: usize,
    /// Number of windows measured, one per track.
    pub windows: usize,
    /// Tracks with clear speech beyond the maximum number of windows.
    pub skipped: usize,
    /// Tracks in which the package predicts speaking in no whole window.
    pub silent: usize,
    /// Tracks without a window with a score at every tick: too short, or without audio.
    pub too_short: usize,
    /// A note for the user.
    pub note: Option<String>,
}

/// One window.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WindowReport {
    /// The recording.
    pub clip: PathBuf,
    /// The track's number.
    pub track: u32,
    /// The window's start in the recording, in seconds.
    pub start_seconds: f64,
    /// The package's mean score in it, 0..=1, as in a run but before cross-face rescoring.
    pub mean_p: f32,
    /// Mean z of the window alone.
    pub z_full: f32,
    /// Mean z with all of the frame masked.
    pub z_masked: f32,
    /// Spearman's correlation of gate × activation with the effect of removing the channel.
    pub correlation: Option<f64>,
    /// The gap of every map that is not empty, by name.
    pub gaps: BTreeMap<&'static str, f32>,
}

/// The conditions of a measurement.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Conditions {
    /// The speaker package.
    pub package: String,
    /// The face detector.
    pub detector: String,
    /// The provider that ran inference.
    pub provider: String,
    /// Length of a window in seconds.
    pub window_seconds: f64,
    /// The replacement for masked parts.
    pub substrate: Substrate,
    /// The shares of the crop's area that are deleted or inserted.
    pub areas: [f32; 3],
    /// The random seed.
    pub seed: u64,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The conditions.
    #[serde(flatten)]
    pub conditions: Conditions,
    /// Every recording.
    pub clips: Vec<ClipReport>,
    /// Mean z with the whole frame.
    pub z_full: Option<Mean>,
    /// Mean z with all of it masked.
    pub z_masked: Option<Mean>,
    /// Mean correlation of gate × activation with the effect of removing the channel.
    pub correlation: Option<Mean>,
    /// Every map.
    pub maps: Vec<MapReport>,
    /// Every window.
    pub windows: Vec<WindowReport>,
}

impl Report {
    /// Whether the score hardly drops with all of the frame masked: the substrate still has the
    /// evidence, and maps cannot be distinguished.
    pub(crate) fn survives_masking(&self) -> bool {
        let fall = self.z_full.zip(self.z_masked).map(|(full, masked)| full.mean - masked.mean);
        fall.is_some_and(|fall| fall <= MIN_SCORE_DROP)
    }
}

/// The report on measured windows, in order.
pub(crate) fn report(
    conditions: Conditions,
    clips: Vec<ClipReport>,
    measured: &[(WindowReport, WindowResult)],
    kinds: &[MapKind],
) -> Report {
    let seed = conditions.seed;
    let mean = |of: fn(&WindowResult) -> Option<f64>| {
        Mean::of(&measured.iter().filter_map(|(_, f)| of(f)).collect::<Vec<_>>(), seed)
    };
    Report {
        clips,
        z_full: mean(|f| Some(f64::from(f.z_full))),
        z_masked: mean(|f| Some(f64::from(f.z_masked))),
        correlation: mean(|f| f.correlation),
        maps: kinds.iter().map(|kind| map_report(*kind, measured, seed)).collect(),
        windows: measured.iter().map(|(window, _)| window.clone()).collect(),
        conditions,
    }
}

/// The gaps of every map that is not empty, by name.
pub(crate) fn gaps(result: &WindowResult) -> BTreeMap<&'static str, f32> {
    let gaps = result.maps.iter().filter_map(|(kind, f)| Some((kind.name(), f.as_ref()?.gap())));
    gaps.collect()
}

fn faithfulness_of(result: &WindowResult, kind: MapKind) -> Option<&Faithfulness> {
    result.maps.iter().find(|(other, _)| *other == kind)?.1.as_ref()
}

fn map_report(kind: MapKind, measured: &[(WindowReport, WindowResult)], seed: u64) -> MapReport {
    let here: Vec<(&WindowResult, &Faithfulness)> =
        measured.iter().filter_map(|(_, f)| Some((f, faithfulness_of(f, kind)?))).collect();
    let gaps: Vec<f64> = here.iter().map(|(_, f)| f64::from(f.gap())).collect();
    let compared = |other: MapKind| {
        let differences = here.iter().filter_map(|(result, mine)| {
            Some(f64::from(mine.gap()) - f64::from(faithfulness_of(result, other)?.gap()))
        });
        Comparison::of(&differences.collect::<Vec<_>>())
    };
    let (mode, against) = match kind {
        MapKind::Mode(mode) => (Some(mode), true),
        _ => (None, false),
    };
    MapReport {
        map: kind.name(),
        control: kind.is_control(),
        windows: here.len(),
        empty: measured.len() - here.len(),
        deletion: by_area(here.iter().map(|(_, f)| f.deletion)),
        insertion: by_area(here.iter().map(|(_, f)| f.insertion)),
        gap: Mean::of(&gaps, seed),
        removed_by_20: removed(&here),
        above_permuted: mode.and_then(|mode| compared(MapKind::Permuted(mode))),
        above_mouth_box: against.then(|| compared(MapKind::MouthBox)).flatten(),
        typical: mode.and_then(|mode| {
            let of = |f: &WindowResult| f.strength.iter().find(|(m, _)| *m == mode).map(|s| s.1);
            median(here.iter().filter_map(|(f, _)| of(f)).map(f64::from).collect())
        }),
    }
}

fn by_area(values: impl ExactSizeIterator<Item = [f32; AREAS.len()]>) -> Option<[f64; 3]> {
    let count = values.len() as f64;
    let mut sums = [0.0; AREAS.len()];
    for value in values {
        sums.iter_mut().zip(value).for_each(|(sum, v)| *sum += f64::from(v));
    }
    (count > 0.0).then(|| sums.map(|sum| sum / count))
}

/// The drop from deleting the top fifth, as a share of the drop from masking the whole frame;
/// `None` if that drop is small.
fn removed(here: &[(&WindowResult, &Faithfulness)]) -> Option<f64> {
    let sum = |of: &dyn Fn(&WindowResult, &Faithfulness) -> f32| -> f64 {
        here.iter().map(|(w, f)| f64::from(of(w, f))).sum()
    };
    let all = sum(&|w, _| w.z_full - w.z_masked);
    (all > MIN_SCORE_DROP * here.len() as f64)
        .then(|| sum(&|w, f| w.z_full - f.deletion[AREA_20_PERCENT]) / all)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2] + values[last.div_ceil(2)]) / 2.0)
}

/// The two-sided probability of such an uneven split if both were equally likely.
fn sign_test(wins: usize, losses: usize) -> f64 {
    let (n, fewer) = (wins + losses, wins.min(losses));
    // (n choose k) / 2ⁿ for each k; in logarithms, as 2ⁿ overflows.
    let mut log = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=fewer {
        sum += log.exp();
        log += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::explain::Mode;

    fn result(gaps: [f32; 3]) -> WindowResult {
        let [mode, permuted, mouth] = gaps;
        let one = |gap: f32| {
            (!gap.is_nan()).then_some(Faithfulness { deletion: [-gap; 3], insertion: [0.0; 3] })
        };
        WindowResult {
            z_full: 4.0,
            z_masked: -4.0,
            maps: vec![
                (MapKind::Mode(Mode::Ablation), one(mode)),
                (MapKind::Permuted(Mode::Ablation), one(permuted)),
                (MapKind::MouthBox, one(mouth)),
            ],
            strength: vec![(Mode::Ablation, mode)],
            correlation: None,
        }
    }

    fn window() -> WindowReport {
        WindowReport {
            clip: "a.mp4".into(),
            track: 1,
            start_seconds: 0.0,
            mean_p: 0.9,
            z_full: 4.0,
            z_masked: -4.0,
            correlation: None,
            gaps: BTreeMap::new(),
        }
    }

    fn conditions() -> Conditions {
        Conditions {
            package: "p".into(),
            detector: "d".into(),
            provider: "cpu".into(),
            window_seconds: 2.0,
            substrate: Substrate::Blur,
            areas: AREAS,
            seed: 0,
        }
    }

    #[test]
    fn means_comparisons_and_empty_maps() {
        let kinds = MapKind::all(&[Mode::Ablation]);
        let measured = [[3.0, 1.0, 2.0], [1.0, 2.0, 2.0], [f32::NAN, 1.0, 2.0]];
        let measured = measured.map(|gaps| (window(), result(gaps)));
        let report = report(conditions(), Vec::new(), &measured, &kinds);
        let mode = &report.maps[0];
        assert_eq!((mode.map, mode.windows, mode.empty), ("ablation", 2, 1));
        assert_eq!((mode.deletion, mode.insertion), (Some([-2.0; 3]), Some([0.0; 3])));
        let gap = mode.gap.expect("two windows");
        assert_eq!((gap.mean, gap.interval_90), (2.0, [1.0, 3.0]));
        // The full drop is from 4 to −4; deletion goes to −2.
        assert_eq!(mode.removed_by_20, Some(0.75));
        let above = mode.above_permuted.expect("both measured twice");
        assert_eq!((above.above, above.of, above.p), (1, 2, 1.0));
        assert_eq!(mode.typical, Some(2.0));
        let permuted = &report.maps[1];
        assert_eq!(
            (permuted.control, permuted.above_permuted, permuted.typical),
            (true, None, None)
        );
        assert_eq!(report.correlation, None);
        assert_eq!(report.z_full.map(|m| m.mean), Some(4.0));
        assert!(!report.survives_masking());
    }

    #[test]
    fn a_score_that_survives_masking_is_reported() {
        let mut result = result([0.1; 3]);
        result.z_masked = 3.5;
        let report = report(
            conditions(),
            Vec::new(),
            &[(window(), result)],
            &MapKind::all(&[Mode::Ablation]),
        );
        assert!(report.survives_masking());
        assert_eq!(report.maps[0].removed_by_20, None);
    }

    #[test]
    fn no_windows_give_no_figures() {
        let report = report(conditions(), Vec::new(), &[], &MapKind::all(&[Mode::Paper]));
        assert!(report.maps.iter().all(|m| m.gap.is_none() && m.deletion.is_none()));
        assert_eq!(report.z_full, None);
    }

    #[test]
    fn the_sign_test_is_the_binomial_one() {
        assert!((sign_test(5, 0) - 0.0625).abs() < 1e-12);
        assert_eq!(sign_test(0, 0), 1.0);
        assert_eq!(sign_test(3, 3), 1.0);
        // 2 Σ_{k ≤ 7} (32 choose k) / 2³² = 0.0021.
        assert!((sign_test(25, 7) - 0.002_1).abs() < 1e-4);
        assert!(sign_test(5_000, 4_000) < 1e-20);
    }

    #[test]
    fn a_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
