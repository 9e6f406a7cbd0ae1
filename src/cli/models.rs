//! `locutor models`: import, list and verify model packages.
//!
//! Prints results on standard output and errors on standard error, each with what to do next, and
//! gives the exit code. The work itself is in `models` and in `onnx` (checking graphs).
//!
//! Names are those that `--package` and `--detector` take: the package's directory. Without the
//! feature `onnx` or without the library, only checksums are compared. That is a note and not an
//! error, as importing and listing need no runtime.

pub(super) mod graph_check;
mod import;
mod list;
mod verify;

use super::ModelsCommand;
use crate::core::exit::Exit;
use crate::models::registry::{self, RegistryError, Role};
use crate::models::{ModelError, Package, PackageLocation};

/// Runs `locutor models`.
pub(crate) fn models(command: &ModelsCommand) -> Exit {
    match command {
        ModelsCommand::Import { kind, files, into } => import::import(kind, files, into.as_deref()),
        ModelsCommand::List { json } => list::list(*json),
        ModelsCommand::Verify { packages } => verify::verify(packages),
    }
}

/// The exit code of a model error, when packages are read and written.
pub(crate) fn exit_of_model_error(error: &ModelError) -> Exit {
    match error {
        ModelError::Read { source, .. } if source.kind() == std::io::ErrorKind::IsADirectory => {
            Exit::BadData
        }
        ModelError::Read { source, .. } => Exit::from_input_error(source),
        ModelError::Write { .. } | ModelError::NotReplaceable { .. } => Exit::CannotCreate,
        ModelError::FileCount { .. } | ModelError::WrongKind { .. } => Exit::Usage,
        ModelError::NotAPackage { .. }
        | ModelError::Syntax { .. }
        | ModelError::Key { .. }
        | ModelError::Checksum { .. }
        | ModelError::Contract { .. }
        | ModelError::Checkpoint { .. }
        | ModelError::WrongNetwork { .. } => Exit::BadData,
    }
}

/// The exit code of a registry error: a missing model is unavailable, a broken one is bad data.
pub(crate) fn exit_of_registry_error(error: &RegistryError) -> Exit {
    match error {
        RegistryError::NotFound { .. } | RegistryError::NoneInstalled { .. } => Exit::Unavailable,
        RegistryError::Broken(error) => exit_of_model_error(error),
    }
}

/// All installed packages, broken ones too.
pub(super) fn installed() -> Vec<PackageLocation> {
    registry::list(&registry::directories())
}

/// The role that a package fills.
pub(super) fn role_of(package: &Package) -> Role {
    if package.detector().is_ok() { Role::Detector } else { Role::Speaker }
}

/// The size of all of a package's files.
pub(super) fn size_bytes(package: &Package) -> u64 {
    let names = package.manifest().common.files.keys();
    names.filter_map(|name| package.read(name).ok()).map(|bytes| bytes.len() as u64).sum()
}
