//! One stretch of a spool: messages one behind the other, each with its length and a checksum.
//!
//! A segment begins with [`MAGIC`]; a message is its length (u32, little endian), the CRC-32 of
//! length and bytes, and the bytes. Reading stops at the first message that is not whole, so that
//! a tail torn off by a crash is as if it had never been written. Lies in a file, or in memory
//! while the disk refuses.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The first bytes of every segment: what it is, and the version of its form.
pub const MAGIC: [u8; 8] = *b"locspl\x00\x01";
/// Bytes before a message's own.
const FRAME: u64 = 8;
/// No message is larger: a length above this is damage, and nothing is allocated for it.
pub const LARGEST_MESSAGE: usize = 1 << 20;

/// Where a segment's bytes are.
#[derive(Debug)]
enum Store {
    /// The file stays open: it can be read even where someone removes it.
    File {
        file: File,
        path: PathBuf,
    },
    Memory(Vec<u8>),
}

/// See the module.
#[derive(Debug)]
pub struct Segment {
    store: Store,
    /// Number of its first message, counted over the spool's whole life.
    pub first: u64,
    /// Whole messages in it.
    pub count: u64,
    /// Bytes up to the end of the last whole message.
    pub bytes: u64,
}

/// A message and where the next one begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub message: Vec<u8>,
    /// Offset of the next.
    pub next: u64,
}

impl Segment {
    /// Where the first message begins.
    pub const START: u64 = MAGIC.len() as u64;

    /// A new segment in `directory`.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(directory: &Path, first: u64) -> io::Result<Self> {
        let path = directory.join(format!("{first:020}.seg"));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&MAGIC, 0)?;
        Ok(Self { store: Store::File { file, path }, first, count: 0, bytes: Self::START })
    }

    /// A new segment in memory.
    pub fn in_memory(first: u64) -> Self {
        Self { store: Store::Memory(MAGIC.to_vec()), first, count: 0, bytes: Self::START }
    }

    /// The segment that lies at `path`, up to its last whole message; what follows is cut off.
    /// `None` where the file is none of a spool's.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
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
    pub const fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// Whether it lies in memory only.
    pub const fn is_in_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    /// Appends a message, whole or not at all.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn push(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let mut framed = Vec::with_capacity(message.len() + FRAME as usize);
        framed.extend(length.to_le_bytes());
        framed.extend(checksum(length, message).to_le_bytes());
        framed.extend(message);
        match &mut self.store {
            Store::Memory(bytes) => bytes.extend(&framed),
            Store::File { file, .. } => {
                if let Err(error) = file.write_all_at(&framed, self.bytes) {
                    // What was written of it is overwritten by the next one, or cut off when the
                    // spool is opened again: its checksum is not right.
                    let _ = file.set_len(self.bytes);
                    return Err(error);
                }
            }
        }
        self.bytes += framed.len() as u64;
        self.count += 1;
        Ok(())
    }

    /// The message at `offset`; `None` where none begins there, or it is not whole.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn read(&self, offset: u64) -> io::Result<Option<Found>> {
        let mut frame = [0; FRAME as usize];
        if !self.read_at(&mut frame, offset)? {
            return Ok(None);
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = frame;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length as usize > LARGEST_MESSAGE {
            return Ok(None);
        }
        let mut message = vec![0; length as usize];
        let whole = self.read_at(&mut message, offset + FRAME)?;
        let right = whole && checksum(length, &message) == u32::from_le_bytes([c0, c1, c2, c3]);
        Ok(right.then(|| Found { message, next: offset + FRAME + u64::from(length) }))
    }

    /// Fills `into` from `offset`; `false` where there are not so many bytes.
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

    /// Brings it to the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        match &self.store {
            Store::File { file, .. } => file.sync_data(),
            Store::Memory(_) => Ok(()),
        }
    }

    /// Moves a segment from memory to `directory`; nothing changes where it is there already.
    ///
    /// # Errors
    /// Where the disk refuses; it stays in memory then.
    pub fn settle(&mut self, directory: &Path) -> io::Result<()> {
        let Store::Memory(bytes) = &self.store else { return Ok(()) };
        let settled = Self::create(directory, self.first)?;
        if let Store::File { file, path } = &settled.store
            && let Err(error) = file.write_all_at(bytes, 0)
        {
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        self.store = settled.store;
        Ok(())
    }

    /// Removes it for good.
    pub fn remove(self) {
        if let Store::File { path, .. } = self.store {
            // Where it cannot be removed, the position says that it was read.
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
