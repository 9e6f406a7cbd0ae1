//! Syncs the segment to disk every few seconds, on its own thread: the recorder does not wait for it.

use std::fs::File;
use std::time::{Duration, Instant};

use super::segment::Segment;
use crate::core::queue::{ByteSize, Capacity, Overflow, Sender, bounded};

/// Time between two syncs.
const SYNC_INTERVAL: Duration = Duration::from_secs(3);

struct Written(File);

impl ByteSize for Written {
    fn byte_size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The syncing thread; it ends when this is dropped.
pub(super) struct Syncer {
    files: Sender<Written>,
    last: Instant,
}

impl Syncer {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn start() -> std::io::Result<Self> {
        // If a sync hangs, a newer request replaces the waiting one.
        let capacity = Capacity { items: 1, bytes: 1 << 10 };
        let (files, written) = bounded("record→sync", capacity, Overflow::DropOldest);
        let work = move || {
            for Written(file) in written {
                if let Err(e) = file.sync_data() {
                    tracing::warn!("the recording cannot be synced to disk: {e}");
                }
            }
        };
        std::thread::Builder::new().name("record-sync".into()).spawn(work)?;
        Ok(Self { files, last: Instant::now() })
    }

    /// Syncs the segment if it is due.
    pub(super) fn sync(&mut self, segment: &Segment) {
        if self.last.elapsed() >= SYNC_INTERVAL {
            self.last = Instant::now();
            if let Some(file) = segment.file() {
                let _ = self.files.try_send(Written(file));
            }
        }
    }
}
