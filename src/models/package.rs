//! A model package: opened only if complete, written atomically.
//!
//! Takes a directory or a built-in package; gives the checked manifest and the paths of its files.
//! `open` reads every file once and compares its SHA-256, so that a damaged or incomplete package
//! is an error at start that names the file, and not a wrong score later. `write` fills a directory
//! beside the final one and renames it: no reader sees a partial package.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::built_in::BuiltIn;
use super::error::ModelError;
use super::manifest::{
    DETECTOR_KIND, DetectorManifest, FileName, MANIFEST_FILE, Manifest, Model, SPEAKER_KIND,
    Sha256, SpeakerManifest,
};

/// The location of a package.
#[derive(Clone, Debug)]
pub enum PackageLocation {
    /// A directory.
    Dir(PathBuf),
    /// The program itself.
    BuiltIn(&'static BuiltIn),
}

impl PackageLocation {
    /// The package's name for `--package` and `--detector`: its directory's name.
    pub fn name(&self) -> String {
        match self {
            Self::Dir(dir) => dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::BuiltIn(package) => package.name.to_owned(),
        }
    }

    /// The directory; `None` for a built-in package.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Dir(dir) => Some(dir),
            Self::BuiltIn(_) => None,
        }
    }

    /// The path of a file of the package; a descriptive one for a built-in package.
    pub fn path(&self, file: &str) -> PathBuf {
        match self {
            Self::Dir(dir) => dir.join(file),
            Self::BuiltIn(package) => Path::new("(built in)").join(package.name).join(file),
        }
    }

    fn read(&self, file: &str) -> Result<Cow<'static, [u8]>, ModelError> {
        let path = self.path(file);
        match self {
            Self::Dir(_) => Ok(fs::read(&path).map_err(ModelError::read(&path))?.into()),
            Self::BuiltIn(package) => {
                let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
                let bytes = package.file(file).ok_or_else(missing);
                Ok(bytes.map_err(ModelError::read(&path))?.into())
            }
        }
    }

    fn manifest_text(&self) -> Result<String, ModelError> {
        let dir = match self {
            Self::BuiltIn(package) => return Ok(package.manifest.to_owned()),
            Self::Dir(dir) => dir,
        };
        let file = dir.join(MANIFEST_FILE);
        if !file.is_file() {
            fs::read_dir(dir).map_err(ModelError::read(dir))?;
            return Err(ModelError::NotAPackage { dir: dir.clone() });
        }
        let length = fs::metadata(&file).map_err(ModelError::read(&file))?.len();
        if length > MAX_MANIFEST_BYTES {
            let problem = format!("the file has {length} bytes, too many for a manifest");
            return Err(ModelError::Syntax { file, line: 1, problem });
        }
        fs::read_to_string(&file).map_err(ModelError::read(&file))
    }
}

impl fmt::Display for PackageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => dir.display().fmt(f),
            Self::BuiltIn(_) => f.write_str("(built in)"),
        }
    }
}

/// A package with a checked manifest whose files match it.
#[derive(Clone, Debug)]
pub struct Package {
    location: PackageLocation,
    manifest: Manifest,
}

/// The largest manifest that is read; a real one has about 3 KiB.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

impl Package {
    /// Opens the package in `dir` and verifies every file's checksum.
    ///
    /// # Errors
    /// A missing or invalid manifest, a missing or changed file.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::open_at(&PackageLocation::Dir(dir.as_ref().into()))
    }

    /// Opens the package at `location` and verifies every file's checksum.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(location: &PackageLocation) -> Result<Self, ModelError> {
        let package = Self::open_unverified(location)?;
        for (name, expected) in &package.manifest.common.files {
            let found = Sha256::of(&package.location.read(name.as_str())?);
            if found != *expected {
                let file = package.path(name);
                let (expected, found) = (expected.to_string(), found.to_string());
                return Err(ModelError::Checksum { file, expected, found });
            }
        }
        Ok(package)
    }

    /// Reads the manifest only, for listings; the files are not verified.
    ///
    /// # Errors
    /// A missing or invalid manifest.
    pub fn open_unverified(location: &PackageLocation) -> Result<Self, ModelError> {
        let text = location.manifest_text()?;
        let manifest = Manifest::parse(&text, &location.path(MANIFEST_FILE))?;
        Ok(Self { manifest, location: location.clone() })
    }

    /// The package's location.
    pub const fn location(&self) -> &PackageLocation {
        &self.location
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&self, file: &FileName) -> Result<Cow<'static, [u8]>, ModelError> {
        self.location.read(file.as_str())
    }

    /// The whole manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of a file of the package; a descriptive one for a built-in package.
    pub fn path(&self, file: &FileName) -> PathBuf {
        self.location.path(file.as_str())
    }

    /// The manifest of a speaker package.
    ///
    /// # Errors
    /// [`ModelError::WrongKind`] for another kind.
    pub fn speaker(&self) -> Result<&SpeakerManifest, ModelError> {
        match &self.manifest.model {
            Model::Speaker(speaker) => Ok(speaker),
            other @ Model::Detector(_) => Err(self.wrong_kind(SPEAKER_KIND, other)),
        }
    }

    /// The manifest of a detector package.
    ///
    /// # Errors
    /// [`ModelError::WrongKind`] for another kind.
    pub fn detector(&self) -> Result<&DetectorManifest, ModelError> {
        match &self.manifest.model {
            Model::Detector(detector) => Ok(detector),
            other @ Model::Speaker(_) => Err(self.wrong_kind(DETECTOR_KIND, other)),
        }
    }

    fn wrong_kind(&self, expected: &'static str, found: &Model) -> ModelError {
        let package = self.location.to_string();
        ModelError::WrongKind { package, expected, found: found.kind() }
    }
}

/// Writes a manifest and its files into a sibling of `dir`, and renames it to `dir`. An older
/// package there is replaced; other content is not.
///
/// # Errors
/// Other content in `dir`, an invalid manifest, or a failed write.
pub(crate) fn write(
    dir: &Path,
    manifest: &str,
    files: &[(FileName, Vec<u8>)],
) -> Result<Package, ModelError> {
    Manifest::parse(manifest, &dir.join(MANIFEST_FILE))?;
    let occupied = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if (occupied || dir.is_file()) && !dir.join(MANIFEST_FILE).is_file() {
        return Err(ModelError::NotReplaceable { dir: dir.into() });
    }
    let partial = sibling(dir, "partial");
    let outcome = write_files(&partial, manifest, files).and_then(|()| replace_dir(&partial, dir));
    if let Err(error) = outcome {
        // Report the first error; a leftover beside the target is harmless.
        let _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    Package::open(dir)
}

fn write_files(
    partial: &Path,
    manifest: &str,
    files: &[(FileName, Vec<u8>)],
) -> Result<(), ModelError> {
    if partial.exists() {
        fs::remove_dir_all(partial).map_err(ModelError::write(partial))?;
    }
    fs::create_dir_all(partial).map_err(ModelError::write(partial))?;
    let manifest = (MANIFEST_FILE, manifest.as_bytes());
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in files.chain([manifest]) {
        let path = partial.join(name);
        let mut file = fs::File::create(&path).map_err(ModelError::write(&path))?;
        std::io::Write::write_all(&mut file, bytes).map_err(ModelError::write(&path))?;
        file.sync_all().map_err(ModelError::write(&path))?;
    }
    Ok(())
}

fn replace_dir(partial: &Path, dir: &Path) -> Result<(), ModelError> {
    if !dir.exists() {
        return fs::rename(partial, dir).map_err(ModelError::write(dir));
    }
    let old = sibling(dir, "old");
    if old.exists() {
        fs::remove_dir_all(&old).map_err(ModelError::write(&old))?;
    }
    fs::rename(dir, &old).map_err(ModelError::write(dir))?;
    if let Err(source) = fs::rename(partial, dir) {
        // Restore the old package, so that a failed import changes nothing.
        fs::rename(&old, dir).map_err(ModelError::write(dir))?;
        return Err(ModelError::Write { path: dir.into(), source });
    }
    fs::remove_dir_all(&old).map_err(ModelError::write(&old))
}

/// A hidden sibling of `dir` on the same file system, so that a rename is atomic.
fn sibling(dir: &Path, word: &str) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.{word}-{}", std::process::id()))
}
