//! Checks the values of a manifest; errors name its file and the key.

use std::path::Path;

use super::values::{FileName, TensorName};
use crate::core::evidence::Probability;
use crate::models::error::ModelError;

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
        if value.trim().is_empty() { Err(self.empty(key)) } else { Ok(value.to_owned()) }
    }

    fn empty(&self, key: &str) -> ModelError {
        self.invalid(key, "is empty; write something there")
    }

    pub(super) fn tensor(&self, key: &str, value: &str) -> Result<TensorName, ModelError> {
        TensorName::new(value).ok_or_else(|| self.empty(key))
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
