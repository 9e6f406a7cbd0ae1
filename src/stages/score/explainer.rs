//! The interface to what explains scores: heatmaps from the face encoder's maps.
//!
//! Scoring holds the maps and the effects of channels, and asks for a heatmap where it has all of
//! them; the stage `explain` comes later and makes it.

use std::sync::Arc;

use crate::core::evidence::{Cells, Heatmap};
use crate::models::explain::Mode;
use crate::models::speaker_model::ModelShape;

/// Makes one track's heatmaps.
pub trait Explainer: Send {
    /// One tick's evidence map (h × w, raw units) from its feature map (C × h × w), the SE vector
    /// and, for a mode that needs them, the effects of removing each channel. `None` if sizes do
    /// not fit, which the session's check excludes.
    fn raw_map(
        &self,
        mode: Mode,
        features: &[f32],
        gate: &[f32],
        effects: Option<&[f32]>,
    ) -> Option<Cells>;

    /// The track's next raw map on the track's running scale, which the map moves by one tick.
    fn heatmap(&mut self, raw: Cells) -> Option<Arc<Heatmap>>;
}

/// Creates the explainer of a new track, for the maps of a model.
pub(crate) type ExplainerFactory = Box<dyn Fn(&ModelShape) -> Box<dyn Explainer> + Send>;
