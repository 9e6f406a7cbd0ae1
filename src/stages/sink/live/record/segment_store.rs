//! The folder of a recording: its segments, their removal, and the remains of a killed process.
//!
//! Touches only files of its name pattern ([`Naming::owns`]); never follows links to folders.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::naming::{Naming, PART, WHOLE};
use super::retention::{Rules, Segment, plan};

/// Maximum depth of folders that are searched.
const MAX_DEPTH: usize = 8;

/// A recording's folder.
#[derive(Clone, Debug)]
pub(super) struct SegmentStore {
    /// The folder.
    pub directory: PathBuf,
    /// The names in it.
    pub naming: Naming,
}

impl SegmentStore {
    /// Free bytes on its disk for an unprivileged user.
    ///
    /// # Errors
    /// Where the folder does not exist.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.directory)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Files of the pattern with `ending`.
    fn files(&self, ending: &str) -> Vec<Segment> {
        let mut found = Vec::new();
        self.walk(&self.directory, MAX_DEPTH, &mut |path| {
            let relative = path.strip_prefix(&self.directory).unwrap_or(path);
            if let Some(meta) = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)
                && self.naming.owns(relative, ending)
            {
                let at = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push(Segment { path: path.to_owned(), at, bytes: meta.len() });
            }
        });
        found
    }

    fn walk(&self, folder: &Path, depth: usize, each: &mut impl FnMut(&Path)) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.walk(&entry.path(), depth - 1, each),
                Ok(kind) if kind.is_file() => each(&entry.path()),
                _ => {}
            }
        }
    }

    /// Removes segments by the rules, and folders that are then empty. Gives the number of bytes removed.
    pub(super) fn tidy(&self, rules: Rules, now: SystemTime) -> u64 {
        let free = self.free_bytes().unwrap_or(u64::MAX);
        let mut bytes = 0;
        for segment in plan(self.files(WHOLE), rules, free, now) {
            match fs::remove_file(&segment.path) {
                Ok(()) => bytes += segment.bytes,
                Err(e) => tracing::warn!(file = %segment.path.display(), "cannot be removed: {e}"),
            }
            let parents = segment.path.ancestors().skip(1);
            for folder in parents.take_while(|f| *f != self.directory) {
                // Fails for a folder that is not empty.
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        bytes
    }

    /// Completes segments that a killed process left, or removes them where they hold no complete
    /// fragment.
    pub(super) fn adopt(&self) {
        for part in self.files(PART) {
            let outcome = match whole_bytes(&part.path) {
                Ok(None) => fs::remove_file(&part.path),
                Ok(Some(bytes)) => keep(&part.path, bytes),
                Err(e) => Err(e),
            };
            match outcome {
                Ok(()) => tracing::info!(file = %part.path.display(), "recovered after a kill"),
                Err(e) => tracing::warn!(file = %part.path.display(), "cannot be recovered: {e}"),
            }
        }
    }
}

fn keep(part: &Path, bytes: u64) -> io::Result<()> {
    let file = File::options().write(true).open(part)?;
    file.set_len(bytes)?;
    file.sync_all()?;
    // Its modification time stays near that of its last frame.
    name_whole(part).map(drop)
}

/// Renames a `.part` file to its final name, with a number where that name exists; syncs the folder.
///
/// # Errors
/// Where it cannot be renamed.
pub(super) fn name_whole(part: &Path) -> io::Result<PathBuf> {
    let stem = part.with_extension("").with_extension("");
    for number in 0.. {
        let whole = super::naming::with_ending(&stem, number, WHOLE);
        if whole.try_exists()? && number < 10_000 {
            continue;
        }
        fs::rename(part, &whole)?;
        if let Some(folder) = whole.parent() {
            let _ = File::open(folder).and_then(|f| f.sync_all());
        }
        return Ok(whole);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Bytes up to the end of the last complete fragment; `None` where there is none.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn whole_bytes(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut at, mut moof, mut whole) = (0, false, None);
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 16];
        file.read_exact(&mut head[..8])?;
        let (size, kind) = head[..8].split_at(4);
        let mut size = u64::from(u32::from_be_bytes(size.try_into().unwrap_or_default()));
        let kind: [u8; 4] = kind.try_into().unwrap_or_default();
        if size == 1 && at + 16 <= length {
            file.read_exact(&mut head[8..])?;
            size = u64::from_be_bytes(head[8..].try_into().unwrap_or_default());
        }
        if size < 8 || at.saturating_add(size) > length {
            break;
        }
        at += size;
        if moof && &kind == b"mdat" {
            whole = Some(at);
        }
        moof = &kind == b"moof";
    }
    Ok(whole)
}
