//! Raw maps against a plain implementation of the rules.

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

    /// The rules as plain loops over indices, cell by cell, in `f32` values as in the paper's
    /// script.
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
    fn no_tensor_gives_negative_or_non_finite_cells(case in any_case()) {
        for mode in Mode::ALL {
            let map = case.map(mode);
            prop_assert!(map.iter().all(|v| v.is_finite() && *v >= 0.0), "{mode}: {map:?}");
        }
        prop_assert!(case.against().iter().all(|v| v.is_finite() && *v >= 0.0));
    }

    #[test]
    fn against_is_ablation_with_negated_effects(case in case(0.0..5.0)) {
        let against = case.against();
        let negated = Case { effects: case.effects.iter().map(|e| -e).collect(), ..case };
        prop_assert_eq!(negated.map(Mode::Ablation), against);
    }
}

#[test]
fn paper_keeps_the_high_gate_and_gate_activation_the_active_channel() {
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
fn permuted_weights_select_the_other_channel() {
    // Every mode selects channel 3; the permutation gives its weights to channel 0.
    let (mut gate, mut effects) = (vec![0.4; 10], vec![0.0; 10]);
    (gate[3], effects[3]) = (0.9, 2.0);
    let mut values = vec![0.5; 10];
    (values[0], values[3]) = (0.25, 8.0);
    let features = FeatureMap::new(&values, 10, 1, 1).expect("a map");
    let mut order: Vec<usize> = (0..10).collect();
    order.swap(0, 3);
    let map = |mode| {
        let mut out = [0.0];
        raw_map_permuted(mode, &features, (&gate, &effects), &order, &mut out).expect("fits");
        out[0]
    };
    // Paper: the gate itself moves; gate-activation: the choice does, and each channel keeps its
    // gate.
    assert!((map(Mode::Paper) - 0.9 * 0.25).abs() < 1e-6);
    assert!((map(Mode::GateActivation) - 0.4 * 0.25).abs() < 1e-6);
    assert!((map(Mode::Ablation) - 2.0).abs() < 1e-6);
    let mut out = [0.0];
    order[1] = 10;
    let error = raw_map_permuted(Mode::Paper, &features, (&gate, &effects), &order, &mut out);
    assert!(error.is_err());
}

#[test]
fn equal_gates_select_no_channel() {
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
fn wrong_sizes_are_errors_that_name_the_argument() {
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
