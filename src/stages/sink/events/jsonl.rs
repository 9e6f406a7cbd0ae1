//! JSON Lines in a file that is renamed by size, for years.
//!
//! Where the file cannot be written (a full disk, a directory that is gone or read-only) lines are
//! held while little memory suffices, then left out and counted; it is tried again and again, and
//! the first line that can be written says how many were left out, and why.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::hub::event_line;
use super::outlet::Inlet;
use super::rotate::{RotatingFile, Rotation};
use super::trouble::Trouble;
use super::{EventLine, LineKind};
use crate::core::queue::NoItem;
use crate::stages::sink::records::event::Event;

/// Time between two tries while the file cannot be written.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Bytes that are held while it cannot.
const HELD_BYTES: usize = 1 << 20;
/// Bytes written at once.
const BATCH_BYTES: usize = 64 << 10;

/// Writes the file.
pub struct Jsonl {
    file: RotatingFile,
    stream: Arc<str>,
    sink: String,
    /// What is still to be written; the front is the oldest.
    held: VecDeque<EventLine>,
    held_bytes: usize,
    left_out: u64,
    /// Why the last try failed, and when the next one is due.
    failed: Option<(String, Instant)>,
}

impl Jsonl {
    /// The file called `path`, of the sink called `sink`.
    pub fn new(path: &Path, rotation: Rotation, stream: Arc<str>, sink: &str) -> Self {
        let (file, sink) = (RotatingFile::new(path, rotation), sink.to_owned());
        let held = VecDeque::new();
        Self { file, stream, sink, held, held_bytes: 0, left_out: 0, failed: None }
    }

    /// Takes a line to be written; the oldest ones held are left out where there are too many.
    fn take(&mut self, line: EventLine) -> u64 {
        self.held_bytes += line.json.len() + 1;
        self.held.push_back(line);
        let mut left_out = 0;
        while self.held_bytes > HELD_BYTES {
            // Frames go before events.
            let frame = self.held.iter().position(|line| line.kind == LineKind::Frame);
            let Some(line) = self.held.remove(frame.unwrap_or(0)) else { break };
            self.held_bytes -= line.json.len() + 1;
            left_out += 1;
        }
        self.left_out += left_out;
        left_out
    }

    /// Writes what is held.
    fn write(&mut self) -> Result<(), String> {
        if self.left_out > 0 {
            let why = self.failed.as_ref().map(|(why, _)| why.as_str());
            let why = why.unwrap_or("the sink was behind").to_owned();
            let event = Event::Dropped { sink: self.sink.clone(), lines: self.left_out, why };
            let line = event_line(&self.stream, &event, Timestamp::now(), LineKind::Event);
            self.append(&format!("{}\n", line.json))?;
            self.left_out = 0;
        }
        while !self.held.is_empty() {
            let mut batch = String::new();
            let mut lines = 0;
            for line in &self.held {
                if lines > 0 && batch.len() + line.json.len() > BATCH_BYTES {
                    break;
                }
                batch.push_str(&line.json);
                batch.push('\n');
                lines += 1;
            }
            self.append(&batch)?;
            self.held.drain(..lines);
            self.held_bytes -= batch.len();
        }
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        let outcome = self.file.append(text.as_bytes());
        outcome.map_err(|e| format!("{}: {e}; lines are left out", self.file.path().display()))
    }

    /// Writes what is held, where a try is due, and tells how it went.
    fn try_write(&mut self, trouble: &mut Trouble, now: Instant) {
        if self.failed.as_ref().is_some_and(|(_, due)| now < *due) {
            return;
        }
        match self.write() {
            Ok(()) => {
                self.failed = None;
                trouble.well();
            }
            Err(why) => {
                trouble.is(&why);
                self.failed = Some((why, now + TRY_EVERY));
            }
        }
    }
}

/// Writes lines until none can come any more.
pub fn run(mut jsonl: Jsonl, mut lines: Inlet, mut trouble: Trouble) {
    loop {
        let first = lines.next(TRY_EVERY);
        let ended = matches!(first, Err(NoItem::Ended));
        // What waits is written at once, but not more than a batch: a burst must not be held whole.
        let mut next = first;
        let mut taken = 0;
        while let Ok(line) = next {
            taken += line.json.len();
            if line.kind != LineKind::State {
                trouble.lost(jsonl.take(line), "disk");
            }
            if taken > BATCH_BYTES {
                break;
            }
            next = lines.next(Duration::ZERO);
        }
        jsonl.left_out += lines.take_lost();
        if ended && let Some((_, due)) = &mut jsonl.failed {
            // One last try, whenever the next one was due.
            *due = Instant::now();
        }
        jsonl.try_write(&mut trouble, Instant::now());
        if ended {
            trouble.lost(jsonl.held.len() as u64, "disk");
            return;
        }
    }
}
