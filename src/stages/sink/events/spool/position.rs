//! The read position of a spool, kept across restarts. Its file is also the lock between processes.
//!
//! Twelve bytes in one file: the number of the first message that is not acknowledged (u64, little
//! endian) and its CRC-32. Written in place in one write. If it cannot be read, all messages in the
//! spool are sent again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const NAME: &str = "position";
const BYTES: usize = 12;

/// The file, locked until this is dropped.
#[derive(Debug)]
pub(super) struct Position(File);

impl Position {
    /// Opens the file in `directory`; returns it and the stored number.
    ///
    /// # Errors
    /// `WouldBlock` if another process has locked it; otherwise a disk error.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, u64)> {
        let path = directory.join(NAME);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut bytes = [0; BYTES];
        let number = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => parse(bytes).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        Ok((Self(file), number))
    }

    /// Stores `number`.
    ///
    /// # Errors
    /// A disk error.
    pub(super) fn store(&self, number: u64) -> io::Result<()> {
        let mut bytes = [0; BYTES];
        let (value, check) = bytes.split_at_mut(8);
        value.copy_from_slice(&number.to_le_bytes());
        check.copy_from_slice(&crc32fast::hash(value).to_le_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

fn parse(bytes: [u8; BYTES]) -> Option<u64> {
    let (value, check) = bytes.split_at(8);
    let is_valid = crc32fast::hash(value).to_le_bytes() == check;
    is_valid.then(|| u64::from_le_bytes(value.try_into().unwrap_or_default()))
}
