//! The recorder: segments on disk that survive a kill, a full disk, a slow one and one that goes away.
//!
//! Takes packets; gives mp4 files named by the time they begin. Promises: at most the last second is
//! lost to a kill; what is being written is called `.mp4.part`; a full disk stops the recording and
//! nothing else, and it goes on by itself; only files of the own name pattern are ever removed.

mod naming;
mod retention;
mod segment;
mod segment_store;
mod sync;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::gather::Gather;
use super::gst::MuxError;
use super::{SinkContext, SinkError, SinkHandle};
use crate::core::backoff::Backoff;
use crate::core::queue::{NoItem, Receiver};
use crate::core::time::{Pts, Span};
use crate::gst::packet::{Kind, Packet};
use crate::stages::sink::settings::RecorderSettings;
use crate::telemetry::metrics::{Metrics, reason_labels, stream_labels};
use crate::telemetry::status::Status;
use naming::Naming;
use segment::Segment;
use segment_store::SegmentStore;
use sync::Syncer;

/// What the disk may be behind, in bytes.
const BEHIND_BYTES: usize = 32 << 20;
/// How often the thread looks up while nothing comes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often free space and the folder are looked at; and a full disk is tried again.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// How often old segments are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// Frames this far apart do not belong into one segment.
const HOLE: Span = Span::from_ms(1000);

/// Why nothing is recorded right now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Mux(#[from] MuxError),
    #[error("cannot write under the recording's directory: {0}")]
    Disk(#[from] io::Error),
    #[error(
        "the disk is full: {free} bytes free where {wanted} are to stay free; recording stops \
             until there is room"
    )]
    Full { free: u64, wanted: u64 },
    #[error("the segment's file was removed while it was written")]
    Removed,
    #[error("{0}")]
    Name(String),
}

/// Begins to record.
///
/// # Errors
/// Where the name is no pattern, or there is no thread.
pub fn open(
    recording: &RecorderSettings,
    context: &SinkContext<'_>,
) -> Result<SinkHandle, SinkError> {
    let naming = Naming::new(&recording.name).map_err(SinkError::Config)?;
    let segment_store = SegmentStore { directory: recording.directory.clone(), naming };
    let (packets, _) = context.fan_out.add("record", BEHIND_BYTES);
    let recorder = Recorder {
        plan: recording.clone(),
        segment_store,
        status: context.status.clone(),
        metrics: context.metrics.clone(),
        gather: Gather::default(),
        segment: None,
        last_frame: None,
        syncer: Syncer::start()?,
        backoff: Backoff::default(),
        next_try: Instant::now(),
        checked: None,
        tidied: None,
    };
    Ok(SinkHandle::spawn("record", move || recorder.run(&packets))?)
}

struct Recorder {
    plan: RecorderSettings,
    segment_store: SegmentStore,
    status: Status,
    metrics: Metrics,
    gather: Gather,
    segment: Option<Segment>,
    last_frame: Option<Pts>,
    syncer: Syncer,
    backoff: Backoff,
    next_try: Instant,
    checked: Option<Instant>,
    tidied: Option<Instant>,
}

impl Recorder {
    fn run(mut self, packets: &Receiver<Packet>) {
        let heartbeat = self.status.external_heartbeat("record");
        self.segment_store.adopt();
        loop {
            let outcome = match packets.recv_timeout(POLL_INTERVAL) {
                Ok(packet) => self.take(packet),
                Err(NoItem::Empty) => self.write(),
                Err(NoItem::Ended) => break,
            };
            if let Err(trouble) = outcome.and_then(|()| self.look_after()) {
                self.stop(&trouble);
            }
            heartbeat.heartbeat();
        }
        if let Err(trouble) = self.close() {
            self.stop(&trouble);
        }
    }

    fn take(&mut self, packet: Packet) -> Result<(), Trouble> {
        self.gather.push(packet);
        while let Some(packet) = self.gather.pop() {
            if packet.kind == (Kind::Image { key: true }) {
                self.cut(&packet)?;
            }
            if matches!(packet.kind, Kind::Image { .. }) {
                self.last_frame = Some(packet.at);
            }
            if let Some(segment) = &self.segment {
                segment.push(&packet)?;
            }
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Trouble> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let bytes = segment.write()?;
        self.syncer.sync(segment);
        self.metrics
            .recorded_bytes
            .get_or_create(&stream_labels(&self.status.stream))
            .inc_by(bytes);
        Ok(())
    }

    /// At a keyframe: a new segment where one is due.
    fn cut(&mut self, key: &Packet) -> Result<(), Trouble> {
        let (formats, slot) = (self.gather.formats(key), self.slot());
        let hole = self.last_frame.is_some_and(|last| key.at - last > HOLE);
        if self.segment.as_ref().is_some_and(|s| hole || s.slot != slot || s.outdated(&formats)) {
            self.close()?;
            self.tidied = None;
        }
        if self.segment.is_none() && Instant::now() >= self.next_try {
            std::fs::create_dir_all(&self.segment_store.directory)?;
            self.check_room()?;
            self.segment = Some(Segment::begin(&self.segment_store, &formats, slot)?);
            self.backoff.reset();
            self.status.set_sink_error("record", None);
        }
        Ok(())
    }

    /// Which stretch of wall-clock time it is.
    fn slot(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs() / self.plan.segment.as_secs().max(1)
    }

    /// Now and then: room, the folder, old segments.
    fn look_after(&mut self) -> Result<(), Trouble> {
        let due = |last: Option<Instant>, every| last.is_none_or(|l| l.elapsed() >= every);
        if due(self.checked, CHECK_EVERY) {
            self.checked = Some(Instant::now());
            if self.segment.as_ref().is_some_and(Segment::is_removed) {
                return Err(Trouble::Removed);
            }
            if self.segment.is_some() {
                self.check_room()?;
            }
        }
        if due(self.tidied, TIDY_EVERY) {
            self.tidied = Some(Instant::now());
            self.segment_store.tidy((&self.plan).into(), SystemTime::now());
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), Trouble> {
        let wanted = self.plan.min_free_bytes;
        let mut free = self.segment_store.free_bytes()?;
        if free < wanted {
            self.segment_store.tidy((&self.plan).into(), SystemTime::now());
            free = self.segment_store.free_bytes()?;
        }
        let gauge =
            self.metrics.disk_free.get_or_create(&stream_labels(&self.status.stream)).clone();
        gauge.set(i64::try_from(free).unwrap_or(i64::MAX));
        if free < wanted { Err(Trouble::Full { free, wanted }) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), Trouble> {
        self.segment.take().map_or(Ok(()), |segment| segment.finish().map(drop))
    }

    /// Nothing is recorded until the next try; what is there is kept.
    fn stop(&mut self, trouble: &Trouble) {
        if let Some(segment) = self.segment.take() {
            segment.abandon();
        }
        let full = matches!(trouble, Trouble::Full { .. })
            || matches!(trouble, Trouble::Disk(e) if is_full(e));
        let wait = if full { CHECK_EVERY } else { self.backoff.next_wait() };
        self.next_try = Instant::now() + wait;
        let reason = if full { "full" } else { "error" };
        let stream = &self.status.stream;
        self.metrics.reconnects.get_or_create(&reason_labels(stream, "record", reason)).inc();
        let said = self.status.sink_errors().contains_key("record");
        if !said {
            tracing::warn!(stream = %stream, "not recording: {trouble}");
        }
        let place = self.plan.directory.display();
        self.status.set_sink_error("record", Some(format!("{trouble} ({place})")));
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether two paths name the same file.
fn same_file(file: &std::fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |m: std::fs::Metadata| (m.dev(), m.ino());
    file.metadata().ok().map(id).is_some_and(|own| path.metadata().ok().map(id) == Some(own))
}
