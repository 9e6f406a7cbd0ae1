//! One track's heatmaps: the rules of the mode, then the track's own scale.

use std::sync::Arc;

use super::scale::RunningScale;
use super::{FeatureMap, raw_map};
use crate::core::evidence::{Cells, Heatmap};
use crate::core::time::Tick;
use crate::models::explain::{Mode, ScaleRule};
use crate::models::speaker_model::ModelShape;
use crate::stages::score::explainer::{Explainer, ExplainerFactory};

/// Makes a track's heatmaps.
pub struct TrackExplainer {
    channels: usize,
    height: usize,
    width: usize,
    scale: RunningScale,
}

impl TrackExplainer {
    /// Creates the explainer of a new track, for the maps of a model with this `shape`.
    pub fn new(shape: &ModelShape, scale: ScaleRule) -> Self {
        Self {
            channels: shape.map_channels,
            height: shape.map_height,
            width: shape.map_width,
            scale: RunningScale::new(scale),
        }
    }

    /// Creates explainers whose scales follow `scale`.
    pub fn factory(scale: ScaleRule) -> ExplainerFactory {
        Box::new(move |shape| Box::new(Self::new(shape, scale)))
    }
}

impl Explainer for TrackExplainer {
    fn raw_map(
        &self,
        mode: Mode,
        features: &[f32],
        gate: &[f32],
        effects: Option<&[f32]>,
    ) -> Option<Cells> {
        let map = FeatureMap::new(features, self.channels, self.height, self.width)?;
        let mut out = Cells::from_elem(0.0, map.cells());
        raw_map(mode, &map, gate, effects, &mut out).ok()?;
        Some(out)
    }

    fn heatmap(&mut self, raw: Cells) -> Option<Arc<Heatmap>> {
        self.scale.update(&raw, Tick::SPAN);
        self.scale.heatmap(raw, self.width, self.height)
    }
}
