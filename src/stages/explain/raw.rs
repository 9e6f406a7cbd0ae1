//! The rules that weigh channels and add them up.
//!
//! Takes a feature map, a gate and effects; writes a raw map. The sums run in `f64`, so that no
//! finite tensor overflows on the way and the result does not hang on the order of channels. A
//! channel is *kept* by the z-rule of the paper's released code: its weight lies above
//! mean + 1.282 standard deviations (population) of all weights: about the top tenth of a normal
//! distribution. How many that are varies; where all weights are equal none is kept and the map is
//! 0, which is the truth: an SE block that treats all channels alike has singled out none.

use smallvec::SmallVec;

use super::{ExplainError, FeatureMap, Mode};

/// A value for each channel, or each cell, of a map: those of usual networks need no memory of their
/// own, as maps are made for every face of every picture.
type Values<T> = SmallVec<[T; 256]>;

/// z of the 90th percentile of a normal distribution, as the paper's code has it.
const Z_90: f64 = 1.282;

/// Writes the evidence map of `mode` to `out` (h × w, row by row, raw units, each ≥ 0 and finite).
///
/// `gate` is the SE vector (C values); all ones for a model without a gate. `effects` is read in
/// [`Mode::Ablation`] only: per channel the logit difference z = z1 − z0 with the channel minus z
/// without it, so that positive speaks for *speaking*.
///
/// - `Paper`: mean of s·F over the channels kept by s.
/// - `GateActivation`: mean of s·F over the channels kept by s·max(F).
/// - `Ablation`: Σ max(0, e)·max(0, F) / max(F): every channel lays the logits it moves on the cells
///   it was seen in; a cell where all channels peak holds the sum of all positive effects.
///
/// # Errors
/// Where sizes do not agree, or ablation is asked for without effects.
pub fn raw_map(
    mode: Mode,
    features: &FeatureMap<'_>,
    gate: &[f32],
    effects: Option<&[f32]>,
    out: &mut [f32],
) -> Result<(), ExplainError> {
    check("map to write", out.len(), features.cells())?;
    let cells = match mode {
        Mode::None => zeros(features.cells()),
        Mode::Paper => {
            check("gate", gate.len(), features.channels())?;
            let gate = finite_or_zero(gate);
            gated_mean(features, &gate, &above_z(&gate))
        }
        Mode::GateActivation => {
            check("gate", gate.len(), features.channels())?;
            let gate = finite_or_zero(gate);
            gated_mean(features, &gate, &above_z(&activity(features, &gate)))
        }
        Mode::Ablation => effect_sum(features, effects.ok_or(ExplainError::NoEffects)?, 1.0)?,
    };
    write(&cells, out);
    Ok(())
}

/// Control: writes what [`raw_map`] would, had what the mode goes by (gates, the choice of channels,
/// effects) been dealt out to other channels: channel c gets that of channel `order[c]`. A map that
/// is no truer than this one owes nothing to what it goes by.
///
/// # Errors
/// As [`raw_map`], or where `order` is no order of the channels.
pub fn raw_map_by_lot(
    mode: Mode,
    features: &FeatureMap<'_>,
    (gate, effects): (&[f32], &[f32]),
    order: &[usize],
    out: &mut [f32],
) -> Result<(), ExplainError> {
    check("map to write", out.len(), features.cells())?;
    check("order of channels", order.len(), features.channels())?;
    let beyond = order.iter().find(|c| **c >= features.channels());
    check("order of channels", beyond.map_or(order.len(), |c| c + 1), features.channels())?;
    let dealt = |values: &[f32]| order.iter().map(|c| values[*c]).collect::<Vec<f32>>();
    match mode {
        Mode::None => raw_map(mode, features, gate, None, out),
        Mode::Paper => {
            check("gate", gate.len(), features.channels())?;
            raw_map(mode, features, &dealt(gate), None, out)
        }
        Mode::GateActivation => {
            check("gate", gate.len(), features.channels())?;
            let gate = finite_or_zero(gate);
            let kept = above_z(&activity(features, &gate));
            let kept: Values<bool> = order.iter().map(|c| kept[*c]).collect();
            write(&gated_mean(features, &gate, &kept), out);
            Ok(())
        }
        Mode::Ablation => {
            check("list of effects", effects.len(), features.channels())?;
            raw_map(mode, features, gate, Some(&dealt(effects)), out)
        }
    }
}

/// Per channel gate × the largest activation: what [`Mode::GateActivation`] goes by.
pub fn gate_activity(features: &FeatureMap<'_>, gate: &[f32]) -> Vec<f64> {
    activity(features, &finite_or_zero(gate)).into_vec()
}

fn activity(features: &FeatureMap<'_>, gate: &[f64]) -> Values<f64> {
    gate.iter().zip(features.pooled()).map(|(s, v)| s * f64::from(v)).collect()
}

/// Writes the evidence *against* speaking to `out`: as [`Mode::Ablation`], but of the channels
/// whose removal raises the score.
///
/// # Errors
/// Where sizes do not agree.
pub fn raw_against(
    features: &FeatureMap<'_>,
    effects: &[f32],
    out: &mut [f32],
) -> Result<(), ExplainError> {
    check("map to write", out.len(), features.cells())?;
    write(&effect_sum(features, effects, -1.0)?, out);
    Ok(())
}

fn check(what: &'static str, found: usize, expected: usize) -> Result<(), ExplainError> {
    if found == expected { Ok(()) } else { Err(ExplainError::Size { what, found, expected }) }
}

/// A value that is no finite number must not paint evidence, so it counts as 0.
fn finite(v: f32) -> f64 {
    if v.is_finite() { f64::from(v) } else { 0.0 }
}

fn finite_or_zero(values: &[f32]) -> Values<f64> {
    values.iter().copied().map(finite).collect()
}

/// Which weights lie above mean + 1.282 standard deviations (population).
fn above_z(weights: &[f64]) -> Values<bool> {
    let first = weights.first().copied().unwrap_or(0.0);
    // Without this, rounding in the mean could keep all of a set of equal weights.
    if weights.iter().all(|w| *w == first) {
        return Values::from_elem(false, weights.len());
    }
    let count = weights.len() as f64;
    let mean = weights.iter().sum::<f64>() / count;
    let variance = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / count;
    let threshold = mean + Z_90 * variance.sqrt();
    weights.iter().map(|w| *w > threshold).collect()
}

/// Mean over the kept channels of gate × channel; 0 where none is kept.
fn gated_mean(features: &FeatureMap<'_>, gate: &[f64], kept: &[bool]) -> Values<f64> {
    let mut sum = zeros(features.cells());
    let count = kept.iter().filter(|k| **k).count().max(1) as f64;
    for ((channel, s), _) in features.iter().zip(gate).zip(kept).filter(|(_, kept)| **kept) {
        for (cell, v) in sum.iter_mut().zip(channel) {
            *cell += s * finite(*v);
        }
    }
    sum.iter_mut().for_each(|cell| *cell /= count);
    sum
}

/// Σ over channels of max(0, sign·effect) × the channel at a peak of 1.
fn effect_sum(
    features: &FeatureMap<'_>,
    effects: &[f32],
    sign: f64,
) -> Result<Values<f64>, ExplainError> {
    check("list of effects", effects.len(), features.channels())?;
    let mut sum = zeros(features.cells());
    for ((channel, effect), peak) in features.iter().zip(effects).zip(features.pooled()) {
        let moved = sign * finite(*effect);
        if moved <= 0.0 || peak <= 0.0 {
            continue;
        }
        for (cell, v) in sum.iter_mut().zip(channel) {
            *cell += moved * (finite(*v).max(0.0) / f64::from(peak));
        }
    }
    Ok(sum)
}

fn zeros(cells: usize) -> Values<f64> {
    Values::from_elem(0.0, cells)
}

fn write(cells: &[f64], out: &mut [f32]) {
    for (to, from) in out.iter_mut().zip(cells) {
        *to = from.clamp(0.0, f64::from(f32::MAX)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Case {
        values: Vec<f32>,
        c: usize,
        h: usize,
        w: usize,
        gate: Vec<f32>,
        effects: Vec<f32>,
    }

    impl Case {
        fn map(&self, mode: Mode) -> Vec<f32> {
            let features = FeatureMap::new(&self.values, self.c, self.h, self.w).expect("a map");
            let mut out = vec![-1.0; self.h * self.w];
            raw_map(mode, &features, &self.gate, Some(&self.effects), &mut out).expect("sizes fit");
            out
        }

        fn against(&self) -> Vec<f32> {
            let features = FeatureMap::new(&self.values, self.c, self.h, self.w).expect("a map");
            let mut out = vec![-1.0; self.h * self.w];
            raw_against(&features, &self.effects, &mut out).expect("sizes fit");
            out
        }

        /// The rules once more, cell by cell with plain loops over indices, in `f32` values as the
        /// paper's script has them.
        fn slow(&self, mode: Mode) -> Vec<f32> {
            let cells = self.h * self.w;
            let at = |c: usize, i: usize| self.values[c * cells + i];
            let peak = |c: usize| (0..cells).map(|i| at(c, i)).fold(f32::NEG_INFINITY, f32::max);
            let weight = |c: usize| match mode {
                Mode::Paper => f64::from(self.gate[c]),
                _ => f64::from(self.gate[c]) * f64::from(peak(c)),
            };
            let mean = (0..self.c).map(weight).sum::<f64>() / self.c as f64;
            let square = (0..self.c).map(|c| weight(c) * weight(c)).sum::<f64>() / self.c as f64;
            let threshold = mean + 1.282 * (square - mean * mean).max(0.0).sqrt();
            (0..cells)
                .map(|i| {
                    let (mut sum, mut count) = (0.0f64, 0);
                    for c in 0..self.c {
                        if mode == Mode::Ablation {
                            if self.effects[c] > 0.0 && peak(c) > 0.0 {
                                sum += f64::from(self.effects[c] * at(c, i).max(0.0) / peak(c));
                                count = 1;
                            }
                        } else if weight(c) > threshold {
                            sum += f64::from(self.gate[c] * at(c, i));
                            count += 1;
                        }
                    }
                    if count == 0 { 0.0 } else { (sum / f64::from(count)).max(0.0) as f32 }
                })
                .collect()
        }
    }

    fn case(value: std::ops::Range<f32>) -> impl Strategy<Value = Case> {
        (2usize..24, 1usize..6, 1usize..6).prop_flat_map(move |(c, h, w)| {
            (
                prop::collection::vec(value.clone(), c * h * w),
                prop::collection::vec(0.0f32..1.0, c),
                prop::collection::vec(-2.0f32..2.0, c),
            )
                .prop_map(move |(values, gate, effects)| Case {
                    values,
                    c,
                    h,
                    w,
                    gate,
                    effects,
                })
        })
    }

    fn any_case() -> impl Strategy<Value = Case> {
        (1usize..5, 1usize..4, 1usize..4).prop_flat_map(|(c, h, w)| {
            let any = || prop::num::f32::ANY;
            (
                prop::collection::vec(any(), c * h * w),
                prop::collection::vec(any(), c),
                prop::collection::vec(any(), c),
            )
                .prop_map(move |(values, gate, effects)| Case {
                    values,
                    c,
                    h,
                    w,
                    gate,
                    effects,
                })
        })
    }

    fn close(fast: &[f32], slow: &[f32]) -> bool {
        fast.iter().zip(slow).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs()))
    }

    proptest! {
        #[test]
        fn every_mode_equals_plain_loops(case in case(0.0..5.0)) {
            for mode in [Mode::Paper, Mode::GateActivation, Mode::Ablation] {
                let (fast, slow) = (case.map(mode), case.slow(mode));
                prop_assert!(close(&fast, &slow), "{mode}: {fast:?} != {slow:?}");
            }
        }

        #[test]
        fn negative_features_do_not_change_the_rules(case in case(-5.0..5.0)) {
            for mode in [Mode::Paper, Mode::GateActivation, Mode::Ablation] {
                prop_assert!(close(&case.map(mode), &case.slow(mode)), "{mode}");
            }
        }

        #[test]
        fn no_tensor_paints_what_is_no_number(case in any_case()) {
            for mode in Mode::ALL {
                let map = case.map(mode);
                prop_assert!(map.iter().all(|v| v.is_finite() && *v >= 0.0), "{mode}: {map:?}");
            }
            prop_assert!(case.against().iter().all(|v| v.is_finite() && *v >= 0.0));
        }

        #[test]
        fn against_is_ablation_with_effects_turned_round(case in case(0.0..5.0)) {
            let against = case.against();
            let turned = Case { effects: case.effects.iter().map(|e| -e).collect(), ..case };
            prop_assert_eq!(turned.map(Mode::Ablation), against);
        }
    }

    #[test]
    fn the_paper_keeps_the_high_gate_and_the_repair_the_active_channel() {
        // Ten channels of one cell: channel 3 has the gate, channel 7 the activation.
        let mut values = vec![0.5; 10];
        let mut gate = vec![0.4; 10];
        (values[3], gate[3]) = (0.01, 0.9);
        (values[7], gate[7]) = (8.0, 0.5);
        let case = Case { values, c: 10, h: 1, w: 1, gate, effects: vec![0.0; 10] };
        assert!((case.map(Mode::Paper)[0] - 0.9 * 0.01).abs() < 1e-6);
        assert!((case.map(Mode::GateActivation)[0] - 0.5 * 8.0).abs() < 1e-6);
    }

    #[test]
    fn by_lot_the_other_channel_counts() {
        // Channel 3 is chosen by every mode; the lot gives its place to channel 0.
        let (mut gate, mut effects) = (vec![0.4; 10], vec![0.0; 10]);
        (gate[3], effects[3]) = (0.9, 2.0);
        let mut values = vec![0.5; 10];
        (values[0], values[3]) = (0.25, 8.0);
        let features = FeatureMap::new(&values, 10, 1, 1).expect("a map");
        let mut order: Vec<usize> = (0..10).collect();
        order.swap(0, 3);
        let map = |mode| {
            let mut out = [0.0];
            raw_map_by_lot(mode, &features, (&gate, &effects), &order, &mut out).expect("fits");
            out[0]
        };
        // Paper: the gate itself moves; gate-activation: the choice does, each keeps its gate.
        assert!((map(Mode::Paper) - 0.9 * 0.25).abs() < 1e-6);
        assert!((map(Mode::GateActivation) - 0.4 * 0.25).abs() < 1e-6);
        assert!((map(Mode::Ablation) - 2.0).abs() < 1e-6);
        let mut out = [0.0];
        order[1] = 10;
        let error = raw_map_by_lot(Mode::Paper, &features, (&gate, &effects), &order, &mut out);
        assert!(error.is_err());
    }

    #[test]
    fn equal_gates_single_out_nothing() {
        let case = Case {
            values: vec![1.0; 128],
            c: 128,
            h: 1,
            w: 1,
            gate: vec![0.3; 128],
            effects: vec![0.0; 128],
        };
        assert_eq!(case.map(Mode::Paper), [0.0]);
        assert_eq!(case.map(Mode::GateActivation), [0.0]);
    }

    #[test]
    fn ablation_counts_logits() {
        // Both channels peak in the first cell, the second cell has half of one of them.
        let case = Case {
            values: vec![4.0, 2.0, 10.0, 0.0, 1.0, 1.0],
            c: 3,
            h: 1,
            w: 2,
            gate: vec![1.0; 3],
            effects: vec![0.5, 2.0, -3.0],
        };
        assert_eq!(case.map(Mode::Ablation), [2.5, 0.25]);
        assert_eq!(case.against(), [3.0, 3.0]);
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors_that_name_the_argument() {
        let values = [1.0; 8];
        let features = FeatureMap::new(&values, 2, 2, 2).expect("a map");
        let mut out = [0.0; 4];
        let error = raw_map(Mode::Paper, &features, &[1.0], None, &mut out).expect_err("gate");
        assert!(error.to_string().contains("the gate holds 1 values"), "{error}");
        let error = raw_map(Mode::Ablation, &features, &[1.0; 2], None, &mut out);
        assert_eq!(error, Err(ExplainError::NoEffects));
        assert!(raw_map(Mode::None, &features, &[], None, &mut out[..3]).is_err());
        assert_eq!(raw_map(Mode::None, &features, &[], None, &mut out), Ok(()));
    }
}
