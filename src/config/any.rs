//! Reads a TOML file that describes either a recording (`[source]` has `file`) or a camera
//! (`[source]` has `uri`).

use std::path::Path;

use super::camera::secret::Secrets;
use super::camera::{self, Camera};
use super::{ConfigError, Pipeline, file, redact};

/// What `locutor run` can run.
#[derive(Clone, Debug)]
pub enum AnyPipeline {
    /// A recording, run once.
    Recording(Box<Pipeline>),
    /// A camera, run until it is stopped.
    Camera(Box<Camera>),
}

/// Reads the file at `path`, and the credentials it names from the system.
///
/// # Errors
/// If the file cannot be read, is not TOML, has an unknown key or an invalid value, or names a
/// credential that does not exist.
pub fn read_any(path: &Path) -> Result<AnyPipeline, ConfigError> {
    read_any_with(path, &Secrets::System)
}

/// As [`read_any`], but looks credentials up in `secrets`.
///
/// # Errors
/// As [`read_any`].
pub fn read_any_with(path: &Path, secrets: &Secrets) -> Result<AnyPipeline, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError::Unreadable { path: path.into(), reason: e.to_string() })?;
    parse_any(&text, path, secrets)
}

/// Reads `text`, the content of the file at `path`.
///
/// # Errors
/// As [`read_any`].
pub fn parse_any(text: &str, path: &Path, secrets: &Secrets) -> Result<AnyPipeline, ConfigError> {
    parse(text, path, secrets).map_err(redact_userinfo)
}

/// Any key may hold an address with a password by mistake.
fn redact_userinfo(error: ConfigError) -> ConfigError {
    let clean = |problem: String| redact::redact_userinfo(&problem);
    match error {
        ConfigError::Invalid { key, problem } => {
            ConfigError::Invalid { key, problem: clean(problem) }
        }
        ConfigError::Syntax { path, problem } => {
            ConfigError::Syntax { path, problem: clean(problem) }
        }
        other => other,
    }
}

fn parse(text: &str, path: &Path, secrets: &Secrets) -> Result<AnyPipeline, ConfigError> {
    // Text that is not TOML may still hold a camera's secrets: the camera's parser reports it
    // without repeating them.
    let camera = || camera::file::parse(text, path, secrets).map(Box::new);
    let Ok(table) = text.parse::<toml::Table>() else {
        return camera().map(AnyPipeline::Camera);
    };
    let source = table.get("source").and_then(toml::Value::as_table);
    let has = |key: &str| source.is_some_and(|source| source.contains_key(key));
    match (has("uri"), has("file")) {
        (true, false) => camera().map(AnyPipeline::Camera),
        (false, true) => Ok(AnyPipeline::Recording(Box::new(file::parse(text, path)?))),
        (both, _) => Err(ConfigError::Invalid {
            key: format!("{}: source", path.display()),
            problem: if both {
                "has `uri` and `file`; write uri for a camera or file for a recording".into()
            } else {
                "has neither `uri` (a camera) nor `file` (a recording); write \
                 [source] and under it uri = \"rtsp://…\" or file = \"…\""
                    .into()
            },
        }),
    }
}
