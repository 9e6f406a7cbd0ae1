//! HTTP Live Streaming: a playlist and its segments in a folder, for any web server.
//!
//! Takes packets; writes `index.m3u8` and `segment-START-NUMBER.ts`. There are at most as many segments
//! as configured, plus two that players may still read. After an error the playlist is reopened with
//! back-off. Only files with these names are ever removed.

mod gst;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::{SinkContext, SinkError, SinkHandle};
use super::preroll::Formats;
use super::worker::{self, PacketSink, SinkFault};
use crate::core::time::Span;
use crate::gst::packet::Packet;
use gst::Playlist;

/// The playlist's name.
const PLAYLIST: &str = "index.m3u8";

/// Starts the sink.
///
/// # Errors
/// Where the thread cannot be started.
pub(crate) fn open(
    directory: &Path,
    segment: Duration,
    keep: u32,
    context: &SinkContext<'_>,
) -> Result<SinkHandle, SinkError> {
    worker::spawn(HlsSink { directory: directory.to_owned(), segment, keep }, context)
}

struct HlsSink {
    directory: PathBuf,
    segment: Duration,
    keep: u32,
}

impl HlsSink {
    fn fault(&self, why: impl std::fmt::Display) -> SinkFault {
        SinkFault::new(format!("cannot write under {}: {why}", self.directory.display()))
    }
}

impl PacketSink for HlsSink {
    type Output = Playlist;

    const NAME: &'static str = "hls";
    const QUEUE_BYTES: usize = 16 << 20;

    fn open(&mut self, formats: &Formats) -> Result<Playlist, SinkFault> {
        fs::create_dir_all(&self.directory).map_err(|e| self.fault(e))?;
        remove_old(&self.directory);
        let start = jiff::Timestamp::now().as_millisecond();
        let segments = self.directory.join(format!("segment-{start}-%05d.ts"));
        let list = self.directory.join(PLAYLIST);
        Playlist::start(&list, &segments, self.segment, self.keep, formats.clone())
            .map_err(|e| self.fault(e))
    }

    fn is_over(&self, output: &Playlist, formats: &Formats, _gap: Span) -> bool {
        output.outdated(formats)
    }

    fn push(&mut self, output: &mut Playlist, packet: &Packet) -> Result<(), SinkFault> {
        let is_keyframe = packet.kind == (crate::gst::packet::PacketKind::Video { keyframe: true });
        if is_keyframe && !self.directory.exists() {
            return Err(self.fault("the folder was removed"));
        }
        output.push(packet).map_err(|e| self.fault(e))
    }

    fn close(&mut self, output: Playlist) -> Result<(), SinkFault> {
        output.finish();
        Ok(())
    }

    fn abandon(&mut self, output: Playlist) {
        drop(output);
    }
}

/// Removes the segments of an earlier playlist.
fn remove_old(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if is_segment(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file name is that of a segment of this sink.
fn is_segment(name: &str) -> bool {
    let inner = name.strip_prefix("segment-").and_then(|n| n.strip_suffix(".ts"));
    let number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    inner.and_then(|n| n.split_once('-')).is_some_and(|(a, b)| number(a) && number(b))
}
