//! An append-only file that is rotated by size: `NAME`, `NAME.1`, `NAME.2`…
//!
//! Promises: a line is never split between two files; a file is synced before it is renamed; a line
//! cut off by a crash is terminated before the next one is appended; a file that was moved or
//! removed from outside is created again.
//!
//! The crate file-rotate neither syncs, nor rotates before the limit, nor undoes a partial write.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// When to rotate, and how many files to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Size limit of a file: it is renamed before it would exceed this.
    pub bytes: u64,
    /// Number of renamed files to keep; with 0 the file is truncated instead.
    pub keep: u32,
}

/// See the module.
pub(super) struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: File,
    bytes: u64,
    /// The last line is cut off: by a crash, or by a full disk.
    torn: bool,
}

impl RotatingFile {
    /// A file at `path`; nothing is opened yet.
    pub(super) fn new(path: &Path, rotation: Rotation) -> Self {
        Self { path: path.to_path_buf(), rotation, open: None }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `lines` (each with its line feed) in one write. Rotates first if the file would
    /// exceed its limit.
    ///
    /// # Errors
    /// Where the file cannot be created, renamed or written. Then nothing of `lines` counts as
    /// written, and the next call opens the file again.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if !self.is_current() {
            self.open = None;
        }
        let max_bytes = self.rotation.bytes;
        let open = self.open_file()?;
        if open.bytes > 0 && open.bytes + lines.len() as u64 > max_bytes {
            self.rotate()?;
        }
        let outcome = self.open_file()?.append(lines);
        if outcome.is_err() {
            // Opened again next time: the directory may have been replaced by then.
            self.open = None;
        }
        outcome
    }

    /// Whether the open file is still the one at its path.
    fn is_current(&self) -> bool {
        let Some(open) = &self.open else { return false };
        match (open.file.metadata(), fs::metadata(&self.path)) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()) && b.len() >= open.bytes,
            _ => false,
        }
    }

    fn open_file(&mut self) -> io::Result<&mut OpenFile> {
        if self.open.is_none() {
            if let Some(directory) = self.path.parent() {
                fs::create_dir_all(directory)?;
            }
            self.open = Some(OpenFile::new(&self.path)?);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Syncs the file, then renames it and all older ones to the next number.
    fn rotate(&mut self) -> io::Result<()> {
        if let Some(open) = self.open.take() {
            open.file.sync_all()?;
        }
        if self.rotation.keep == 0 {
            return File::create(&self.path).map(drop);
        }
        for n in (1..=self.rotation.keep).rev() {
            let from = if n == 1 { self.path.clone() } else { self.numbered(n - 1) };
            match fs::rename(from, self.numbered(n)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
        // Makes the new names durable; some file systems do not support it.
        let directory = self.path.parent().filter(|d| !d.as_os_str().is_empty());
        let _ = File::open(directory.unwrap_or(Path::new("."))).and_then(|d| d.sync_all());
        Ok(())
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }
}

impl OpenFile {
    fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        let bytes = metadata.len();
        let mut last = [b'\n'];
        if bytes > 0 && metadata.is_file() {
            file.read_exact_at(&mut last, bytes - 1)?;
        }
        Ok(Self { file, bytes, torn: last != [b'\n'] })
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            (self.torn, self.bytes) = (false, self.bytes + 1);
        }
        let before = self.bytes;
        let outcome = self.file.write_all(lines);
        match outcome {
            Ok(()) => self.bytes += lines.len() as u64,
            // Undoes a partial write, so that no line is in the file twice. Where that fails, the
            // torn line is terminated when the file is opened again.
            Err(_) => drop(self.file.set_len(before)),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|_| "none".to_owned())
    }

    #[test]
    fn it_is_rotated_by_size_and_the_oldest_is_removed() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("new/e.jsonl");
        let mut file = RotatingFile::new(&path, Rotation { bytes: 4, keep: 2 });
        for line in ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] {
            file.append(line.as_bytes()).expect("append");
        }
        let numbered = |n: u32| read(&file.numbered(n));
        assert_eq!(read(&path), "g\n");
        assert_eq!(
            (numbered(1), numbered(2), numbered(3)),
            ("e\nf\n".to_owned(), "c\nd\n".to_owned(), "none".to_owned())
        );
        let mut file = RotatingFile::new(&path, Rotation { bytes: 4, keep: 0 });
        file.append(b"long line\n").expect("append");
        assert_eq!((read(&path), read(&file.numbered(1))), ("long line\n".into(), "e\nf\n".into()));
    }

    #[test]
    fn a_torn_line_is_terminated_and_a_removed_file_created_again() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("e.jsonl");
        fs::write(&path, "whole\nto").expect("write");
        let mut file = RotatingFile::new(&path, Rotation { bytes: 1 << 20, keep: 1 });
        file.append(b"next\n").expect("append");
        assert_eq!(read(&path), "whole\nto\nnext\n");
        fs::rename(&path, dir.path().join("moved")).expect("rename");
        file.append(b"other\n").expect("append");
        assert_eq!(read(&path), "other\n");
        fs::write(&path, "").expect("truncated from outside");
        file.append(b"more\n").expect("append");
        assert_eq!(read(&path), "more\n");
    }
}
