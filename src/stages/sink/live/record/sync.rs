//! Brings what was written to the disk every few seconds, on a thread of its own: the recorder does
//! not wait for it.

use std::fs::File;
use std::time::{Duration, Instant};

use super::segment::Segment;
use crate::core::queue::{ByteSize, Capacity, Overflow, Sender, bounded};

/// How often.
const EVERY: Duration = Duration::from_secs(3);

struct Written(File);

impl ByteSize for Written {
    fn byte_size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The thread; it ends with this handle.
pub(super) struct Syncer {
    files: Sender<Written>,
    last: Instant,
}

impl Syncer {
    /// Begins.
    ///
    /// # Errors
    /// Where there is no thread.
    pub(super) fn start() -> std::io::Result<Self> {
        // A sync that hangs is not waited for: the next takes its place.
        let capacity = Capacity { items: 1, bytes: 1 << 10 };
        let (files, written) = bounded("record→sync", capacity, Overflow::DropOldest);
        let work = move || {
            for Written(file) in written {
                if let Err(e) = file.sync_data() {
                    tracing::warn!("what was recorded cannot be brought to the disk: {e}");
                }
            }
        };
        std::thread::Builder::new().name("record-sync".into()).spawn(work)?;
        Ok(Self { files, last: Instant::now() })
    }

    /// Syncs the segment where it is time to.
    pub(super) fn sync(&mut self, segment: &Segment) {
        if self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            if let Some(file) = segment.file() {
                let _ = self.files.try_send(Written(file));
            }
        }
    }
}
