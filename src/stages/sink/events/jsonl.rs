//! JSON Lines in a file that is rotated by size.
//!
//! While the file cannot be written (a full disk, a missing or read-only folder), up to 1 MB of
//! lines is kept in memory. More is dropped and counted. The file is retried every second; the
//! first line that can be written has the number of dropped lines and the reason.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::event_queue::EventReceiver;
use super::line::{EventLine, LineKind, event_line};
use super::reporter::SinkReporter;
use super::rotate::{RotatingFile, Rotation};
use crate::core::queue::NoItem;
use crate::stages::sink::records::event::Event;

/// Time between two retries while the file cannot be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes that may wait in memory meanwhile.
const MAX_PENDING_BYTES: usize = 1 << 20;
/// Bytes written at once.
const BATCH_BYTES: usize = 64 << 10;

/// Writes lines to the file.
pub(super) struct JsonlWriter {
    file: RotatingFile,
    stream: Arc<str>,
    sink: String,
    /// Lines that are still to be written, oldest first.
    pending: VecDeque<EventLine>,
    pending_bytes: usize,
    dropped: u64,
    /// Why the last write failed, and when the next one is due.
    failed: Option<(String, Instant)>,
}

impl JsonlWriter {
    /// A writer of the file `path` for the sink `sink`.
    pub(super) fn new(path: &Path, rotation: Rotation, stream: Arc<str>, sink: &str) -> Self {
        let (file, sink) = (RotatingFile::new(path, rotation), sink.to_owned());
        let pending = VecDeque::new();
        Self { file, stream, sink, pending, pending_bytes: 0, dropped: 0, failed: None }
    }

    /// Queues a line. Drops the oldest lines if too many wait, and returns their number.
    fn push(&mut self, line: EventLine) -> u64 {
        self.pending_bytes += line.json.len() + 1;
        self.pending.push_back(line);
        let mut dropped = 0;
        while self.pending_bytes > MAX_PENDING_BYTES {
            // Frames are dropped before events.
            let frame = self.pending.iter().position(|line| line.kind == LineKind::Frame);
            let Some(line) = self.pending.remove(frame.unwrap_or(0)) else { break };
            self.pending_bytes -= line.json.len() + 1;
            dropped += 1;
        }
        self.dropped += dropped;
        dropped
    }

    /// Writes all pending lines.
    fn write(&mut self) -> Result<(), String> {
        if self.dropped > 0 {
            let why = self.failed.as_ref().map(|(why, _)| why.as_str());
            let why = why.unwrap_or("the sink was behind").to_owned();
            let event = Event::Dropped { sink: self.sink.clone(), lines: self.dropped, why };
            let line = event_line(&self.stream, &event, Timestamp::now(), LineKind::Event);
            self.append(&format!("{}\n", line.json))?;
            self.dropped = 0;
        }
        while !self.pending.is_empty() {
            let mut batch = String::new();
            let mut lines = 0;
            for line in &self.pending {
                if lines > 0 && batch.len() + line.json.len() > BATCH_BYTES {
                    break;
                }
                batch.push_str(&line.json);
                batch.push('\n');
                lines += 1;
            }
            self.append(&batch)?;
            self.pending.drain(..lines);
            self.pending_bytes -= batch.len();
        }
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        let outcome = self.file.append(text.as_bytes());
        outcome.map_err(|e| format!("{}: {e}; lines are dropped", self.file.path().display()))
    }

    /// Writes all pending lines if a write is due, and reports the outcome.
    fn try_write(&mut self, reporter: &mut SinkReporter, now: Instant) {
        if self.failed.as_ref().is_some_and(|(_, due)| now < *due) {
            return;
        }
        match self.write() {
            Ok(()) => {
                self.failed = None;
                reporter.report_working();
            }
            Err(why) => {
                reporter.report_failure(&why);
                self.failed = Some((why, now + RETRY_INTERVAL));
            }
        }
    }
}

/// Writes lines until the hub is closed.
pub(super) fn run(mut jsonl: JsonlWriter, mut lines: EventReceiver, mut reporter: SinkReporter) {
    loop {
        let first = lines.recv_timeout(RETRY_INTERVAL);
        let ended = matches!(first, Err(NoItem::Ended));
        // A batch at most, so that a burst is not held in memory as a whole.
        let mut next = first;
        let mut taken = 0;
        while let Ok(line) = next {
            taken += line.json.len();
            if line.kind != LineKind::State {
                reporter.count_dropped(jsonl.push(line), "disk");
            }
            if taken > BATCH_BYTES {
                break;
            }
            next = lines.recv_timeout(Duration::ZERO);
        }
        jsonl.dropped += lines.take_dropped();
        if ended && let Some((_, due)) = &mut jsonl.failed {
            // The last try does not wait until the next one is due.
            *due = Instant::now();
        }
        jsonl.try_write(&mut reporter, Instant::now());
        if ended {
            reporter.count_dropped(jsonl.pending.len() as u64, "disk");
            return;
        }
    }
}
