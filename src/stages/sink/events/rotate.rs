//! A file that only grows at its end, and is renamed when it is large: `NAME`, `NAME.1`, `NAME.2`…
//!
//! Promises: a line is whole in one file; what was written before a rename is on the disk before
//! it; a line that a crash left half written is ended before anything follows it; a file that
//! was moved or removed by someone else is made anew.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// When to rename, and how many to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Renamed before it would be larger than this.
    pub bytes: u64,
    /// Renamed files kept; with 0 it is emptied instead.
    pub keep: u32,
}

/// See the module.
pub struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
}

struct Open {
    file: File,
    bytes: u64,
    /// A line was cut off: by a crash, or by a disk that became full.
    torn: bool,
}

impl RotatingFile {
    /// A file called `path`; nothing is opened yet.
    pub fn new(path: &Path, rotation: Rotation) -> Self {
        Self { path: path.to_path_buf(), rotation, open: None }
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `lines` (each with its line feed) in one piece, after a rename where they would make
    /// the file too large.
    ///
    /// # Errors
    /// Where the file cannot be made, renamed or written; nothing of `lines` counts as written
    /// then, and the next call tries everything anew.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if !self.is_ours() {
            self.open = None;
        }
        let most = self.rotation.bytes;
        let open = self.opened()?;
        if open.bytes > 0 && open.bytes + lines.len() as u64 > most {
            self.rotate()?;
        }
        let outcome = self.opened()?.append(lines);
        if outcome.is_err() {
            // Opened anew next time: the directory may be another by then.
            self.open = None;
        }
        outcome
    }

    /// Whether the open file is still the one under its name.
    fn is_ours(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let (ours, named) = (open.file.metadata(), fs::metadata(&self.path));
        match (ours, named) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()) && b.len() >= open.bytes,
            _ => false,
        }
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        if self.open.is_none() {
            if let Some(directory) = self.path.parent() {
                fs::create_dir_all(directory)?;
            }
            self.open = Some(Open::new(&self.path)?);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Brings the file to the disk and renames it and its elders by one.
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
        // The names are on the disk only after this; some file systems cannot do it.
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

impl Open {
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
            // What was written of them is taken back, so that none is in the file twice. Where that
            // does not work, it is ended as a torn line when the file is opened again.
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
    fn it_is_renamed_by_size_and_the_oldest_goes() {
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
    fn a_torn_line_is_ended_and_a_removed_file_made_anew() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("e.jsonl");
        fs::write(&path, "whole\nto").expect("write");
        let mut file = RotatingFile::new(&path, Rotation { bytes: 1 << 20, keep: 1 });
        file.append(b"next\n").expect("append");
        assert_eq!(read(&path), "whole\nto\nnext\n");
        fs::rename(&path, dir.path().join("moved")).expect("rename");
        file.append(b"other\n").expect("append");
        assert_eq!(read(&path), "other\n");
        fs::write(&path, "").expect("emptied by someone else");
        file.append(b"more\n").expect("append");
        assert_eq!(read(&path), "more\n");
    }
}
