//! Why nothing is recorded, and how the recorder's worker treats it.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::stages::sink::live::gst::MuxError;
use crate::stages::sink::live::worker::SinkFault;

/// How often a full disk is tried again.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(2);

/// Why nothing is recorded right now.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// The muxer failed.
    #[error("{0}")]
    Mux(#[from] MuxError),
    /// The disk does not take it.
    #[error("cannot write under the recording's directory: {0}")]
    Disk(#[from] io::Error),
    /// There is no room.
    #[error(
        "the disk is full: {free} bytes free where {wanted} are to stay free; recording stops \
             until there is room"
    )]
    Full {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        wanted: u64,
    },
    /// Somebody removed the file.
    #[error("the segment's file was removed while it was written")]
    Removed,
    /// The name pattern gives no name.
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
