//! What can be wrong with a model, told so that the reader can mend it.

use std::path::PathBuf;

use thiserror::Error;

/// Why a model package cannot be read, written, imported or used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file or directory could not be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// The system's word on it.
        source: std::io::Error,
    },
    /// A file or directory could not be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// The system's word on it.
        source: std::io::Error,
    },
    /// A directory without a manifest.
    #[error(
        "{dir} is no model package: it has no model.toml; \
         make one with `locutor models import`",
        dir = .dir.display()
    )]
    NotAPackage {
        /// The directory.
        dir: PathBuf,
    },
    /// The manifest is no TOML, or has a key too many or too few.
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
    /// A key holds a value that it cannot have.
    #[error("{file}: `{key}` {problem}", file = .file.display())]
    Key {
        /// The manifest.
        file: PathBuf,
        /// The key, with its tables.
        key: String,
        /// What is wrong with it and what it must be.
        problem: String,
    },
    /// A file of the package is not the one that the manifest was written for.
    #[error(
        "{file} has sha256 {found}, but model.toml says {expected}; \
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
    /// A package of another kind than the one that is needed here.
    #[error("{package} is a `{found}` package, but a `{wanted}` package is needed here")]
    WrongKind {
        /// The package.
        package: String,
        /// The kind that is needed.
        wanted: &'static str,
        /// The kind that it is.
        found: &'static str,
    },
    /// A graph's inputs or outputs are not what the manifest says.
    #[error("{file}: {mismatch}", file = .file.display())]
    Contract {
        /// The graph.
        file: PathBuf,
        /// Both sides.
        mismatch: crate::models::contract::Mismatch,
    },
    /// A file is no PyTorch checkpoint that can be read.
    #[error("{file} is not a checkpoint that can be read: {problem}", file = .file.display())]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A checkpoint or graph of another network than the one asked for.
    #[error("{file} is not {wanted}: {problem}", file = .file.display())]
    WrongNetwork {
        /// The file.
        file: PathBuf,
        /// The network that was asked for, with its article.
        wanted: &'static str,
        /// What does not fit.
        problem: String,
    },
    /// The number of files given to the importer is wrong.
    #[error("importing {kind} takes one file ({wanted}), but {given} were given")]
    FileCount {
        /// The kind of import.
        kind: &'static str,
        /// The file that it takes.
        wanted: &'static str,
        /// How many were given.
        given: usize,
    },
    /// The output directory holds something that is not a model package.
    #[error(
        "{dir} exists and is no model package, so it is not replaced; \
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
