//! HTTP Live Streaming: a playlist and its segments in a folder, for any web server to hand out.
//!
//! Takes packets; writes `index.m3u8` and `segment-START-NUMBER.ts`. Promises: no more segments than
//! configured (and two that players may still read); what fails is opened anew with back-off; only
//! files of these names are ever removed.

mod gst;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::gather::Gather;
use super::{SinkContext, SinkError, SinkHandle};
use crate::core::backoff::Backoff;
use crate::core::queue::{NoItem, Receiver};
use crate::gst::packet::{Kind, Packet};
use crate::telemetry::metrics::{Metrics, reason_labels};
use crate::telemetry::status::Status;
use gst::Playlist;

/// What the disk may be behind, in bytes.
const BEHIND_BYTES: usize = 16 << 20;
/// How often the thread looks up while nothing comes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The playlist's name.
const PLAYLIST: &str = "index.m3u8";

/// Begins to write.
///
/// # Errors
/// Where there is no thread.
pub fn open(
    directory: &Path,
    segment: Duration,
    keep: u32,
    context: &SinkContext<'_>,
) -> Result<SinkHandle, SinkError> {
    let (packets, _) = context.fan_out.add("hls", BEHIND_BYTES);
    let writer = Writer {
        directory: directory.to_owned(),
        segment,
        keep,
        status: context.status.clone(),
        metrics: context.metrics.clone(),
        gather: Gather::default(),
        playlist: None,
        backoff: Backoff::default(),
        next_try: Instant::now(),
    };
    Ok(SinkHandle::spawn("hls", move || writer.run(&packets))?)
}

struct Writer {
    directory: PathBuf,
    segment: Duration,
    keep: u32,
    status: Status,
    metrics: Metrics,
    gather: Gather,
    playlist: Option<Playlist>,
    backoff: Backoff,
    next_try: Instant,
}

impl Writer {
    fn run(mut self, packets: &Receiver<Packet>) {
        let heartbeat = self.status.external_heartbeat("hls");
        loop {
            match packets.recv_timeout(POLL_INTERVAL) {
                Ok(packet) => self.take(packet),
                Err(NoItem::Empty) => {}
                Err(NoItem::Ended) => break,
            }
            heartbeat.heartbeat();
        }
        if let Some(playlist) = self.playlist.take() {
            playlist.finish();
        }
    }

    fn take(&mut self, packet: Packet) {
        self.gather.push(packet);
        while let Some(packet) = self.gather.pop() {
            let key = packet.kind == (Kind::Image { key: true });
            let done = if key { self.cut(&packet) } else { Ok(()) };
            let push = |p: &Playlist| p.push(&packet);
            if let Err(why) = done.and_then(|()| self.playlist.as_ref().map_or(Ok(()), push)) {
                self.stop(&why);
            }
        }
    }

    fn cut(&mut self, key: &Packet) -> Result<(), String> {
        let formats = self.gather.formats(key);
        if self.playlist.as_ref().is_some_and(|p| p.outdated(&formats))
            && let Some(old) = self.playlist.take()
        {
            old.finish();
        }
        if self.playlist.as_ref().is_some_and(|_| !self.directory.exists()) {
            return Err("the folder was removed".to_owned());
        }
        if self.playlist.is_none() && Instant::now() >= self.next_try {
            fs::create_dir_all(&self.directory).map_err(|e| e.to_string())?;
            remove_old(&self.directory);
            let start = jiff::Timestamp::now().as_millisecond();
            let segments = self.directory.join(format!("segment-{start}-%05d.ts"));
            let list = self.directory.join(PLAYLIST);
            let (segment, keep) = (self.segment, self.keep);
            self.playlist = Some(Playlist::start(&list, &segments, segment, keep, formats)?);
            self.backoff.reset();
            self.status.set_sink_error("hls", None);
        }
        Ok(())
    }

    fn stop(&mut self, why: &str) {
        self.playlist = None;
        self.next_try = Instant::now() + self.backoff.next_wait();
        self.metrics
            .reconnects
            .get_or_create(&reason_labels(&self.status.stream, "hls", "error"))
            .inc();
        let place = self.directory.display();
        tracing::warn!(stream = %self.status.stream, "cannot write under {place}: {why}");
        self.status.set_sink_error("hls", Some(format!("cannot write under {place}: {why}")));
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

/// Whether a file of this name is one that we made.
fn is_segment(name: &str) -> bool {
    let inner = name.strip_prefix("segment-").and_then(|n| n.strip_suffix(".ts"));
    let number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    inner.and_then(|n| n.split_once('-')).is_some_and(|(a, b)| number(a) && number(b))
}
