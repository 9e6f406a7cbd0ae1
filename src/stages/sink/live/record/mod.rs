//! The recorder: segments on disk that survive a kill, and full, slow or missing disks.
//!
//! Takes packets; gives mp4 files named by their start time. A kill loses at most the last second. The
//! current segment is called `.mp4.part`. A full disk stops the recording only, until there is room
//! again. Only files that match the name pattern are ever removed.

mod error;
mod naming;
mod retention;
mod segment;
mod segment_store;
mod sync;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::context::{SinkContext, SinkError, SinkHandle};
use super::preroll::Formats;
use super::worker::{self, PacketSink, SinkFault};
use crate::core::time::Span;
use crate::gst::packet::Packet;
use crate::stages::sink::settings::RecorderSettings;
use crate::telemetry::metrics::{Metrics, stream_labels};
use error::RecordError;
use naming::Naming;
use segment::Segment;
use segment_store::SegmentStore;
use sync::Syncer;

/// How often free space and the folder are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How often old segments are removed.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
/// Frames further apart than this belong to two segments.
const MAX_GAP: Span = Span::from_ms(1000);

/// Starts the recorder.
///
/// # Errors
/// Where the name pattern is invalid, or the thread cannot be started.
pub(crate) fn open(
    recording: &RecorderSettings,
    context: &SinkContext<'_>,
) -> Result<SinkHandle, SinkError> {
    let naming = Naming::new(&recording.name).map_err(SinkError::Config)?;
    let segment_store = SegmentStore { directory: recording.directory.clone(), naming };
    let recorder = Recorder {
        settings: recording.clone(),
        segment_store,
        stream: context.status.stream.to_string(),
        metrics: context.metrics.clone(),
        syncer: Syncer::start()?,
        checked: None,
        tidied: None,
    };
    worker::spawn(recorder, context)
}

struct Recorder {
    settings: RecorderSettings,
    segment_store: SegmentStore,
    stream: String,
    metrics: Metrics,
    syncer: Syncer,
    checked: Option<Instant>,
    tidied: Option<Instant>,
}

impl PacketSink for Recorder {
    type Output = Segment;

    const NAME: &'static str = "record";
    const QUEUE_BYTES: usize = 32 << 20;

    fn start(&mut self) {
        self.segment_store.adopt();
    }

    fn open(&mut self, formats: &Formats) -> Result<Segment, SinkFault> {
        let begin = || {
            std::fs::create_dir_all(&self.segment_store.directory)?;
            self.check_room()?;
            Segment::begin(&self.segment_store, formats, self.slot())
        };
        begin().map_err(|e| self.fault(&e))
    }

    fn is_over(&self, segment: &Segment, formats: &Formats, gap: Span) -> bool {
        gap > MAX_GAP || segment.slot != self.slot() || segment.outdated(formats)
    }

    fn push(&mut self, segment: &mut Segment, packet: &Packet) -> Result<(), SinkFault> {
        segment.push(packet).map_err(|e| self.fault(&e))?;
        self.write(segment)
    }

    /// Writes what the muxer has; from time to time checks free space and the folder, and removes old
    /// segments.
    fn poll(&mut self, segment: Option<&mut Segment>) -> Result<bool, SinkFault> {
        let is_recording = segment.is_some();
        if let Some(segment) = segment {
            self.write(segment)?;
            if is_due(self.checked, CHECK_INTERVAL) {
                self.checked = Some(Instant::now());
                if segment.is_removed() {
                    return Err(self.fault(&RecordError::Removed));
                }
                self.check_room().map_err(|e| self.fault(&e))?;
            }
        }
        if is_due(self.tidied, TIDY_INTERVAL) {
            self.tidied = Some(Instant::now());
            self.segment_store.tidy((&self.settings).into(), SystemTime::now());
        }
        Ok(is_recording)
    }

    fn close(&mut self, segment: Segment) -> Result<(), SinkFault> {
        self.tidied = None;
        segment.finish().map(drop).map_err(|e| self.fault(&e))
    }

    fn abandon(&mut self, segment: Segment) {
        segment.abandon();
    }
}

impl Recorder {
    fn fault(&self, error: &RecordError) -> SinkFault {
        error.fault(&self.settings.directory)
    }

    fn write(&mut self, segment: &mut Segment) -> Result<(), SinkFault> {
        let bytes = segment.write().map_err(|e| self.fault(&e))?;
        self.syncer.sync(segment);
        self.metrics.recorded_bytes.get_or_create(&stream_labels(&self.stream)).inc_by(bytes);
        Ok(())
    }

    /// The current slot: wall-clock time divided by the segment's length.
    fn slot(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs() / self.settings.segment.as_secs().max(1)
    }

    fn check_room(&self) -> Result<(), RecordError> {
        let required = self.settings.min_free_bytes;
        let mut free = self.segment_store.free_bytes()?;
        if free < required {
            self.segment_store.tidy((&self.settings).into(), SystemTime::now());
            free = self.segment_store.free_bytes()?;
        }
        let gauge = self.metrics.disk_free.get_or_create(&stream_labels(&self.stream)).clone();
        gauge.set(i64::try_from(free).unwrap_or(i64::MAX));
        if free < required { Err(RecordError::Full { free, required }) } else { Ok(()) }
    }
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}
