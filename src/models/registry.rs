//! Finds packages by name.
//!
//! Search order: `$LOCUTOR_MODELS` (directories like `$PATH`), `models/` under the current
//! directory, the user's data directory, the system's, the built-in packages. The first package of
//! a name wins.

use std::path::{Path, PathBuf};

use super::built_in::BUILT_IN;
use super::error::ModelError;
use super::manifest::{MANIFEST_FILE, Model};
use super::package::{Package, PackageLocation};

/// No suitable package.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No package has the name.
    #[error(
        "there is no model package `{name}` (looked in {}); \
         list the installed packages with: locutor models list",
        display_dirs(searched)
    )]
    NotFound {
        /// The name.
        name: String,
        /// The searched directories.
        searched: Vec<PathBuf>,
    },
    /// No package of the kind is installed.
    #[error("no {what} is installed (looked in {}). {how}", display_dirs(searched))]
    NoneInstalled {
        /// The kind, as readable text.
        what: &'static str,
        /// How to get one.
        how: &'static str,
        /// The searched directories.
        searched: Vec<PathBuf>,
    },
    /// The package is invalid.
    #[error(transparent)]
    Broken(#[from] ModelError),
}

fn display_dirs(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What a package is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Scores speakers.
    Speaker,
    /// Finds faces.
    Detector,
}

impl Role {
    fn matches(self, package: &Package) -> bool {
        matches!(
            (self, &package.manifest().model),
            (Self::Speaker, Model::Speaker(_)) | (Self::Detector, Model::Detector(_))
        )
    }

    /// Packages preferred by default, best first.
    const fn preferred(self) -> &'static [&'static str] {
        match self {
            Self::Speaker => &["locutor", "light-asd", "lr-asd"],
            Self::Detector => &["yunet", "locutor-faces"],
        }
    }

    fn none(self, searched: Vec<PathBuf>) -> RegistryError {
        let (what, how) = match self {
            Self::Speaker => (
                "speaker model",
                "Fetch weight/pretrain_AVA_CVPR.model from the repository Junhua-Liao/Light-ASD \
                 (MIT), then run: locutor models import light-asd pretrain_AVA_CVPR.model",
            ),
            Self::Detector => (
                "face detector",
                "Fetch onnx/yunet_n_dynamic.onnx (or yunet_n_320_320.onnx) from the repository \
                 ShiqiYu/libfacedetection.train (Apache-2.0), then run: locutor models import \
                 yunet yunet_n_dynamic.onnx",
            ),
        };
        RegistryError::NoneInstalled { what, how, searched }
    }
}

/// The searched directories, in order.
pub fn directories() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    if let Some(named) = std::env::var_os("LOCUTOR_MODELS") {
        dirs.extend(std::env::split_paths(&named));
    }
    dirs.push("models".into());
    dirs.push(user_directory());
    dirs.extend(["/usr/local/share/locutor/models".into(), "/usr/share/locutor/models".into()]);
    dirs
}

/// The user's own directory for packages: `$XDG_DATA_HOME/locutor/models`.
pub fn user_directory() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share");
    let data = std::env::var_os("XDG_DATA_HOME").filter(|d| !d.is_empty());
    data.map_or_else(home, PathBuf::from).join("locutor/models")
}

/// All packages in `dirs` and built in, the first of each name.
pub fn list(dirs: &[PathBuf]) -> Vec<PackageLocation> {
    let mut found: Vec<PackageLocation> = Vec::new();
    for dir in dirs {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        let mut here: Vec<PathBuf> = entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.join(MANIFEST_FILE).is_file())
            .collect();
        here.sort();
        append_new(&mut found, here.into_iter().map(PackageLocation::Dir));
    }
    append_new(&mut found, BUILT_IN.iter().map(PackageLocation::BuiltIn));
    found
}

fn append_new(found: &mut Vec<PackageLocation>, more: impl Iterator<Item = PackageLocation>) {
    for location in more {
        if found.iter().all(|f| f.name() != location.name()) {
            found.push(location);
        }
    }
}

/// The package `requested` (a name or a directory), or the preferred one for `role`.
///
/// # Errors
/// A missing or invalid package.
pub fn find(role: Role, requested: Option<&str>) -> Result<Package, RegistryError> {
    let searched = directories();
    match requested {
        Some(name) if Path::new(name).join(MANIFEST_FILE).is_file() => Ok(Package::open(name)?),
        Some(name) => match list(&searched).into_iter().find(|location| location.name() == name) {
            Some(location) => Ok(Package::open_at(&location)?),
            None => Err(RegistryError::NotFound { name: name.to_owned(), searched }),
        },
        None => {
            let mut locations = list(&searched);
            let rank = |location: &PackageLocation| {
                let name = location.name();
                role.preferred().iter().position(|p| *p == name).unwrap_or(usize::MAX)
            };
            locations.sort_by_key(rank);
            // An invalid package of another kind does not matter.
            let matches = |location: &&PackageLocation| {
                Package::open_unverified(location).is_ok_and(|package| role.matches(&package))
            };
            match locations.iter().find(matches) {
                Some(location) => Ok(Package::open_at(location)?),
                // A built-in package is hidden only by an invalid one of its name.
                None => match locations.iter().find_map(|p| Package::open_unverified(p).err()) {
                    Some(broken) => Err(broken.into()),
                    None => Err(role.none(searched)),
                },
            }
        }
    }
}
