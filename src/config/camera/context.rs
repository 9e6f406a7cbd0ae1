//! What every table of a camera file is read with: its folder, credentials, and checked durations
//! and sizes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::secret::Secrets;
use crate::core::credentials::Login;

/// The longest duration in a camera file: ten years.
const MAX_SECONDS: f64 = 3.2e8;

/// A key, and what is wrong with it.
pub(super) type Invalid = (String, String);

/// What is needed to read the values of a camera file.
pub(super) struct Context<'a> {
    /// The folder that paths are relative to.
    pub folder: &'a Path,
    /// Where credentials are.
    pub secrets: &'a Secrets,
    /// The stream's name.
    pub name: &'a str,
}

impl Context<'_> {
    /// A path in the file, relative to the working directory.
    pub(super) fn path(&self, path: PathBuf) -> PathBuf {
        self.folder.join(path)
    }

    /// The login that `key` names, if it names one.
    pub(super) fn login(&self, key: &str, name: Option<&str>) -> Result<Option<Login>, Invalid> {
        name.map(|name| self.secrets.login(name)).transpose().map_err(|p| (key.into(), p))
    }

    /// The file of trusted certificates that `key` names, for an address that begins with `scheme`.
    pub(super) fn ca_file(
        &self,
        key: &str,
        file: Option<PathBuf>,
        scheme: &str,
    ) -> Result<Option<PathBuf>, Invalid> {
        if file.is_some() && !["rtsps", "https", "mqtts"].contains(&scheme) {
            let problem = format!("is for TLS, which {scheme}: does not use; remove it, or write ");
            let secure = "an address that begins with rtsps:, https: or mqtts:";
            return Err((key.into(), problem + secure));
        }
        Ok(file.map(|file| self.path(file)))
    }
}

/// A length of time.
pub(super) fn seconds(key: &str, value: f64, min: f64, max: f64) -> Result<Duration, Invalid> {
    let max = max.min(MAX_SECONDS);
    if (min..=max).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err((key.into(), format!("is {value}; it must be from {min} to {max} seconds")))
}

/// A size in bytes from one in units of 2^`shift` bytes.
pub(super) fn size(key: &str, value: f64, shift: u32) -> Result<u64, Invalid> {
    let bytes = value * f64::from(1_u32 << shift);
    // Up to 2^53 an f64 counts every byte. Zero and less hold nothing.
    if (1.0..=9e15).contains(&bytes) {
        return Ok(bytes as u64);
    }
    Err((key.into(), format!("is {value}; write a size above 0")))
}
