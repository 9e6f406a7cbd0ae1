//! The stages of a run, built from its settings: one builder for recordings, live streams and
//! measurements.

use super::settings::Settings;
use crate::core::time::Tick;
use crate::models::manifest::AudioRecipe;
use crate::onnx::engine::Engine;
use crate::stages::explain::track_explainer::TrackExplainer;
use crate::stages::features::audio_features::{AudioFeatures, Spectrum};
use crate::stages::features::mfcc::{LogMel, Mfcc};
use crate::stages::score::audio_encoder::AudioEncoder;
use crate::stages::score::frame_assembler::FrameAssembler;
use crate::stages::score::scorer::Scorer;
use crate::stages::track::front_end::FrontEnd;

/// The feature front end that a package's audio encoder was trained with.
pub(crate) fn spectrum(recipe: AudioRecipe) -> Spectrum {
    match recipe {
        AudioRecipe::Mfcc13 => Spectrum::Mfcc(Box::new(Mfcc::new())),
        AudioRecipe::LogMel40 => Spectrum::LogMel(Box::new(LogMel::new())),
    }
}

/// Detection and tracking.
pub(crate) fn front_end(settings: &Settings, engine: &Engine) -> FrontEnd {
    FrontEnd::new(Box::new(engine.detector()), settings.plan, settings.policy)
}

/// The audio encoder of a source that begins at `first`.
pub(crate) fn audio_encoder(settings: &Settings, has_audio: bool, first: Tick) -> AudioEncoder {
    let features = has_audio.then(|| AudioFeatures::new(spectrum(settings.audio_recipe), first));
    let encoder = AudioEncoder::new(features, first);
    if settings.prompt_audio { encoder.with_window(settings.schedule.window) } else { encoder }
}

/// The scorer, and the assembler of scored frames, for a source that begins at `first`.
pub(crate) fn scoring(
    settings: &Settings,
    engine: &Engine,
    has_audio: bool,
    first: Tick,
) -> (Scorer, FrameAssembler) {
    let audio = audio_encoder(settings, has_audio, first);
    let speaker = Box::new(engine.speaker());
    let explainers = TrackExplainer::factory(settings.scale);
    let scorer = Scorer::new(speaker, explainers, settings.scorer(), audio, has_audio);
    (scorer, FrameAssembler::new(settings.rule, settings.floor, has_audio))
}
