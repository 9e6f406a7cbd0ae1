//! Where packages lie, and which one is meant by a name.
//!
//! Looked through in this order: `$LOCUTOR_MODELS` (directories like `$PATH`), `models/` under the
//! current directory, the user's data directory, the system's, the program itself. The first
//! package of a name wins.

use std::path::{Path, PathBuf};

use super::built_in::BUILT_IN;
use super::manifest::{MANIFEST_FILE, Model};
use super::{ModelError, Package, Place};

/// No package is what is needed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No package has the name.
    #[error(
        "there is no model package `{name}` (looked in {}); list what is here with: locutor models list",
        places(looked)
    )]
    NoSuch {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// No package of the kind is here at all.
    #[error("no {what} is installed (looked in {}). {how}", places(looked))]
    None {
        /// What is needed, in words.
        what: &'static str,
        /// How to get one.
        how: &'static str,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The package is there but broken.
    #[error(transparent)]
    Broken(#[from] ModelError),
}

fn places(dirs: &[PathBuf]) -> String {
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
    fn fits(self, package: &Package) -> bool {
        matches!(
            (self, &package.manifest().model),
            (Self::Speaker, Model::Speaker(_)) | (Self::Detector, Model::Detector(_))
        )
    }

    /// Names tried first where the user names none, best first.
    const fn preferred(self) -> &'static [&'static str] {
        match self {
            Self::Speaker => &["locutor", "light-asd", "lr-asd"],
            Self::Detector => &["yunet", "locutor-faces"],
        }
    }

    fn none(self, looked: Vec<PathBuf>) -> RegistryError {
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
        RegistryError::None { what, how, looked }
    }
}

/// The directories that hold packages, in order.
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

/// Every package in `dirs` and in the program, the first of each name.
pub fn list(dirs: &[PathBuf]) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    for dir in dirs {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        let mut here: Vec<PathBuf> = entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.join(MANIFEST_FILE).is_file())
            .collect();
        here.sort();
        add_new(&mut found, here.into_iter().map(Place::Dir));
    }
    add_new(&mut found, BUILT_IN.iter().map(Place::BuiltIn));
    found
}

fn add_new(found: &mut Vec<Place>, more: impl Iterator<Item = Place>) {
    for place in more {
        if found.iter().all(|f| f.name() != place.name()) {
            found.push(place);
        }
    }
}

/// The package that `wanted` means (a name or a directory), or the best one here for `role`.
///
/// # Errors
/// Where there is none, or it is broken.
pub fn find(role: Role, wanted: Option<&str>) -> Result<Package, RegistryError> {
    let looked = directories();
    match wanted {
        Some(name) if Path::new(name).join(MANIFEST_FILE).is_file() => Ok(Package::open(name)?),
        Some(name) => match list(&looked).into_iter().find(|place| place.name() == name) {
            Some(place) => Ok(Package::open_at(&place)?),
            None => Err(RegistryError::NoSuch { name: name.to_owned(), looked }),
        },
        None => {
            let mut places = list(&looked);
            let rank = |place: &Place| {
                let name = place.name();
                role.preferred().iter().position(|p| *p == name).unwrap_or(usize::MAX)
            };
            places.sort_by_key(rank);
            // A broken package of another kind is not this role's trouble.
            let fits = |place: &&Place| {
                Package::open_unverified(place).is_ok_and(|package| role.fits(&package))
            };
            match places.iter().find(fits) {
                Some(place) => Ok(Package::open_at(place)?),
                // What is built in is missing only where something broken stands before it.
                None => match places.iter().find_map(|p| Package::open_unverified(p).err()) {
                    Some(broken) => Err(broken.into()),
                    None => Err(role.none(looked)),
                },
            }
        }
    }
}
