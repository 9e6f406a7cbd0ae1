//! A bounded first-in-first-out queue of messages on disk, for the time a broker is unreachable.
//!
//! Takes messages ([`Spool::push`]), returns them in the same order ([`Spool::read_next`]), and
//! removes them when they are acknowledged ([`Spool::ack`]).
//!
//! Promises: a message stays until it is acknowledged, even if the process is killed (`kill -9`
//! included; a power cut may cost the last second). The order never changes. Delivery is at least
//! once: after a crash some messages may be returned twice. A full spool drops the oldest messages
//! and counts them. While the disk fails, up to 1 MB of messages waits in memory, in the same
//! order, and moves to the disk later.

mod position;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use position::Position;
pub(crate) use segment::MAX_MESSAGE_BYTES;
use segment::Segment;

/// Minimum size of a spool.
const MIN_BYTES: u64 = 16 << 10;
/// Number of segments of a full spool. It drops one segment at a time.
const SEGMENT_COUNT: u64 = 16;
/// Bytes that may wait in memory.
const MAX_MEMORY_BYTES: u64 = 1 << 20;
/// Bytes of one segment in memory.
const MEMORY_SEGMENT_BYTES: u64 = 64 << 10;
/// Time between two retries after a disk error, and between two syncs.
const DISK_INTERVAL: Duration = Duration::from_secs(1);

/// Why a spool cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpoolError {
    /// Another process or sink uses the folder.
    #[error("the spool's folder is in use by another process or sink")]
    InUse,
    /// The size limit is too small.
    #[error("a spool needs at least 16 kB")]
    TooSmall,
}

/// A message in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its number, counted over the spool's whole life.
    pub number: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Numbers of lost messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpoolLoss {
    /// Messages dropped because the spool was full.
    pub full: u64,
    /// Messages larger than [`MAX_MESSAGE_BYTES`], or than the spool.
    pub too_large: u64,
    /// Messages that were written and could not be read back.
    pub damaged: u64,
}

/// A position in the spool.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    number: u64,
    /// Where message `number` begins in its segment.
    offset: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    max_bytes: u64,
    /// Ordered by number; messages are appended to the last one.
    segments: VecDeque<Segment>,
    /// The first message that is not acknowledged.
    head: Cursor,
    /// The next message to be read.
    read: Cursor,
    position: Option<Position>,
    loss: SpoolLoss,
    /// The last disk error, and when the disk is tried again.
    disk_failure: Option<(String, Instant)>,
    synced: Instant,
    dirty: bool,
}

impl Spool {
    /// Opens the spool in `directory` with the messages of an earlier run. Creates the directory if
    /// it is missing. After a disk error it starts in memory, and [`Spool::disk_error`] says why.
    ///
    /// # Errors
    /// Where another process uses it, or `max_bytes` is less than 16 kB.
    pub(crate) fn open(directory: &Path, max_bytes: u64) -> Result<Self, SpoolError> {
        if max_bytes < MIN_BYTES {
            return Err(SpoolError::TooSmall);
        }
        let start = Cursor { number: 0, offset: Segment::START };
        let mut spool = Self {
            directory: directory.to_path_buf(),
            max_bytes,
            segments: VecDeque::new(),
            head: start,
            read: start,
            position: None,
            loss: SpoolLoss::default(),
            disk_failure: None,
            synced: Instant::now(),
            dirty: false,
        };
        match spool.load() {
            Ok(()) => Ok(spool),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SpoolError::InUse),
            Err(error) => {
                // The messages on disk are left for the next start. The clock as first number
                // makes new messages come after them. The position file is not touched.
                let number = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
                spool.segments.clear();
                spool.position = None;
                spool.head = Cursor { number, offset: Segment::START };
                spool.read = spool.head;
                spool.set_disk_failure(&error);
                Ok(spool)
            }
        }
    }

    /// Loads the segments on disk.
    fn load(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let (position, acknowledged) = Position::open(&self.directory)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            found.extend(Segment::open(&entry?.path())?);
        }
        found.sort_by_key(|segment| segment.first);
        let end = found.iter().map(Segment::end).max().unwrap_or(0).max(acknowledged);
        for segment in found {
            if segment.end() <= acknowledged || segment.count == 0 {
                segment.remove();
            } else {
                self.segments.push_back(segment);
            }
        }
        self.position = Some(position);
        let first = self.segments.front().map_or(end, |segment| segment.first);
        self.head = Cursor { number: first, offset: Segment::START };
        self.read = self.head;
        if acknowledged > 0 {
            self.ack(acknowledged - 1);
        }
        if self.segments.is_empty() {
            self.head.number = end;
        }
        self.read = self.head;
        Ok(())
    }

    /// Appends a message on the disk, or in memory after a disk error.
    pub(crate) fn push(&mut self, message: &[u8]) {
        let large = message.len() as u64 > self.max_bytes / 4;
        if large || message.len() > MAX_MESSAGE_BYTES {
            self.loss.too_large += 1;
            return;
        }
        self.move_to_disk(Instant::now());
        if self.disk_failure.is_none() {
            match self.push_to_disk(message) {
                Ok(()) => return self.trim(),
                Err(error) => self.set_disk_failure(&error),
            }
            // The next segment will have the same name as this empty one.
            if self.segments.back().is_some_and(|segment| segment.count == 0)
                && let Some(empty) = self.segments.pop_back()
            {
                empty.remove();
            }
        }
        let needs_segment = self.segments.back().is_none_or(|s| {
            !s.is_in_memory() || s.bytes + message.len() as u64 > MEMORY_SEGMENT_BYTES
        });
        if needs_segment {
            self.segments.push_back(Segment::in_memory(self.end()));
        }
        if let Some(segment) = self.segments.back_mut() {
            // This cannot fail in memory.
            let _ = segment.push(message);
        }
        self.trim();
    }

    fn push_to_disk(&mut self, message: &[u8]) -> io::Result<()> {
        let full = (self.max_bytes / SEGMENT_COUNT).max(MIN_BYTES / SEGMENT_COUNT);
        let end = self.end();
        let fits = |s: &Segment| s.count == 0 || s.bytes + message.len() as u64 <= full;
        if !self.segments.back().is_some_and(|s| fits(s) && s.end() == end) {
            if let Some(segment) = self.segments.back() {
                segment.sync()?;
            }
            fs::create_dir_all(&self.directory)?;
            self.segments.push_back(Segment::create(&self.directory, end)?);
        }
        self.dirty = true;
        let segment = self.segments.back_mut().ok_or(io::ErrorKind::NotFound)?;
        segment.push(message)
    }

    /// Removes the oldest segments while the spool is too large.
    fn trim(&mut self) {
        let is_too_large = |spool: &Self| {
            let in_memory = spool.segments.iter().filter(|s| s.is_in_memory());
            let memory_bytes: u64 = in_memory.map(|s| s.bytes).sum();
            spool.bytes() > spool.max_bytes || memory_bytes > MAX_MEMORY_BYTES
        };
        while self.segments.len() > 1 && is_too_large(self) {
            // Segments on disk are older than those in memory.
            let Some(oldest) = self.segments.pop_front() else { return };
            let end = oldest.end();
            self.loss.full += end.saturating_sub(self.head.number.max(oldest.first));
            oldest.remove();
            self.skip_to(end);
        }
    }

    /// Moves both cursors to `end`, the first message of a segment, after what is before it was
    /// removed.
    fn skip_to(&mut self, end: u64) {
        let next = self.segments.front().map_or(end, |segment| segment.first.max(end));
        let cursor = Cursor { number: next, offset: Segment::START };
        if self.head.number < next {
            self.head = cursor;
        }
        if self.read.number < next {
            self.read = cursor;
        }
        self.store_position();
    }

    /// The next message that was not read since [`Spool::rewind`]; `None` if there is none now.
    pub(crate) fn read_next(&mut self) -> Option<Message> {
        loop {
            let segment = self.segments.iter().find(|s| self.read.number < s.end())?;
            self.read = at_or_first(segment, self.read);
            if let Ok(Some(found)) = segment.read(self.read.offset) {
                let number = self.read.number;
                self.read = Cursor { number: number + 1, offset: found.next };
                return Some(Message { number, bytes: found.message });
            }
            // The message was whole when it was written or opened, and cannot be read now.
            let end = segment.end();
            self.loss.damaged += end - self.read.number;
            self.read = Cursor { number: end, offset: Segment::START };
        }
    }

    /// Starts reading again at the first message that is not acknowledged.
    pub(crate) fn rewind(&mut self) {
        self.read = self.head;
    }

    /// Removes all messages up to and including number `through`.
    pub(crate) fn ack(&mut self, through: u64) {
        while self.head.number <= through
            && let Some(segment) = self.segments.front()
        {
            self.head = at_or_first(segment, self.head);
            let end = segment.end();
            if through >= end - 1 {
                self.head = Cursor { number: end, offset: segment.bytes };
                if self.segments.len() == 1 {
                    // Messages are appended to this segment: it stays.
                    break;
                }
                self.store_position();
                if let Some(done) = self.segments.pop_front() {
                    done.remove();
                }
            } else if self.head.number <= through {
                self.head = match segment.read(self.head.offset) {
                    Ok(Some(found)) => Cursor { number: self.head.number + 1, offset: found.next },
                    _ => Cursor { number: end, offset: segment.bytes },
                };
            }
        }
        if self.read.number < self.head.number {
            self.read = self.head;
        }
        self.store_position();
    }

    /// Whether every message is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.number >= self.end()
    }

    /// Size of all segments in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes that wait to be acknowledged.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        if self.is_empty() { 0 } else { self.bytes().saturating_sub(self.head.offset) }
    }

    /// Losses since the last call.
    pub(crate) fn take_loss(&mut self) -> SpoolLoss {
        std::mem::take(&mut self.loss)
    }

    /// The disk error because of which messages wait in memory only.
    pub(crate) fn disk_error(&self) -> Option<&str> {
        self.disk_failure.as_ref().map(|(why, _)| why.as_str())
    }

    /// To be called about once a second: syncs what was written, and retries the disk after an
    /// error.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        self.move_to_disk(now);
        if self.dirty && now.duration_since(self.synced) >= DISK_INTERVAL {
            self.synced = now;
            self.dirty = false;
            if let Some(Err(error)) = self.segments.back().map(Segment::sync) {
                self.set_disk_failure(&error);
            }
        }
    }

    /// Moves messages from memory to the disk, if a retry is due.
    fn move_to_disk(&mut self, now: Instant) {
        if self.disk_failure.as_ref().is_none_or(|(_, due)| now < *due) {
            return;
        }
        self.disk_failure = None;
        if let Err(error) = self.move_all_to_disk() {
            self.set_disk_failure(&error);
        }
    }

    fn move_all_to_disk(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        for segment in self.segments.iter_mut().filter(|s| s.is_in_memory()) {
            segment.move_to_disk(&self.directory)?;
        }
        self.store_position();
        Ok(())
    }

    fn set_disk_failure(&mut self, error: &io::Error) {
        let why = format!("the spool {}: {error}", self.directory.display());
        self.disk_failure = Some((why, Instant::now() + DISK_INTERVAL));
    }

    fn store_position(&mut self) {
        if let Some(position) = &self.position {
            // A failure only makes messages be read twice after a crash, which is allowed.
            let _ = position.store(self.head.number);
        }
    }

    /// The number that the next pushed message gets.
    fn end(&self) -> u64 {
        self.segments.back().map_or(0, Segment::end).max(self.head.number)
    }
}

/// `at`, or the segment's first message if `at` is not behind it.
fn at_or_first(segment: &Segment, at: Cursor) -> Cursor {
    if at.number <= segment.first {
        Cursor { number: segment.first, offset: Segment::START }
    } else {
        at
    }
}
