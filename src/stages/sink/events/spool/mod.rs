//! A bounded first-in-first-out of messages on disk: what waits while a broker is away.
//!
//! Takes messages ([`Spool::push`]), gives them in the same order ([`Spool::give`]), and forgets
//! them once they were acknowledged ([`Spool::ack`]).
//!
//! Promises: a message that was taken is given until it is acknowledged, whatever happens to the
//! process in between (`kill -9` included; a power cut may cost the last second); never another
//! order; after a crash some may be given twice (at least once). When it is full the oldest go
//! first, and are counted. While the disk refuses, messages wait in a little memory instead, in
//! the same order, and move to the disk when it takes them.

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
pub use segment::LARGEST_MESSAGE;
use segment::Segment;

/// No spool is smaller.
const LEAST_BYTES: u64 = 16 << 10;
/// A spool has about so many segments: so much of it is lost at once when it is full.
const SEGMENTS: u64 = 16;
/// Bytes that may wait in memory.
const MEMORY_BYTES: u64 = 1 << 20;
/// Bytes of one segment in memory.
const MEMORY_SEGMENT: u64 = 64 << 10;
/// Time between two tries to use a disk that refused, and between two syncs.
const EVERY: Duration = Duration::from_secs(1);

/// Why a spool cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// Another process or sink uses the folder.
    #[error("the spool's folder is in use by another process or sink")]
    InUse,
    /// It is too small.
    #[error("a spool has at least 16 kB")]
    Unusable,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number, counted over the spool's whole life.
    pub number: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What was lost on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolLoss {
    /// Messages that went because the spool was full.
    pub full: u64,
    /// Messages larger than [`LARGEST_MESSAGE`], or than the spool.
    pub too_large: u64,
    /// Messages that the disk took and could not give back.
    pub damaged: u64,
}

/// A place in the spool.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    number: u64,
    /// Where message `number` begins in its segment.
    offset: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    most_bytes: u64,
    /// By number; the last one is written to.
    segments: VecDeque<Segment>,
    /// The first message that is not acknowledged.
    head: Cursor,
    /// The next message to be given.
    read: Cursor,
    position: Option<Position>,
    loss: SpoolLoss,
    /// Why the disk refused, and when it is tried again.
    refused: Option<(String, Instant)>,
    synced: Instant,
    dirty: bool,
}

impl Spool {
    /// The spool in `directory`, which is made where it is missing, with what waits in it from an
    /// earlier run. Where the disk refuses it starts in memory, and [`Spool::trouble`] says why.
    ///
    /// # Errors
    /// Where another process uses it, or `most_bytes` is too small to be of use.
    pub fn open(directory: &Path, most_bytes: u64) -> Result<Self, SpoolError> {
        if most_bytes < LEAST_BYTES {
            return Err(SpoolError::Unusable);
        }
        let start = Cursor { number: 0, offset: Segment::START };
        let mut spool = Self {
            directory: directory.to_path_buf(),
            most_bytes,
            segments: VecDeque::new(),
            head: start,
            read: start,
            position: None,
            loss: SpoolLoss::default(),
            refused: None,
            synced: Instant::now(),
            dirty: false,
        };
        match spool.load() {
            Ok(()) => Ok(spool),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SpoolError::InUse),
            Err(error) => {
                // What waits there is left for the next start. Numbers begin so high that they
                // come after it, and the position is not touched.
                let number = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
                spool.segments.clear();
                spool.position = None;
                spool.head = Cursor { number, offset: Segment::START };
                spool.read = spool.head;
                spool.refuse(&error);
                Ok(spool)
            }
        }
    }

    /// Reads what is there, before what waits in memory.
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

    /// Takes a message. It waits on the disk from here on, or in memory where that refuses.
    pub fn push(&mut self, message: &[u8]) {
        let large = message.len() as u64 > self.most_bytes / 4;
        if large || message.len() > LARGEST_MESSAGE {
            self.loss.too_large += 1;
            return;
        }
        self.settle(Instant::now());
        if self.refused.is_none() {
            match self.push_to_disk(message) {
                Ok(()) => return self.trim(),
                Err(error) => self.refuse(&error),
            }
            // A file without a message must not keep the name that the next one will have.
            if self.segments.back().is_some_and(|segment| segment.count == 0)
                && let Some(empty) = self.segments.pop_back()
            {
                empty.remove();
            }
        }
        let roll = self
            .segments
            .back()
            .is_none_or(|s| !s.is_in_memory() || s.bytes + message.len() as u64 > MEMORY_SEGMENT);
        if roll {
            self.segments.push_back(Segment::in_memory(self.end()));
        }
        if let Some(segment) = self.segments.back_mut() {
            // Memory takes everything.
            let _ = segment.push(message);
        }
        self.trim();
    }

    fn push_to_disk(&mut self, message: &[u8]) -> io::Result<()> {
        let full = (self.most_bytes / SEGMENTS).max(LEAST_BYTES / SEGMENTS);
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

    /// Lets the oldest messages go where there are too many.
    fn trim(&mut self) {
        let is_too_much = |spool: &Self| {
            let memory = spool.segments.iter().filter(|s| s.is_in_memory());
            spool.bytes() > spool.most_bytes || memory.map(|s| s.bytes).sum::<u64>() > MEMORY_BYTES
        };
        while self.segments.len() > 1 && is_too_much(self) {
            // On a full disk, what waits on it is older than what waits in memory.
            let Some(oldest) = self.segments.pop_front() else { return };
            let end = oldest.end();
            self.loss.full += end.saturating_sub(self.head.number.max(oldest.first));
            oldest.remove();
            self.skip_to(end);
        }
    }

    /// Nothing before message `end`, which begins a segment, is there any more.
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

    /// The next message that was not given since [`Spool::rewind`]; `None` where there is none now.
    pub fn give(&mut self) -> Option<Message> {
        loop {
            let segment = self.segments.iter().find(|s| self.read.number < s.end())?;
            self.read = begin(segment, self.read);
            if let Ok(Some(found)) = segment.read(self.read.offset) {
                let number = self.read.number;
                self.read = Cursor { number: number + 1, offset: found.next };
                return Some(Message { number, bytes: found.message });
            }
            // The disk gave a whole message when this was opened or written, and does not now.
            let end = segment.end();
            self.loss.damaged += end - self.read.number;
            self.read = Cursor { number: end, offset: Segment::START };
        }
    }

    /// Gives again, from the first message on that is not acknowledged.
    pub fn rewind(&mut self) {
        self.read = self.head;
    }

    /// Forgets all messages up to number `through`.
    pub fn ack(&mut self, through: u64) {
        while self.head.number <= through
            && let Some(segment) = self.segments.front()
        {
            self.head = begin(segment, self.head);
            let end = segment.end();
            if through >= end - 1 {
                self.head = Cursor { number: end, offset: segment.bytes };
                if self.segments.len() == 1 {
                    // It is written to: the next message goes behind.
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

    /// Whether every message was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.head.number >= self.end()
    }

    /// Bytes that it takes up.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes that wait to be acknowledged, to a segment's first message.
    pub fn waiting_bytes(&self) -> u64 {
        if self.is_empty() { 0 } else { self.bytes().saturating_sub(self.head.offset) }
    }

    /// What was lost since this was last asked.
    pub fn take_loss(&mut self) -> SpoolLoss {
        std::mem::take(&mut self.loss)
    }

    /// Why messages wait in memory only, where they do.
    pub fn trouble(&self) -> Option<&str> {
        self.refused.as_ref().map(|(why, _)| why.as_str())
    }

    /// To be called once a second or so: brings what was written to the disk, and tries a disk
    /// that refused again.
    pub fn tick(&mut self) {
        let now = Instant::now();
        self.settle(now);
        if self.dirty && now.duration_since(self.synced) >= EVERY {
            self.synced = now;
            self.dirty = false;
            if let Some(Err(error)) = self.segments.back().map(Segment::sync) {
                self.refuse(&error);
            }
        }
    }

    /// Moves to the disk what waits in memory, once that is due.
    fn settle(&mut self, now: Instant) {
        if self.refused.as_ref().is_none_or(|(_, due)| now < *due) {
            return;
        }
        self.refused = None;
        if let Err(error) = self.settle_all() {
            self.refuse(&error);
        }
    }

    fn settle_all(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        for segment in self.segments.iter_mut().filter(|s| s.is_in_memory()) {
            segment.settle(&self.directory)?;
        }
        self.store_position();
        Ok(())
    }

    fn refuse(&mut self, error: &io::Error) {
        let why = format!("the spool {}: {error}", self.directory.display());
        self.refused = Some((why, Instant::now() + EVERY));
    }

    fn store_position(&mut self) {
        if let Some(position) = &self.position {
            // Where this fails, messages are given twice after a crash: they may be.
            let _ = position.store(self.head.number);
        }
    }

    /// Number of the next message that is taken.
    fn end(&self) -> u64 {
        self.segments.back().map_or(0, Segment::end).max(self.head.number)
    }
}

/// `at`, or the segment's first message where `at` lies before or on that.
fn begin(segment: &Segment, at: Cursor) -> Cursor {
    if at.number <= segment.first {
        Cursor { number: segment.first, offset: Segment::START }
    } else {
        at
    }
}
