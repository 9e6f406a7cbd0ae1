//! Small checked types of a manifest, and the checker that reports errors by key.

use std::fmt;
use std::path::Path;

use crate::core::evidence::Probability;
use crate::models::ModelError;

/// The name of a file in a package: no folder, not hidden.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FileName(String);

impl FileName {
    /// `name`, or `None` if it is empty, hidden or contains a folder.
    pub fn new(name: &str) -> Option<Self> {
        let plain = !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        plain.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a tensor in a graph; never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TensorName(String);

impl TensorName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Parses 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut sum = [0; 32];
        for (byte, pair) in sum.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(sum))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Checks values of a manifest; errors name its file and the key.
pub(super) struct Checker<'a> {
    file: &'a Path,
}

/// The largest size or count in a manifest: far above any real model's, and low enough that the
/// product of a tensor's dimensions is checked before memory is allocated.
const MAX_COUNT: i64 = 1 << 20;

impl<'a> Checker<'a> {
    pub(super) const fn new(file: &'a Path) -> Self {
        Self { file }
    }

    pub(super) fn invalid(&self, key: impl Into<String>, problem: impl Into<String>) -> ModelError {
        ModelError::Key { file: self.file.into(), key: key.into(), problem: problem.into() }
    }

    pub(super) fn non_empty(&self, key: &str, value: &str) -> Result<String, ModelError> {
        if value.trim().is_empty() {
            return Err(self.invalid(key, "is empty; write something there"));
        }
        Ok(value.to_owned())
    }

    pub(super) fn tensor(&self, key: &str, value: &str) -> Result<TensorName, ModelError> {
        self.non_empty(key, value).map(TensorName)
    }

    pub(super) fn file_name(&self, key: &str, value: &str) -> Result<FileName, ModelError> {
        FileName::new(value).ok_or_else(|| {
            let problem = format!(
                "is \"{value}\"; it must be a plain file name (letters, digits, `.`, `_`, `-`) \
                 of a file beside model.toml"
            );
            self.invalid(key, problem)
        })
    }

    /// An integer of at least `min`.
    pub(super) fn count(&self, key: &str, value: i64, min: i64) -> Result<usize, ModelError> {
        if !(min..=MAX_COUNT).contains(&value) {
            let problem =
                format!("is {value}; it must be a whole number from {min} to {MAX_COUNT}");
            return Err(self.invalid(key, problem));
        }
        Ok(usize::try_from(value).expect("between 0 and 2^20"))
    }

    pub(super) fn probability(&self, key: &str, value: f64) -> Result<Probability, ModelError> {
        Probability::new(value as f32).ok_or_else(|| {
            self.invalid(key, format!("is {value}; it must be a probability from 0 to 1"))
        })
    }

    /// One of a fixed set of words.
    pub(super) fn one_of<T: Copy>(
        &self,
        key: &str,
        value: &str,
        words: &[(&str, T)],
    ) -> Result<T, ModelError> {
        words.iter().find(|(word, _)| *word == value).map(|(_, t)| *t).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.invalid(key, format!("is \"{value}\"; it must be {}", known.join(" or ")))
        })
    }
}
