//! A segment of a spool: a sequence of messages, each with its length and a checksum.
//!
//! A segment begins with [`MAGIC`]; a message is its length (u32, little endian), the CRC-32 of
//! length and bytes, and the bytes. Reading stops at the first message that is not whole, so a tail
//! torn by a crash is ignored. A segment is a file, or in memory while the disk fails.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The first bytes of every segment: file type and format version.
pub(super) const MAGIC: [u8; 8] = *b"locspl\x00\x01";
/// Bytes before the message: length and checksum.
const HEADER_BYTES: u64 = 8;
/// Maximum size of a message. A larger length means damage, and nothing is allocated for it.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Where a segment's bytes are.
#[derive(Debug)]
enum Store {
    /// The file stays open, so that it can be read even if it is removed from outside.
    File {
        file: File,
        path: PathBuf,
    },
    Memory(Vec<u8>),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Segment {
    store: Store,
    /// Number of its first message, counted over the spool's whole life.
    pub first: u64,
    /// Whole messages in it.
    pub count: u64,
    /// Bytes up to the end of the last whole message.
    pub bytes: u64,
}

/// A message as read, and where the next one begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredMessage {
    /// Its bytes.
    pub message: Vec<u8>,
    /// Offset of the next message.
    pub next: u64,
}

impl Segment {
    /// Where the first message begins.
    pub(super) const START: u64 = MAGIC.len() as u64;

    /// A new segment in `directory`.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(super) fn create(directory: &Path, first: u64) -> io::Result<Self> {
        let path = directory.join(format!("{first:020}.seg"));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&MAGIC, 0)?;
        Ok(Self { store: Store::File { file, path }, first, count: 0, bytes: Self::START })
    }

    /// A new segment in memory.
    pub(super) fn in_memory(first: u64) -> Self {
        Self { store: Store::Memory(MAGIC.to_vec()), first, count: 0, bytes: Self::START }
    }

    /// Opens the segment at `path` and truncates it after its last whole message. `None` if the
    /// file is not a segment.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let name = path.file_name().and_then(|n| n.to_str());
        let number = name.and_then(|n| n.strip_suffix(".seg")).filter(|n| n.len() == 20);
        let Some(first) = number.and_then(|n| n.parse().ok()) else { return Ok(None) };
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let store = Store::File { file, path: path.to_path_buf() };
        let mut segment = Self { store, first, count: 0, bytes: Self::START };
        let mut magic = [0; MAGIC.len()];
        let whole = segment.read_at(&mut magic, 0)? && magic == MAGIC;
        if whole {
            segment.scan()?;
        }
        if let Store::File { file, .. } = &segment.store {
            if !whole {
                file.set_len(0)?;
                file.write_all_at(&MAGIC, 0)?;
            }
            file.set_len(segment.bytes)?;
        }
        Ok(Some(segment))
    }

    /// Counts the whole messages.
    fn scan(&mut self) -> io::Result<()> {
        while self.count < u64::from(u32::MAX)
            && let Some(found) = self.read(self.bytes)?
        {
            self.bytes = found.next;
            self.count += 1;
        }
        Ok(())
    }

    /// Number of the message that would be written next.
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// Whether it is in memory only.
    pub(super) const fn is_in_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    /// Appends a message, whole or not at all.
    ///
    /// # Errors
    /// A disk error.
    pub(super) fn push(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let mut record = Vec::with_capacity(message.len() + HEADER_BYTES as usize);
        record.extend(length.to_le_bytes());
        record.extend(checksum(length, message).to_le_bytes());
        record.extend(message);
        match &mut self.store {
            Store::Memory(bytes) => bytes.extend(&record),
            Store::File { file, .. } => {
                if let Err(error) = file.write_all_at(&record, self.bytes) {
                    // If this fails too, the next message overwrites the partial one, or its
                    // wrong checksum makes the next open truncate it.
                    let _ = file.set_len(self.bytes);
                    return Err(error);
                }
            }
        }
        self.bytes += record.len() as u64;
        self.count += 1;
        Ok(())
    }

    /// The message at `offset`; `None` if none begins there, or it is not whole.
    ///
    /// # Errors
    /// A disk error.
    pub(super) fn read(&self, offset: u64) -> io::Result<Option<StoredMessage>> {
        let mut header = [0; HEADER_BYTES as usize];
        if !self.read_at(&mut header, offset)? {
            return Ok(None);
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length as usize > MAX_MESSAGE_BYTES {
            return Ok(None);
        }
        let mut message = vec![0; length as usize];
        let whole = self.read_at(&mut message, offset + HEADER_BYTES)?;
        let is_valid = whole && checksum(length, &message) == u32::from_le_bytes([c0, c1, c2, c3]);
        let next = offset + HEADER_BYTES + u64::from(length);
        Ok(is_valid.then_some(StoredMessage { message, next }))
    }

    /// Fills `into` from `offset`; `false` if there are too few bytes.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<bool> {
        match &self.store {
            Store::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = bytes.get(from..).and_then(|b| b.get(..into.len()));
                if let Some(part) = part {
                    into.copy_from_slice(part);
                }
                Ok(part.is_some())
            }
            Store::File { file, .. } => match file.read_exact_at(into, offset) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                Err(e) => Err(e),
            },
        }
    }

    /// Syncs it to the disk.
    ///
    /// # Errors
    /// A disk error.
    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.store {
            Store::File { file, .. } => file.sync_data(),
            Store::Memory(_) => Ok(()),
        }
    }

    /// Moves a segment from memory to `directory`; does nothing if it is a file already.
    ///
    /// # Errors
    /// A disk error; the segment then stays in memory.
    pub(super) fn move_to_disk(&mut self, directory: &Path) -> io::Result<()> {
        let Store::Memory(bytes) = &self.store else { return Ok(()) };
        let moved = Self::create(directory, self.first)?;
        if let Store::File { file, path } = &moved.store
            && let Err(error) = file.write_all_at(bytes, 0)
        {
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        self.store = moved.store;
        Ok(())
    }

    /// Removes the segment and its file.
    pub(super) fn remove(self) {
        if let Store::File { path, .. } = self.store {
            // If this fails, the stored position says that its messages were acknowledged.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn checksum(length: u32, message: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(message);
    hasher.finalize()
}
