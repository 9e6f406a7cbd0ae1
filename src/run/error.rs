//! What can end a run, and the exit code of each.

use crate::config::ConfigError;
use crate::core::exit::Exit;
use crate::models::ModelError;
use crate::models::face_detector::DetectError;
use crate::models::registry::RegistryError;
use crate::models::speaker_model::InferenceError;
use crate::onnx::engine::EngineError;
use crate::stages::overlay::gst::BlendError;
use crate::stages::sink::atomic_file::FileError;
use crate::stages::sink::gst::FileSinkError;
use crate::stages::sink::stage::LanesApart;
use crate::stages::source::SourceError;

/// A run that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The pipeline makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The recording cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A model is missing.
    #[error(transparent)]
    ModelRegistry(#[from] RegistryError),
    /// A model is not what it should be.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Inference cannot be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The face detector failed on the way.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The speaker model failed on the way.
    #[error(transparent)]
    Score(#[from] InferenceError),
    /// A frame could not be drawn on.
    #[error(transparent)]
    Blend(#[from] BlendError),
    /// The film could not be written.
    #[error(transparent)]
    FileSink(#[from] FileSinkError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An element is missing or does not work.
    #[error(transparent)]
    Element(crate::gst::elements::ElementError),
    /// A sink can never work as configured.
    #[error("{0}")]
    Sink(String),
    /// What the process serves cannot be served.
    #[error("{0}")]
    Serve(String),
    /// A package's manifest asks for something impossible.
    #[error("the model package cannot be used: {0}")]
    Settings(String),
    /// A fault of the program.
    #[error(transparent)]
    LanesApart(#[from] LanesApart),
    /// There is no room for what is thrown away again.
    #[error("a folder for scratch files cannot be made: {0}; point TMPDIR to one that can")]
    Scratch(std::io::Error),
    /// The system gives no thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A stage panicked.
    #[error("the stage `{stage}` panicked; this is a fault of the program")]
    Panicked {
        /// Which.
        stage: &'static str,
    },
}

impl RunError {
    /// The exit code this error ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(e) => match e {
                ConfigError::Unreadable { .. } => Exit::NoInput,
                ConfigError::Syntax { .. } => Exit::Config,
                ConfigError::Invalid { .. } | ConfigError::NoOutput => Exit::Usage,
                ConfigError::Exists { .. } => Exit::CannotCreate,
            },
            Self::Source(e) => e.exit(),
            Self::ModelRegistry(RegistryError::NoSuch { .. } | RegistryError::None { .. }) => {
                Exit::Unavailable
            }
            Self::ModelRegistry(RegistryError::Broken(_)) | Self::Model(_) | Self::Settings(_) => {
                Exit::BadData
            }
            Self::Engine(EngineError::Model(_)) => Exit::BadData,
            Self::Engine(_) => Exit::Unavailable,
            Self::Scratch(_) | Self::Sink(_) => Exit::CannotCreate,
            Self::Element(_) | Self::Serve(_) => Exit::Unavailable,
            Self::FileSink(e) => e.exit(),
            Self::File(e) => e.exit(),
            Self::Detect(_)
            | Self::Score(_)
            | Self::Blend(_)
            | Self::LanesApart(_)
            | Self::Thread(_)
            | Self::Panicked { .. } => Exit::Internal,
        }
    }
}
