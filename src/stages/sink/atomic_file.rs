//! Output files that appear whole or not at all: written to a temporary name, renamed at the end.
//!
//! [`AtomicFile`] is a writer. [`AtomicPath`] is a path for a library that opens files itself. Both
//! write to `.NAME.<random>.part` in the same directory, so the rename never crosses file systems.
//!
//! Guarantees: the final name holds the old file or the whole new one. A file that is dropped
//! without [`AtomicFile::commit`] is removed. The data is on disk before the file gets its name.
//! Devices and named pipes (e.g. `/dev/stdout`) are written directly, as a rename would replace
//! them.
//!
//! A killed process (`kill -9`) may leave a `.part` file behind.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

pub use super::file_error::FileError;
use super::file_error::directory_of;

/// A file that gets its name when it is complete.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    // Dropped before `destination`, which removes the file.
    out: BufWriter<File>,
    destination: Destination,
}

#[derive(Debug)]
enum Destination {
    Temporary(AtomicPath),
    Direct(PathBuf),
}

impl AtomicFile {
    /// Starts a file with the later name `path`.
    ///
    /// # Errors
    /// If the file cannot be created there: better now than after an hour of work.
    pub(crate) fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        if fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
            let file = OpenOptions::new().write(true).open(path);
            let file = file.map_err(|e| FileError::new(path, e))?;
            let destination = Destination::Direct(path.into());
            return Ok(Self { out: BufWriter::new(file), destination });
        }
        let (file, atomic_path) = AtomicPath::open(path)?;
        let destination = Destination::Temporary(atomic_path);
        Ok(Self { out: BufWriter::new(file), destination })
    }

    /// The final name.
    pub(crate) fn path(&self) -> &Path {
        match &self.destination {
            Destination::Temporary(atomic_path) => atomic_path.path(),
            Destination::Direct(path) => path,
        }
    }

    /// Gives the finished file its name.
    ///
    /// # Errors
    /// If the rest cannot be written. The temporary file is removed then.
    pub(crate) fn commit(self) -> Result<(), FileError> {
        self.close(None)
    }

    /// Gives what was written so far the name `other` instead, in the same directory.
    ///
    /// # Errors
    /// As [`AtomicFile::commit`].
    pub(crate) fn commit_as(self, other: impl AsRef<Path>) -> Result<(), FileError> {
        self.close(Some(other.as_ref()))
    }

    fn close(self, other: Option<&Path>) -> Result<(), FileError> {
        let Self { mut out, destination } = self;
        match destination {
            Destination::Direct(path) => out.flush().map_err(|e| FileError::new(&path, e)),
            Destination::Temporary(atomic_path) => {
                out.flush().map_err(|e| FileError::new(atomic_path.path(), e))?;
                drop(out);
                match other {
                    Some(other) => atomic_path.commit_as(other),
                    None => atomic_path.commit(),
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

/// A temporary path for a library that opens files by name, and the later name.
#[derive(Debug)]
pub(crate) struct AtomicPath {
    temp: TempPath,
    /// As the user gave it, for messages.
    path: PathBuf,
    /// The resolved path: a symbolic link stays a link, to the new file.
    target: PathBuf,
}

impl AtomicPath {
    /// Starts a file with the later name `path`. Creates an empty file at [`AtomicPath::temp`].
    ///
    /// # Errors
    /// If the file cannot be created there, or `path` is a directory or a device.
    pub(crate) fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::open(path.as_ref()).map(|(_, atomic_path)| atomic_path)
    }

    fn open(path: &Path) -> Result<(File, Self), FileError> {
        let target = match fs::metadata(path) {
            Ok(m) if m.is_dir() => return Err(FileError::IsDirectory(path.into())),
            Ok(m) if !m.is_file() => return Err(FileError::NotRegular(path.into())),
            Ok(_) => fs::canonicalize(path).map_err(|e| FileError::new(path, e))?,
            Err(_) => path.to_path_buf(),
        };
        if target.file_name().is_none() {
            return Err(FileError::IsDirectory(path.into()));
        }
        // As for any new file, the umask decides; a temporary file's own default is 0600.
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .prefix(&temp_prefix(&target))
            .suffix(".part")
            .tempfile_in(directory_of(&target));
        let (file, temp) = file.map_err(|e| FileError::new(path, e))?.into_parts();
        Ok((file, Self { temp, path: path.into(), target }))
    }

    /// Where to write.
    pub(crate) fn temp(&self) -> &Path {
        &self.temp
    }

    /// The final name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the finished file its name. Its writer must have closed it.
    ///
    /// # Errors
    /// If the file cannot be synced or renamed. It is removed then.
    pub(crate) fn commit(self) -> Result<(), FileError> {
        let target = self.target.clone();
        self.rename_to(&target)
    }

    /// Gives the file the name `other` instead, in the same directory (e.g. `x.incomplete.mp4`).
    ///
    /// # Errors
    /// As [`AtomicPath::commit`].
    pub(crate) fn commit_as(self, other: impl AsRef<Path>) -> Result<(), FileError> {
        self.rename_to(other.as_ref())
    }

    fn rename_to(self, name: &Path) -> Result<(), FileError> {
        let Self { temp, path, .. } = self;
        let synced = File::open(&temp).and_then(|f| f.sync_all());
        synced.map_err(|e| FileError::new(&path, e))?;
        temp.persist(name).map_err(|e| FileError::new(&path, e.error))?;
        // Only this puts the name on disk. Some file systems cannot do it; the file is whole
        // without it.
        let _ = File::open(directory_of(name)).and_then(|d| d.sync_all());
        Ok(())
    }
}

/// The name of an unfinished file: `a.annotated.mp4` becomes `a.annotated.incomplete.mp4`.
pub(crate) fn incomplete_name(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(".incomplete");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `.NAME.`, with NAME shortened so that the temporary name fits the file system's limit.
fn temp_prefix(path: &Path) -> OsString {
    const MAX_NAME_BYTES: usize = 200;
    let name = path.file_name().unwrap_or_default();
    let mut prefix = OsString::from(".");
    if name.len() <= MAX_NAME_BYTES {
        prefix.push(name);
    } else {
        let start = name.to_string_lossy().chars().take(MAX_NAME_BYTES / 4).collect::<String>();
        prefix.push(start);
    }
    prefix.push(".");
    prefix
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

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
        let [temp, last] = names(dir.path()).try_into().expect("two files");
        assert!(temp.starts_with(".a b.jsonl.") && temp.ends_with(".part"), "{temp}");
        assert_eq!(last, "a b.jsonl");
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        file.commit().expect("commit");
        assert_eq!(names(dir.path()), ["a b.jsonl"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        drop(AtomicFile::create(&path).expect("create"));
        assert_eq!(names(dir.path()), ["a b.jsonl"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
    }

    #[test]
    fn a_part_can_be_committed_under_another_name() {
        let dir = tempfile::tempdir().expect("temp");
        let atomic_path = AtomicPath::create(dir.path().join("out.mp4")).expect("create");
        fs::write(atomic_path.temp(), "half").expect("another library writes it");
        atomic_path.commit_as(dir.path().join("out.incomplete.mp4")).expect("keep");
        assert_eq!(names(dir.path()), ["out.incomplete.mp4"]);
    }

    #[test]
    fn two_writers_of_one_name_use_separate_files() {
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
    fn a_new_file_has_the_mode_of_any_new_file() {
        let dir = tempfile::tempdir().expect("temp");
        let (plain, atomic) = (dir.path().join("plain"), dir.path().join("atomic"));
        File::create(&plain).expect("create");
        AtomicFile::create(&atomic).expect("create").commit().expect("commit");
        let mode = |path| fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&atomic), mode(&plain));
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
    fn errors_name_the_file_and_distinguish_the_reasons() {
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
    fn a_device_is_written_directly_and_a_full_one_is_an_error() {
        let mut full = AtomicFile::create("/dev/full").expect("a device of every Linux");
        full.write_all(b"x").expect("buffered");
        assert!(full.commit().expect_err("full").is_no_space());
        AtomicFile::create("/dev/null").expect("open").commit().expect("commit");
        assert!(!fs::metadata("/dev/null").expect("still there").is_file());
    }
}
