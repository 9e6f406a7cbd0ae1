//! A model package: opened only if it is whole, written only as a whole.
//!
//! Takes a directory, or a package within the program; gives the checked manifest and the paths of its files. `open` reads every
//! file once and compares its SHA-256, so that a damaged download or a half-copied package is
//! told at start and by name, not as a strange score later. `write` puts everything into a
//! directory beside the final one and renames: no reader ever sees half a package.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::ModelError;
use super::built_in::BuiltIn;
use super::manifest::{
    DETECTOR_KIND, DetectorManifest, FileName, MANIFEST_FILE, Manifest, Model, SPEAKER_KIND,
    Sha256, SpeakerManifest,
};

/// Where a package lies.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a directory.
    Dir(PathBuf),
    /// Within the program.
    BuiltIn(&'static BuiltIn),
}

impl Place {
    /// The name by which `--package` and `--detector` know the package: its directory's.
    pub fn name(&self) -> String {
        match self {
            Self::Dir(dir) => dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::BuiltIn(package) => package.name.to_owned(),
        }
    }

    /// The directory, where it is one.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Dir(dir) => Some(dir),
            Self::BuiltIn(_) => None,
        }
    }

    /// Where a file of the package lies; of one within the program, what to call it.
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
        if length > MANIFEST_MOST_BYTES {
            let problem = format!("the file has {length} bytes, which no manifest has");
            return Err(ModelError::Syntax { file, line: 1, problem });
        }
        fs::read_to_string(&file).map_err(ModelError::read(&file))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => dir.display().fmt(f),
            Self::BuiltIn(_) => f.write_str("(built in)"),
        }
    }
}

/// A package whose manifest is checked and whose files are the ones that it was written for.
#[derive(Clone, Debug)]
pub struct Package {
    place: Place,
    manifest: Manifest,
}

/// The longest manifest that is read; a real one has about 3 KiB.
const MANIFEST_MOST_BYTES: u64 = 1 << 20;

impl Package {
    /// Opens the package in `dir` and compares every file's sum.
    ///
    /// # Errors
    /// No manifest, a manifest that is wrong, a file that is missing or was changed.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::open_at(&Place::Dir(dir.as_ref().into()))
    }

    /// Opens the package that lies at `place` and compares every file's sum.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(place: &Place) -> Result<Self, ModelError> {
        let package = Self::open_unverified(place)?;
        for (name, expected) in &package.manifest.common.files {
            let found = Sha256::of(&package.place.read(name.as_str())?);
            if found != *expected {
                let file = package.path(name);
                let (expected, found) = (expected.to_string(), found.to_string());
                return Err(ModelError::Checksum { file, expected, found });
            }
        }
        Ok(package)
    }

    /// Reads the manifest only, for listings; the files may be anything.
    ///
    /// # Errors
    /// No manifest, or a manifest that is wrong.
    pub fn open_unverified(place: &Place) -> Result<Self, ModelError> {
        let text = place.manifest_text()?;
        let manifest = Manifest::parse(&text, &place.path(MANIFEST_FILE))?;
        Ok(Self { manifest, place: place.clone() })
    }

    /// Where the package lies.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(&self, file: &FileName) -> Result<Cow<'static, [u8]>, ModelError> {
        self.place.read(file.as_str())
    }

    /// The whole manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where a file of the package lies; of one within the program, what to call it.
    pub fn path(&self, file: &FileName) -> PathBuf {
        self.place.path(file.as_str())
    }

    /// The manifest of a speaker package.
    ///
    /// # Errors
    /// [`ModelError::WrongKind`] where it is another kind.
    pub fn speaker(&self) -> Result<&SpeakerManifest, ModelError> {
        match &self.manifest.model {
            Model::Speaker(speaker) => Ok(speaker),
            other @ Model::Detector(_) => Err(self.wrong_kind(SPEAKER_KIND, other)),
        }
    }

    /// The manifest of a detector package.
    ///
    /// # Errors
    /// [`ModelError::WrongKind`] where it is another kind.
    pub fn detector(&self) -> Result<&DetectorManifest, ModelError> {
        match &self.manifest.model {
            Model::Detector(detector) => Ok(detector),
            other @ Model::Speaker(_) => Err(self.wrong_kind(DETECTOR_KIND, other)),
        }
    }

    fn wrong_kind(&self, wanted: &'static str, found: &Model) -> ModelError {
        let package = self.place.to_string();
        ModelError::WrongKind { package, wanted, found: found.kind() }
    }
}

/// Writes a package into `dir`: a manifest and its files, beside and then renamed. An older
/// package of that name is replaced; anything else that stands there is not.
///
/// # Errors
/// Where `dir` holds something else, the manifest would not read back, or the disk refuses.
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
    let partial = beside(dir, "partial");
    let outcome = fill(&partial, manifest, files).and_then(|()| swap_in(&partial, dir));
    if let Err(error) = outcome {
        // The first error is the one to tell; a leftover beside the target harms nobody.
        let _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    Package::open(dir)
}

fn fill(partial: &Path, manifest: &str, files: &[(FileName, Vec<u8>)]) -> Result<(), ModelError> {
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

fn swap_in(partial: &Path, dir: &Path) -> Result<(), ModelError> {
    if !dir.exists() {
        return fs::rename(partial, dir).map_err(ModelError::write(dir));
    }
    let old = beside(dir, "old");
    if old.exists() {
        fs::remove_dir_all(&old).map_err(ModelError::write(&old))?;
    }
    fs::rename(dir, &old).map_err(ModelError::write(dir))?;
    if let Err(source) = fs::rename(partial, dir) {
        // Put the old package back, so that a failed import changes nothing.
        fs::rename(&old, dir).map_err(ModelError::write(dir))?;
        return Err(ModelError::Write { path: dir.into(), source });
    }
    fs::remove_dir_all(&old).map_err(ModelError::write(&old))
}

/// A hidden neighbour of `dir`, on the same file system, so that a rename is one step.
fn beside(dir: &Path, word: &str) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.{word}-{}", std::process::id()))
}
