//! Errors of model packages, with what to do about them.

use std::path::PathBuf;

use thiserror::Error;

/// A model package cannot be read, written, imported or used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file or directory could not be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file or directory could not be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A directory without a manifest.
    #[error(
        "{dir} is not a model package: it has no model.toml; \
         make one with `locutor models import`",
        dir = .dir.display()
    )]
    NotAPackage {
        /// The directory.
        dir: PathBuf,
    },
    /// The manifest is not valid TOML, or has an unknown or missing key.
    #[error(
        "{file} line {line}: {problem}; correct it, or import the package again",
        file = .file.display()
    )]
    Syntax {
        /// The manifest.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A key has an invalid value.
    #[error("{file}: `{key}` {problem}", file = .file.display())]
    Key {
        /// The manifest.
        file: PathBuf,
        /// The key, with its tables.
        key: String,
        /// What is wrong and what it must be.
        problem: String,
    },
    /// A file's checksum differs from the manifest.
    #[error(
        "{file} has sha256 {found}, but model.toml has {expected}; \
         it was changed or damaged: import the package again",
        file = .file.display()
    )]
    Checksum {
        /// The file.
        file: PathBuf,
        /// The manifest's sum.
        expected: String,
        /// The file's own sum.
        found: String,
    },
    /// A package of the wrong kind.
    #[error("{package} is a `{found}` package, but a `{expected}` package is needed here")]
    WrongKind {
        /// The package.
        package: String,
        /// The required kind.
        expected: &'static str,
        /// The package's kind.
        found: &'static str,
    },
    /// A graph's inputs or outputs differ from the manifest.
    #[error("{file}: {mismatch}", file = .file.display())]
    Contract {
        /// The graph.
        file: PathBuf,
        /// Both sides.
        mismatch: crate::models::contract::Mismatch,
    },
    /// A file is not a readable PyTorch checkpoint.
    #[error("{file} is not a checkpoint that can be read: {problem}", file = .file.display())]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A checkpoint or graph of another network.
    #[error("{file} is not {expected}: {problem}", file = .file.display())]
    WrongNetwork {
        /// The file.
        file: PathBuf,
        /// The expected network, with its article.
        expected: &'static str,
        /// The mismatch.
        problem: String,
    },
    /// The wrong number of files for the importer.
    #[error("importing {kind} takes one file ({expected}), but {given} were given")]
    FileCount {
        /// The kind of import.
        kind: &'static str,
        /// The expected file.
        expected: &'static str,
        /// The number of files given.
        given: usize,
    },
    /// The output directory holds something that is not a model package.
    #[error(
        "{dir} exists and is not a model package, so it is not replaced; \
         choose another directory or remove it",
        dir = .dir.display()
    )]
    NotReplaceable {
        /// The directory.
        dir: PathBuf,
    },
}

impl ModelError {
    /// A system error while reading `path`.
    pub fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// A system error while writing `path`.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}
