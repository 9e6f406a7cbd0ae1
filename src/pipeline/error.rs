//! Errors that end a pipeline, and their exit codes.

use super::settings::SettingsError;
use crate::core::exit::Exit;
use crate::gst::StartError;
use crate::gst::elements::ElementError;
use crate::models::ModelError;
use crate::models::face_detector::DetectError;
use crate::models::speaker_model::InferenceError;
use crate::onnx::engine::EngineError;
use crate::stages::overlay::gst::BlendError;
use crate::stages::sink::atomic_file::FileError;
use crate::stages::sink::gst::FileSinkError;
use crate::stages::sink::stage::FrameMismatch;
use crate::stages::source::SourceError;

/// A pipeline that could not be built, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The stages cannot be built from these options.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// GStreamer does not start.
    #[error(transparent)]
    GStreamer(#[from] StartError),
    /// The recording cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A model package is invalid.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Inference cannot be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The face detector failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The speaker model failed.
    #[error(transparent)]
    Score(#[from] InferenceError),
    /// A frame could not be drawn on.
    #[error(transparent)]
    Blend(#[from] BlendError),
    /// The annotated video could not be written.
    #[error(transparent)]
    FileSink(#[from] FileSinkError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An element is missing or does not work.
    #[error(transparent)]
    Element(#[from] ElementError),
    /// A bug in this program.
    #[error(transparent)]
    FrameMismatch(#[from] FrameMismatch),
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A stage panicked.
    #[error("the stage `{stage}` panicked; this is a bug")]
    Panicked {
        /// The stage.
        stage: &'static str,
    },
}

impl PipelineError {
    /// The exit code that this error ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Source(e) => e.exit(),
            Self::FileSink(e) => e.exit(),
            Self::File(e) => e.exit(),
            Self::Model(_) | Self::Settings(_) | Self::Engine(EngineError::Model(_)) => {
                Exit::BadData
            }
            Self::Engine(_) | Self::Element(_) | Self::GStreamer(_) => Exit::Unavailable,
            Self::Detect(_)
            | Self::Score(_)
            | Self::Blend(_)
            | Self::FrameMismatch(_)
            | Self::Thread(_)
            | Self::Panicked { .. } => Exit::Internal,
        }
    }
}
