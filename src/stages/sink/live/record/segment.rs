//! One segment: an mp4 file called `.mp4.part` until it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::RecordError;
use super::naming::{PART, WHOLE, with_ending};
use super::segment_store::{SegmentStore, name_whole, whole_bytes};
use crate::gst::packet::Packet;
use crate::stages::sink::live::gst::{Muxing, Wrap};
use crate::stages::sink::live::preroll::Formats;

/// A segment being written.
pub(super) struct Segment {
    /// The slot of wall-clock time that it belongs to.
    pub slot: u64,
    formats: Formats,
    muxing: Muxing,
    file: File,
    path: PathBuf,
}

impl Segment {
    /// Starts a segment with the tracks of `formats`.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(super) fn begin(
        segment_store: &SegmentStore,
        formats: &Formats,
        slot: u64,
    ) -> Result<Self, RecordError> {
        let stem = segment_store.naming.stem(jiff::Timestamp::now()).map_err(RecordError::Name)?;
        let stem = segment_store.directory.join(stem);
        if let Some(folder) = stem.parent() {
            fs::create_dir_all(folder)?;
        }
        let muxing = Muxing::start(formats, Wrap::Mp4)?;
        for number in 0..10_000 {
            if with_ending(&stem, number, WHOLE).try_exists()? {
                continue;
            }
            let path = with_ending(&stem, number, PART);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { slot, formats: formats.clone(), muxing, file, path }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists).into())
    }

    /// Whether its tracks are no longer those of the stream.
    pub(super) fn outdated(&self, now: &Formats) -> bool {
        self.formats.outdated(now)
    }

    /// Whether its file was removed or replaced.
    pub(super) fn is_removed(&self) -> bool {
        !same_file(&self.file, &self.path)
    }

    /// Another handle to its file.
    pub(super) fn file(&self) -> Option<File> {
        self.file.try_clone().ok()
    }

    /// Pushes a packet.
    ///
    /// # Errors
    /// Where the muxer has failed.
    pub(super) fn push(&self, packet: &Packet) -> Result<(), RecordError> {
        Ok(self.muxing.push(packet)?)
    }

    /// Writes what is ready; gives the number of bytes.
    ///
    /// # Errors
    /// Where writing fails.
    pub(super) fn write(&mut self) -> Result<u64, RecordError> {
        let mut written = 0;
        while let Some(bytes) = self.muxing.bytes() {
            self.file.write_all(&bytes)?;
            written += bytes.len() as u64;
        }
        Ok(written)
    }

    /// Writes the rest and gives the file its final name.
    ///
    /// # Errors
    /// Where writing fails; what was written is kept.
    pub(super) fn finish(mut self) -> Result<PathBuf, RecordError> {
        let file = &mut self.file;
        let ended = self.muxing.finish(|bytes| file.write_all(bytes).map_err(RecordError::from));
        if let Err(error) = ended {
            self.abandon();
            return Err(error);
        }
        self.file.sync_all()?;
        Ok(name_whole(&self.path)?)
    }

    /// Keeps the complete fragments, if the disk still works.
    pub(super) fn abandon(self) {
        let outcome = match whole_bytes(&self.path) {
            Ok(Some(bytes)) => {
                let cut = self.file.set_len(bytes).and_then(|()| self.file.sync_all());
                cut.and_then(|()| name_whole(&self.path).map(drop))
            }
            Ok(None) => fs::remove_file(&self.path),
            Err(e) => Err(e),
        };
        if let Err(e) = outcome {
            tracing::warn!(file = %self.path.display(), "cannot be completed, left as it is: {e}");
        }
    }
}

/// Whether `path` still names the open `file`.
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |m: std::fs::Metadata| (m.dev(), m.ino());
    file.metadata().ok().map(id).is_some_and(|own| path.metadata().ok().map(id) == Some(own))
}
