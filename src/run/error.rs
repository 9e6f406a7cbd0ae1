//! Errors that end a run, and their exit codes.

use crate::config::ConfigError;
use crate::core::exit::Exit;
use crate::models::registry::RegistryError;
use crate::pipeline::error::PipelineError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A model is missing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The pipeline could not be built, or ended early.
    #[error(transparent)]
    Pipeline(PipelineError),
    /// A sink can never work as configured.
    #[error("{0}")]
    Sink(String),
    /// The RTSP server or the health page cannot start.
    #[error("{0}")]
    Serve(String),
    /// The recording's streams have no format yet.
    #[error("the recording's {0} have no format")]
    NoFormat(&'static str),
    /// No folder for temporary files.
    #[error("a folder for scratch files cannot be made: {0}; point TMPDIR to one that can")]
    Scratch(std::io::Error),
}

/// Every pipeline error can end a run.
impl<E: Into<PipelineError>> From<E> for RunError {
    fn from(error: E) -> Self {
        Self::Pipeline(error.into())
    }
}

impl RunError {
    /// The exit code that this error ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(e) => match e {
                ConfigError::Unreadable { .. } => Exit::NoInput,
                ConfigError::Syntax { .. } => Exit::Config,
                ConfigError::Invalid { .. } | ConfigError::NoOutput => Exit::Usage,
                ConfigError::Exists { .. } => Exit::CannotCreate,
            },
            Self::Registry(
                RegistryError::NotFound { .. } | RegistryError::NoneInstalled { .. },
            ) => Exit::Unavailable,
            Self::Registry(RegistryError::Broken(_)) | Self::NoFormat(_) => Exit::BadData,
            Self::Pipeline(e) => e.exit(),
            Self::Scratch(_) | Self::Sink(_) => Exit::CannotCreate,
            Self::Serve(_) => Exit::Unavailable,
        }
    }
}
