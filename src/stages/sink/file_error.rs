//! Errors of output files, by what the user can do about them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::core::exit::Exit;

/// Why an output file cannot be written. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The directory does not exist.
    #[error("cannot write {path}: there is no directory {dir}; create it or choose another one")]
    NoDirectory {
        /// The output file.
        path: PathBuf,
        /// The missing directory.
        dir: PathBuf,
    },
    /// The path is a directory.
    #[error("cannot write {0}: it is a directory; give a file name")]
    IsDirectory(PathBuf),
    /// The path is a device or a pipe, and the output needs a regular file.
    #[error("cannot write {0}: it is not a regular file, and this output needs one")]
    NotRegular(PathBuf),
    /// No permission, or a read-only file system.
    #[error("cannot write {path}: no permission to write there ({reason})")]
    NotPermitted {
        /// The output file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// The disk or the quota is full.
    #[error("cannot write {path}: no space left on the device ({reason})")]
    NoSpace {
        /// The output file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// Any other error.
    #[error("cannot write {path}: {reason}")]
    Other {
        /// The output file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
}

impl FileError {
    /// The error for `reason` while writing `path`.
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

    /// The exit code for this error.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoDirectory { .. } | Self::IsDirectory(_) | Self::NotRegular(_) => {
                Exit::CannotCreate
            }
            Self::NotPermitted { .. } => Exit::NoPermission,
            Self::NoSpace { .. } | Self::Other { .. } => Exit::InputOutput,
        }
    }

    /// Whether the device is full. A long-running writer may wait until it is not.
    pub const fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// The directory of `path`.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
