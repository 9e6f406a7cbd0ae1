//! Why an output file cannot be written, told apart by what the user can do about it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::core::exit::Exit;

/// Why an output file cannot be had. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The directory is not there.
    #[error("cannot write {path}: there is no directory {dir}; make it, or choose another place")]
    NoDirectory {
        /// The file that was asked for.
        path: PathBuf,
        /// What is missing.
        dir: PathBuf,
    },
    /// The name belongs to a directory.
    #[error("cannot write {0}: it is a directory; give a file name")]
    IsDirectory(PathBuf),
    /// The name belongs to a device or a pipe, where only a regular file will do.
    #[error("cannot write {0}: it is not a regular file, and this output needs one")]
    NotRegular(PathBuf),
    /// No permission, or a read-only file system.
    #[error("cannot write {path}: no permission to write there ({reason})")]
    NotPermitted {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The disk or the quota is full.
    #[error("cannot write {path}: no space left on the device ({reason})")]
    NoSpace {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Anything else.
    #[error("cannot write {path}: {reason}")]
    Other {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

impl FileError {
    /// `reason` as it happened while writing `path`.
    pub fn new(path: &Path, reason: io::Error) -> Self {
        let path = path.to_path_buf();
        match reason.kind() {
            ErrorKind::NotFound => Self::NoDirectory { dir: directory_of(&path), path },
            ErrorKind::IsADirectory => Self::IsDirectory(path),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::NotPermitted { path, reason }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { path, reason },
            _ => Self::Other { path, reason },
        }
    }

    /// How a program ends that could not write this file.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoDirectory { .. } | Self::IsDirectory(_) | Self::NotRegular(_) => {
                Exit::CannotCreate
            }
            Self::NotPermitted { .. } => Exit::NoPermission,
            Self::NoSpace { .. } | Self::Other { .. } => Exit::InputOutput,
        }
    }

    /// Whether the device ran full: what a long-running writer may wait out.
    pub const fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// The directory that `path` lies in.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
