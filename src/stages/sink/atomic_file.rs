//! Output files that are whole or not there: written beside their name, renamed at the end.
//!
//! Takes the name a file shall have. Gives a writer ([`AtomicFile`]), or a path for a library that
//! opens files itself ([`AtomicPath`]); both write `.NAME.<pid>.part` in the same directory, so
//! that the final rename cannot cross file systems.
//!
//! Promises: under the final name lies the old file or the whole new one, never a part; what is
//! dropped without [`AtomicFile::commit`] is removed; data is on the disk before it gets its name.
//! Names that are not regular files (`/dev/stdout`, a named pipe) are written to directly, for a
//! rename would replace the device.
//!
//! Does not promise that a killed process (`kill -9`) leaves no `.part` file behind.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

pub use super::file_error::FileError;
use super::file_error::directory_of;

/// A file being written beside its name.
#[derive(Debug)]
pub struct AtomicFile {
    // Dropped before `place`, which removes the file.
    out: BufWriter<File>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Beside(AtomicPath),
    Direct(PathBuf),
}

impl AtomicFile {
    /// Begins a file that shall be called `path`.
    ///
    /// # Errors
    /// Where the file cannot be made there: better now than after an hour of work.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        if fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
            let file = OpenOptions::new().write(true).open(path);
            let file = file.map_err(|e| FileError::new(path, e))?;
            return Ok(Self { out: BufWriter::new(file), place: Place::Direct(path.into()) });
        }
        let (beside, file) = AtomicPath::open(path)?;
        Ok(Self { out: BufWriter::new(file), place: Place::Beside(beside) })
    }

    /// The name the file will have.
    pub fn path(&self) -> &Path {
        match &self.place {
            Place::Beside(p) => p.path(),
            Place::Direct(p) => p,
        }
    }

    /// Gives the finished file its name.
    ///
    /// # Errors
    /// Where the rest cannot be written; nothing is left behind then.
    pub fn commit(self) -> Result<(), FileError> {
        self.close(None)
    }

    /// Gives what was written so far the name `other` instead, in the same directory.
    ///
    /// # Errors
    /// As [`AtomicFile::commit`].
    pub fn keep_as(self, other: impl AsRef<Path>) -> Result<(), FileError> {
        self.close(Some(other.as_ref()))
    }

    fn close(self, other: Option<&Path>) -> Result<(), FileError> {
        let Self { mut out, place } = self;
        match place {
            Place::Direct(path) => out.flush().map_err(|e| FileError::new(&path, e)),
            Place::Beside(beside) => {
                out.flush().map_err(|e| FileError::new(beside.path(), e))?;
                drop(out);
                match other {
                    Some(other) => beside.keep_as(other),
                    None => beside.commit(),
                }
            }
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.out.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A path to be written by someone else, who opens it by name, and its later name.
#[derive(Debug)]
pub struct AtomicPath {
    temp: PathBuf,
    /// As the user gave it: for messages.
    path: PathBuf,
    /// Where it really lies: a link stays a link to the new file.
    target: PathBuf,
    done: bool,
}

impl AtomicPath {
    /// Begins a file that shall be called `path`; an empty one lies at [`AtomicPath::temp`] now.
    ///
    /// # Errors
    /// Where the file cannot be made there, or the name is that of a directory or a device.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::open(path.as_ref()).map(|(beside, _)| beside)
    }

    fn open(path: &Path) -> Result<(Self, File), FileError> {
        let target = match fs::metadata(path) {
            Ok(m) if m.is_dir() => return Err(FileError::IsDirectory(path.into())),
            Ok(m) if !m.is_file() => return Err(FileError::NotRegular(path.into())),
            Ok(_) => fs::canonicalize(path).map_err(|e| FileError::new(path, e))?,
            Err(_) => path.to_path_buf(),
        };
        if target.file_name().is_none() {
            return Err(FileError::IsDirectory(path.into()));
        }
        for attempt in 0_u32.. {
            let temp = beside(&target, attempt);
            match OpenOptions::new().write(true).create_new(true).open(&temp) {
                Ok(file) => {
                    return Ok((Self { temp, path: path.into(), target, done: false }, file));
                }
                // A second writer of the same name, or one left by a killed process.
                Err(e) if e.kind() == ErrorKind::AlreadyExists && attempt < 1000 => {}
                Err(e) => return Err(FileError::new(path, e)),
            }
        }
        Err(FileError::new(path, ErrorKind::AlreadyExists.into()))
    }

    /// Where to write.
    pub fn temp(&self) -> &Path {
        &self.temp
    }

    /// The name the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the finished file its name. Whoever wrote it must have closed it.
    ///
    /// # Errors
    /// Where the file cannot be brought to the disk or renamed; it is removed then.
    pub fn commit(self) -> Result<(), FileError> {
        let target = self.target.clone();
        self.rename_to(&target)
    }

    /// Gives the file the name `other` instead, in the same directory (e.g. `x.incomplete.mp4`).
    ///
    /// # Errors
    /// As [`AtomicPath::commit`].
    pub fn keep_as(self, other: impl AsRef<Path>) -> Result<(), FileError> {
        self.rename_to(other.as_ref())
    }

    fn rename_to(mut self, name: &Path) -> Result<(), FileError> {
        let moved = File::open(&self.temp)
            .and_then(|f| f.sync_all())
            .and_then(|()| fs::rename(&self.temp, name));
        moved.map_err(|e| FileError::new(&self.path, e))?;
        self.done = true;
        // The name itself is on the disk only after this; some file systems cannot do it, and the
        // file is whole without it.
        let _ = File::open(directory_of(name)).and_then(|d| d.sync_all());
        Ok(())
    }
}

impl Drop for AtomicPath {
    fn drop(&mut self) {
        if !self.done {
            // Nobody is left to tell, and a stray `.part` file does no harm.
            let _ = fs::remove_file(&self.temp);
        }
    }
}

/// The name for a file that was not finished: `a.annotated.mp4` becomes
/// `a.annotated.incomplete.mp4`.
pub fn incomplete_name(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(".incomplete");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `.NAME.<pid>.part` beside `path`, NAME shortened where the whole would be too long a name.
fn beside(path: &Path, attempt: u32) -> PathBuf {
    const LONGEST: usize = 200;
    let name = path.file_name().unwrap_or_default();
    let mut temp = OsString::from(".");
    if name.len() <= LONGEST {
        temp.push(name);
    } else {
        temp.push(name.to_string_lossy().chars().take(LONGEST / 4).collect::<String>());
    }
    let pid = std::process::id();
    temp.push(if attempt == 0 { format!(".{pid}.part") } else { format!(".{pid}-{attempt}.part") });
    directory_of(path).join(temp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("the directory is there")
            .map(|e| e.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("a b.jsonl");
        fs::write(&path, "old").expect("write");
        let mut file = AtomicFile::create(&path).expect("create");
        file.write_all(b"new").expect("write");
        let temp = format!(".a b.jsonl.{}.part", std::process::id());
        assert_eq!(names(dir.path()), [temp.as_str(), "a b.jsonl"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        file.commit().expect("commit");
        assert_eq!(names(dir.path()), ["a b.jsonl"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        drop(AtomicFile::create(&path).expect("create"));
        assert_eq!(names(dir.path()), ["a b.jsonl"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
    }

    #[test]
    fn what_was_done_can_be_kept_under_another_name() {
        let dir = tempfile::tempdir().expect("temp");
        let beside = AtomicPath::create(dir.path().join("out.mp4")).expect("create");
        fs::write(beside.temp(), "half").expect("another library writes it");
        beside.keep_as(dir.path().join("out.incomplete.mp4")).expect("keep");
        assert_eq!(names(dir.path()), ["out.incomplete.mp4"]);
    }

    #[test]
    fn two_writers_of_one_name_do_not_meet() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("x");
        let (a, b) = (AtomicFile::create(&path), AtomicFile::create(&path));
        let (mut a, mut b) = (a.expect("a"), b.expect("b"));
        a.write_all(b"a").expect("a");
        b.write_all(b"b").expect("b");
        a.commit().expect("a");
        assert_eq!(fs::read_to_string(&path).expect("read"), "a");
        b.commit().expect("b");
        assert_eq!(fs::read_to_string(&path).expect("read"), "b");
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().expect("temp");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old").expect("write");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        let mut file = AtomicFile::create(&link).expect("create");
        file.write_all(b"new").expect("write");
        file.commit().expect("commit");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("read"), "new");
    }

    #[test]
    fn errors_name_the_file_and_tell_the_reasons_apart() {
        let dir = tempfile::tempdir().expect("temp");
        let gone = AtomicFile::create(dir.path().join("no/such/x.csv")).expect_err("no directory");
        assert!(matches!(&gone, FileError::NoDirectory { dir, .. } if dir.ends_with("no/such")));
        assert!(gone.to_string().contains("x.csv"), "{gone}");
        assert_eq!(gone.exit(), crate::core::exit::Exit::CannotCreate);
        let is_dir = AtomicFile::create(dir.path()).expect_err("a directory");
        assert!(matches!(is_dir, FileError::IsDirectory(_)));
        let device = AtomicPath::create("/dev/null").expect_err("a device");
        assert!(matches!(device, FileError::NotRegular(_)));
        let denied = FileError::new(Path::new("x"), ErrorKind::PermissionDenied.into());
        assert!(matches!(denied, FileError::NotPermitted { .. }));
        let long = AtomicFile::create(dir.path().join("y".repeat(250))).expect("a long name");
        long.commit().expect("commit");
    }

    #[test]
    fn a_device_is_written_to_and_a_full_one_is_an_error() {
        let mut full = AtomicFile::create("/dev/full").expect("a device of every Linux");
        full.write_all(b"x").expect("buffered");
        assert!(full.commit().expect_err("full").is_no_space());
        AtomicFile::create("/dev/null").expect("open").commit().expect("commit");
        assert!(!fs::metadata("/dev/null").expect("still there").is_file());
    }
}
