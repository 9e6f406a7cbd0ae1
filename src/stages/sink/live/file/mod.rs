//! Writes one file until the stream ends: fragmented mp4, or Matroska.
//!
//! The file has a temporary name until the stream ends ([`AtomicPath`]). An existing file is kept: the
//! new one gets a number. Where the stream's format changes, the file ends and a numbered one begins.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::context::{SinkContext, SinkError, SinkHandle};
use super::gst::{Muxing, Wrap};
use super::preroll::Formats;
use super::worker::{self, PacketSink, SinkFault};
use crate::core::time::Span;
use crate::gst::packet::Packet;
use crate::stages::sink::atomic_file::{AtomicPath, FileError};

/// Starts the sink.
///
/// # Errors
/// Where the name ends with neither .mp4 nor .mkv, or the thread cannot be started.
pub(crate) fn open(path: &Path, context: &SinkContext<'_>) -> Result<SinkHandle, SinkError> {
    let wrap = match path.extension().and_then(|e| e.to_str()) {
        Some("mp4") => Wrap::Mp4,
        Some("mkv") => Wrap::Mkv,
        _ => {
            let path = path.display();
            return Err(SinkError::Config(format!(
                "{path}: the file name must end with .mp4 or .mkv"
            )));
        }
    };
    worker::spawn(FileSink { path: path.to_owned(), wrap }, context)
}

struct FileSink {
    path: PathBuf,
    wrap: Wrap,
}

/// A file being written.
struct OpenFile {
    formats: Formats,
    muxing: Muxing,
    out: File,
    place: AtomicPath,
}

fn fault(error: impl std::fmt::Display) -> SinkFault {
    SinkFault::new(error.to_string())
}

impl PacketSink for FileSink {
    type Output = OpenFile;

    const NAME: &'static str = "file";
    const QUEUE_BYTES: usize = 32 << 20;

    fn open(&mut self, formats: &Formats) -> Result<OpenFile, SinkFault> {
        let path = free_name(&self.path);
        let place = AtomicPath::create(&path).map_err(fault)?;
        let out = OpenOptions::new().write(true).open(place.temp());
        let out = out.map_err(|e| fault(FileError::new(&path, e)))?;
        let muxing = Muxing::start(formats, self.wrap).map_err(fault)?;
        Ok(OpenFile { formats: formats.clone(), muxing, out, place })
    }

    fn is_over(&self, output: &OpenFile, formats: &Formats, _gap: Span) -> bool {
        output.formats.outdated(formats)
    }

    fn push(&mut self, output: &mut OpenFile, packet: &Packet) -> Result<(), SinkFault> {
        output.muxing.push(packet).map_err(fault)?;
        while let Some(bytes) = output.muxing.bytes() {
            let written = output.out.write_all(&bytes);
            written.map_err(|e| fault(FileError::new(output.place.path(), e)))?;
        }
        Ok(())
    }

    fn close(&mut self, output: OpenFile) -> Result<(), SinkFault> {
        let OpenFile { muxing, mut out, place, .. } = output;
        let ended = muxing.finish(|bytes| {
            out.write_all(bytes).map_err(|e| FileError::new(place.path(), e).into())
        });
        place.commit().map_err(fault)?;
        ended.map_err(|e: Box<dyn std::error::Error>| fault(e))
    }

    /// What was written is kept; a numbered file follows.
    fn abandon(&mut self, output: OpenFile) {
        let _ = output.place.commit();
    }
}

/// `path`, or the first of `NAME-2.mp4`, `NAME-3.mp4`… that does not exist.
fn free_name(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = (2..10_000).map(|n| path.with_file_name(format!("{stem}-{n}.{ending}")));
    let mut names = std::iter::once(path.to_owned()).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stages::sink::fan_out::FanOut;
    use crate::stages::sink::live::testing::gst::common_packets;
    use crate::telemetry::metrics::Metrics;
    use crate::telemetry::status::Status;

    #[test]
    fn a_stream_becomes_one_file_and_an_old_one_is_kept() {
        let dir = tempfile::tempdir().expect("temp");
        for ending in ["mp4", "mkv"] {
            let path = dir.path().join(format!("video.{ending}"));
            std::fs::write(&path, "old").expect("written");
            let (fan_out, status, metrics) =
                (FanOut::default(), Status::new("cam"), Metrics::new());
            let request_keyframe: std::sync::Arc<dyn Fn() + Send + Sync> =
                std::sync::Arc::new(|| {});
            let context = SinkContext {
                fan_out: &fan_out,
                status: &status,
                metrics: &metrics,
                request_keyframe,
            };
            let handle = open(&path, &context).expect("opens");
            for packet in common_packets() {
                fan_out.offer(packet);
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(fan_out);
            assert!(handle.join(Duration::from_secs(30)), "it ends with its queue");
            assert_eq!(std::fs::read(&path).expect("read"), b"old");
            let new = path.with_file_name(format!("video-2.{ending}"));
            let mut probe = std::process::Command::new("ffprobe");
            probe.args(["-v", "error", "-count_packets", "-select_streams", "v"]);
            probe.args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]).arg(&new);
            let text = probe.output().expect("ffprobe is installed").stdout;
            let text = String::from_utf8_lossy(&text);
            assert_eq!(text.trim(), "500", "{}", new.display());
        }
    }
}
