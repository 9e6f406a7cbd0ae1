//! The maps that are compared: the explain modes, and controls with less information.
//!
//! Input: the model's channel values in a window. Output: one map for the whole window, enlarged to
//! the crop. A mode that keeps no channel anywhere has no map.

use crate::core::rng::SeededRng;
use crate::models::explain::Mode;
use crate::models::speaker_model::ModelShape;
use crate::stages::explain::faithfulness::{clip_map, mouth_box, random_blob};
use crate::stages::explain::{FeatureMap, gate_activity, raw_map, raw_map_permuted};

use super::rank::spearman;

/// A kind of map to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MapKind {
    /// An explain mode's.
    Mode(Mode),
    /// Control: the same mode with its channel weights permuted, one permutation per window.
    Permuted(Mode),
    /// Control: the mean of all channels, without weights.
    MeanOfAll,
    /// Control: a box at the mouth of frontal faces.
    MouthBox,
    /// Control: smooth noise.
    RandomBlob,
}

impl MapKind {
    /// The requested modes, a permuted control for each, and the controls without a mode.
    pub(crate) fn all(modes: &[Mode]) -> Vec<Self> {
        let own = modes.iter().copied().map(Self::Mode);
        let permuted = modes.iter().copied().map(Self::Permuted);
        own.chain(permuted).chain([Self::MeanOfAll, Self::MouthBox, Self::RandomBlob]).collect()
    }

    /// Its name in tables and JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mode(mode) => mode.name(),
            Self::Permuted(Mode::Paper) => "paper, permuted gates",
            Self::Permuted(Mode::GateActivation) => "gate-activation, permuted choice",
            Self::Permuted(Mode::Ablation) => "ablation, permuted effects",
            Self::Permuted(Mode::None) => "none, permuted",
            Self::MeanOfAll => "mean of all channels",
            Self::MouthBox => "fixed mouth box",
            Self::RandomBlob => "random blob",
        }
    }

    /// Whether it is a control.
    pub(crate) const fn is_control(self) -> bool {
        !matches!(self, Self::Mode(_))
    }
}

/// A model's values for the face's channels in a window of T ticks.
pub(crate) struct Channels<'a> {
    /// The model's sizes.
    pub shape: &'a ModelShape,
    /// T × C × h × w.
    pub features: &'a [f32],
    /// T × C: the SE vector; ones for a model without a gate.
    pub gates: &'a [f32],
    /// T × C: z with each channel minus z without it.
    pub effects: &'a [f32],
}

impl Channels<'_> {
    /// Every tick's feature map, gate and effects. Skips ticks with wrong sizes, which the
    /// session's check rules out.
    fn ticks(&self) -> impl Iterator<Item = (FeatureMap<'_>, &[f32], &[f32])> {
        let shape = self.shape;
        let channels = shape.map_channels;
        let maps = self.features.chunks_exact(shape.map_len().max(1)).map(move |values| {
            FeatureMap::new(values, channels, shape.map_height, shape.map_width)
        });
        let both = self.gates.chunks_exact(channels).zip(self.effects.chunks_exact(channels));
        maps.zip(both).filter_map(|(map, (gate, effects))| Some((map?, gate, effects)))
    }

    /// The raw maps of `kind`, T of h × w cells; empty for a control that needs no channels.
    fn raw(&self, kind: MapKind, order: &[usize]) -> Vec<Vec<f32>> {
        let one = |(map, gate, effects): (FeatureMap<'_>, &[f32], &[f32])| {
            let mut out = vec![0.0; map.cells()];
            match kind {
                MapKind::Mode(mode) => raw_map(mode, &map, gate, Some(effects), &mut out),
                MapKind::Permuted(mode) => {
                    raw_map_permuted(mode, &map, (gate, effects), order, &mut out)
                }
                MapKind::MeanOfAll => {
                    mean_of_all(&map, &mut out);
                    Ok(())
                }
                MapKind::MouthBox | MapKind::RandomBlob => return None,
            }
            .ok()?;
            Some(out)
        };
        self.ticks().filter_map(one).collect()
    }

    /// One map for the window, 112 × 112, ≥ 0; `None` if it is 0 everywhere. `seed` is for the
    /// random controls.
    pub(crate) fn map(&self, kind: MapKind, seed: u64) -> Option<Vec<f32>> {
        match kind {
            MapKind::MouthBox => return Some(mouth_box()),
            MapKind::RandomBlob => return Some(random_blob(seed)),
            MapKind::Mode(_) | MapKind::Permuted(_) | MapKind::MeanOfAll => {}
        }
        let mut order: Vec<usize> = (0..self.shape.map_channels).collect();
        SeededRng::new(seed).shuffle(&mut order);
        let raw = self.raw(kind, &order);
        let size = (self.shape.map_width, self.shape.map_height);
        let map = clip_map(raw.iter().map(Vec::as_slice), size, self.shape.map_area)?;
        map.iter().any(|v| *v > 0.0).then_some(map)
    }

    /// The 99th percentile of a mode's raw cells: the strength of its maps.
    pub(crate) fn strength(&self, mode: Mode) -> Option<f32> {
        let mut cells: Vec<f32> = self.raw(MapKind::Mode(mode), &[]).concat();
        cells.sort_by(f32::total_cmp);
        let last = cells.len().checked_sub(1)?;
        let at = 0.99 * last as f64;
        let (low, part) = (at.floor() as usize, at.fract() as f32);
        Some(cells[low] + (cells[(low + 1).min(last)] - cells[low]) * part)
    }

    /// Spearman's correlation, over channels, of gate × pooled activation with the effect of
    /// removing the channel. The mean over ticks, without ticks where one of them is constant.
    pub(crate) fn correlation(&self) -> Option<f64> {
        let of = |(map, gate, effects): (FeatureMap<'_>, &[f32], &[f32])| {
            let effects: Vec<f64> = effects.iter().map(|e| f64::from(*e)).collect();
            spearman(&gate_activity(&map, gate), &effects)
        };
        let found: Vec<f64> = self.ticks().filter_map(of).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    }
}

fn mean_of_all(map: &FeatureMap<'_>, out: &mut [f32]) {
    for channel in map.iter() {
        out.iter_mut().zip(channel).for_each(|(sum, v)| *sum += v);
    }
    let channels = map.channels() as f32;
    out.iter_mut().for_each(|v| *v = (*v / channels).max(0.0));
}
