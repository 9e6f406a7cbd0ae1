//! One file until the stream ends: fragmented mp4, or Matroska.
//!
//! Takes packets; gives the file under its name when the stream ends. While it is written it has a
//! name of its own beside ([`AtomicPath`]). A file that is there already is kept: the new one gets a
//! number. Where the stream's format changes, the file ends and a numbered one goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::gather::{Formats, Gather};
use super::gst::{MuxError, Muxing, Wrap};
use super::{SinkContext, SinkError, SinkHandle};
use crate::core::backoff::Backoff;
use crate::core::queue::{NoItem, Receiver};
use crate::gst::packet::{Kind, Packet};
use crate::stages::sink::atomic_file::{AtomicPath, FileError};
use crate::telemetry::metrics::{Metrics, reason_labels};
use crate::telemetry::status::Status;

/// What the disk may be behind, in bytes.
const BEHIND_BYTES: usize = 32 << 20;
/// How often the thread looks up while nothing comes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Mux(#[from] MuxError),
    #[error("{0}")]
    File(#[from] FileError),
}

/// Begins to write.
///
/// # Errors
/// Where the name ends otherwise than .mp4 or .mkv, or there is no thread.
pub fn open(path: &Path, context: &SinkContext<'_>) -> Result<SinkHandle, SinkError> {
    let wrap = match path.extension().and_then(|e| e.to_str()) {
        Some("mp4") => Wrap::Mp4,
        Some("mkv") => Wrap::Mkv,
        _ => {
            let path = path.display();
            return Err(SinkError::Config(format!("{path}: a file's name ends with .mp4 or .mkv")));
        }
    };
    let (packets, _) = context.fan_out.add("file", BEHIND_BYTES);
    let writer = Writer {
        path: path.to_owned(),
        wrap,
        status: context.status.clone(),
        metrics: context.metrics.clone(),
        gather: Gather::default(),
        film: None,
        backoff: Backoff::default(),
        next_try: Instant::now(),
    };
    Ok(SinkHandle::spawn("file", move || writer.run(&packets))?)
}

struct FileSink {
    formats: Formats,
    muxing: Muxing,
    out: File,
    place: AtomicPath,
}

struct Writer {
    path: PathBuf,
    wrap: Wrap,
    status: Status,
    metrics: Metrics,
    gather: Gather,
    film: Option<FileSink>,
    backoff: Backoff,
    next_try: Instant,
}

impl Writer {
    fn run(mut self, packets: &Receiver<Packet>) {
        let heartbeat = self.status.external_heartbeat("file");
        loop {
            let outcome = match packets.recv_timeout(POLL_INTERVAL) {
                Ok(packet) => self.take(packet),
                Err(NoItem::Empty) => Ok(()),
                Err(NoItem::Ended) => break,
            };
            if let Err(trouble) = outcome {
                self.stop(&trouble);
            }
            heartbeat.heartbeat();
        }
        if let Some(film) = self.film.take()
            && let Err(trouble) = film.finish()
        {
            self.stop(&trouble);
        }
    }

    fn take(&mut self, packet: Packet) -> Result<(), Trouble> {
        self.gather.push(packet);
        while let Some(packet) = self.gather.pop() {
            if packet.kind == (Kind::Image { key: true }) {
                self.cut(&packet)?;
            }
            if let Some(film) = &mut self.film {
                film.take(&packet)?;
            }
        }
        Ok(())
    }

    fn cut(&mut self, key: &Packet) -> Result<(), Trouble> {
        let formats = self.gather.formats(key);
        if self.film.as_ref().is_some_and(|film| film.formats.outdated(&formats))
            && let Some(film) = self.film.take()
        {
            film.finish()?;
        }
        if self.film.is_none() && Instant::now() >= self.next_try {
            self.film = Some(FileSink::begin(&free_name(&self.path), formats, self.wrap)?);
            self.backoff.reset();
            self.status.set_sink_error("file", None);
        }
        Ok(())
    }

    /// What is there is kept; a numbered file goes on when it can.
    fn stop(&mut self, trouble: &Trouble) {
        if let Some(film) = self.film.take() {
            let _ = film.place.commit();
        }
        self.next_try = Instant::now() + self.backoff.next_wait();
        self.metrics
            .reconnects
            .get_or_create(&reason_labels(&self.status.stream, "file", "error"))
            .inc();
        tracing::warn!(stream = %self.status.stream, "{trouble}");
        self.status.set_sink_error("file", Some(trouble.to_string()));
    }
}

impl FileSink {
    fn begin(path: &Path, formats: Formats, wrap: Wrap) -> Result<Self, Trouble> {
        let place = AtomicPath::create(path)?;
        let out = OpenOptions::new().write(true).open(place.temp());
        let out = out.map_err(|e| FileError::new(path, e))?;
        let muxing = Muxing::start(&formats, wrap)?;
        Ok(Self { formats, muxing, out, place })
    }

    fn take(&mut self, packet: &Packet) -> Result<(), Trouble> {
        self.muxing.push(packet)?;
        while let Some(bytes) = self.muxing.bytes() {
            let written = self.out.write_all(&bytes);
            written.map_err(|e| FileError::new(self.place.path(), e))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Trouble> {
        let Self { muxing, mut out, place, .. } = self;
        let ended = muxing.finish(|bytes| {
            let written = out.write_all(bytes);
            written.map_err(|e| Trouble::from(FileError::new(place.path(), e)))
        });
        place.commit()?;
        ended
    }
}

/// `path`, or the first `NAME-2.mp4`, `NAME-3.mp4`… that is not there yet.
fn free_name(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = (2..10_000).map(|n| path.with_file_name(format!("{stem}-{n}.{ending}")));
    let mut names = std::iter::once(path.to_owned()).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::sink::fan_out::FanOut;
    use crate::stages::sink::live::testing::gst::common_film;

    #[test]
    fn a_stream_becomes_one_file_and_an_old_one_is_kept() {
        let dir = tempfile::tempdir().expect("temp");
        for ending in ["mp4", "mkv"] {
            let path = dir.path().join(format!("film.{ending}"));
            std::fs::write(&path, "old").expect("written");
            let (fan_out, status, metrics) =
                (FanOut::default(), Status::new("cam"), Metrics::new());
            let ask_for_key: std::sync::Arc<dyn Fn() + Send + Sync> = std::sync::Arc::new(|| {});
            let context = SinkContext {
                fan_out: &fan_out,
                status: &status,
                metrics: &metrics,
                rtsp: None,
                ask_for_key,
            };
            let handle = open(&path, &context).expect("opens");
            for packet in common_film() {
                fan_out.offer(packet);
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(fan_out);
            assert!(handle.join(Duration::from_secs(30)), "ends with its edge");
            assert_eq!(std::fs::read(&path).expect("read"), b"old");
            let new = path.with_file_name(format!("film-2.{ending}"));
            let mut probe = std::process::Command::new("ffprobe");
            probe.args(["-v", "error", "-count_packets", "-select_streams", "v"]);
            probe.args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]).arg(&new);
            let text = probe.output().expect("ffprobe is installed").stdout;
            let text = String::from_utf8_lossy(&text);
            assert_eq!(text.trim(), "500", "{}", new.display());
        }
    }
}
