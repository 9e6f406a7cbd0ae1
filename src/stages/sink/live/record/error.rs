//! Errors of the recorder, and how its worker treats them.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::stages::sink::live::gst::MuxError;
use crate::stages::sink::live::worker::SinkFault;

/// The wait before a full disk is tried again.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(2);

/// Why the recording has stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// The muxer failed.
    #[error("{0}")]
    Mux(#[from] MuxError),
    /// Writing failed.
    #[error("cannot write under the recording's directory: {0}")]
    Disk(#[from] io::Error),
    /// There is no room.
    #[error(
        "the disk is full: {free} bytes are free, {required} must stay free; recording stops \
             until there is room"
    )]
    Full {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        required: u64,
    },
    /// The file was removed.
    #[error("the segment's file was removed while it was written")]
    Removed,
    /// The name pattern is invalid.
    #[error("{0}")]
    Name(String),
}

impl RecordError {
    /// The fault of a recording under `directory`.
    pub(super) fn fault(&self, directory: &Path) -> SinkFault {
        let full = match self {
            Self::Full { .. } => true,
            Self::Disk(e) => is_full(e),
            _ => false,
        };
        let message = format!("not recording: {self} ({})", directory.display());
        match full {
            true => SinkFault { message, reason: "full", retry_after: Some(FULL_RETRY) },
            false => SinkFault::new(message),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
