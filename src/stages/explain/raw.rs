//! The rules that select, weight and sum channels.
//!
//! Takes a feature map, a gate and effects; writes a raw map. Sums are in `f64`, so that no finite
//! tensor overflows and the result does not depend on the order of channels. A channel is *kept* by
//! the z-rule of the paper's released code: its weight is above mean + 1.282 standard deviations
//! (population) of all weights, about the top tenth of a normal distribution. The number of kept
//! channels varies. Where all weights are equal, none is kept and the map is 0: an SE block that
//! treats all channels alike selects none.

use smallvec::SmallVec;

use super::{ExplainError, FeatureMap, Mode};

/// A value per channel or per cell of a map. Stored inline for common networks, as maps are made
/// for every face of every frame.
type Values<T> = SmallVec<[T; 256]>;

/// z of the 90th percentile of a normal distribution, as in the paper's code.
const Z_90: f64 = 1.282;

/// Writes the evidence map of `mode` to `out` (h × w, row by row, raw units, each ≥ 0 and finite).
///
/// `gate` is the SE vector (C values); all ones for a model without a gate. `effects` is used in
/// [`Mode::Ablation`] only: per channel the logit difference z = z1 − z0 with the channel minus z
/// without it; positive means evidence for speaking.
///
/// - `Paper`: mean of s·F over the channels kept by s.
/// - `GateActivation`: mean of s·F over the channels kept by s·max(F).
/// - `Ablation`: Σ max(0, e)·max(0, F) / max(F): every channel distributes its effect in logits
///   over its active cells; a cell where all channels peak holds the sum of all positive effects.
///
/// # Errors
/// Where sizes do not agree, or effects are missing for ablation.
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

/// Control: the map of [`raw_map`] with the mode's weights (gates, the choice of channels, effects)
/// permuted: channel c gets those of channel `order[c]`. A map that is not more faithful than this
/// control gains nothing from its weights.
///
/// # Errors
/// As [`raw_map`], or where `order` does not fit the channels.
pub fn raw_map_permuted(
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
    let permuted = |values: &[f32]| order.iter().map(|c| values[*c]).collect::<Vec<f32>>();
    match mode {
        Mode::None => raw_map(mode, features, gate, None, out),
        Mode::Paper => {
            check("gate", gate.len(), features.channels())?;
            raw_map(mode, features, &permuted(gate), None, out)
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
            raw_map(mode, features, gate, Some(&permuted(effects)), out)
        }
    }
}

/// Per channel gate × the largest activation: the weights of [`Mode::GateActivation`].
pub fn gate_activity(features: &FeatureMap<'_>, gate: &[f32]) -> Vec<f64> {
    activity(features, &finite_or_zero(gate)).into_vec()
}

fn activity(features: &FeatureMap<'_>, gate: &[f64]) -> Values<f64> {
    gate.iter().zip(features.pooled()).map(|(s, v)| s * f64::from(v)).collect()
}

/// Writes the evidence *against* speaking to `out`: as [`Mode::Ablation`], but for the channels
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

/// Non-finite values count as 0, so that they show no evidence.
fn finite(v: f32) -> f64 {
    if v.is_finite() { f64::from(v) } else { 0.0 }
}

fn finite_or_zero(values: &[f32]) -> Values<f64> {
    values.iter().copied().map(finite).collect()
}

/// Which weights lie above mean + 1.282 standard deviations (population).
fn above_z(weights: &[f64]) -> Values<bool> {
    let first = weights.first().copied().unwrap_or(0.0);
    // Without this check, rounding in the mean could keep all of a set of equal weights.
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

/// Σ over channels of max(0, sign·effect) × the channel scaled to a peak of 1.
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
#[path = "raw_tests.rs"]
mod tests;
