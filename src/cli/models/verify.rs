//! `locutor models verify`: files against checksums, graphs against manifests.

use std::path::MAIN_SEPARATOR;

use super::graph_check::{GraphCheck, check_graphs};
use super::{exit_of_model_error, exit_of_registry_error, installed};
use crate::cli::terminal::{GOOD, HEADING, fail, note, paint, print};
use crate::core::exit::Exit;
use crate::models::registry::{self, RegistryError, Role};
use crate::models::{ModelError, Package, PackageLocation};

/// Verifies the named packages, or all that are installed.
pub(super) fn verify(names: &[String]) -> Exit {
    let opened: Vec<(String, Result<Package, RegistryError>)> = if names.is_empty() {
        let open =
            |location: &PackageLocation| Package::open_at(location).map_err(RegistryError::from);
        installed().iter().map(|location| (location.name(), open(location))).collect()
    } else {
        names.iter().map(|name| (name.clone(), named(name))).collect()
    };
    if opened.is_empty() {
        for role in [Role::Speaker, Role::Detector] {
            if let Err(error) = registry::find(role, None) {
                fail(Exit::Unavailable, error);
            }
        }
        return Exit::Unavailable;
    }
    let mut worst = Exit::Done;
    let mut unchecked = None;
    for (name, package) in &opened {
        let exit = match package {
            Ok(package) => verify_one(name, package, &mut unchecked),
            Err(error) => fail(exit_of_broken(error), error),
        };
        // A damaged package outranks a missing one.
        if worst == Exit::Done || exit == Exit::BadData {
            worst = exit;
        }
    }
    if let Some(why) = unchecked {
        note(format!("graphs were not compared with their manifests: {why}"));
    }
    worst
}

fn verify_one(name: &str, package: &Package, unchecked: &mut Option<String>) -> Exit {
    let files = package.manifest().common.files.len();
    let graphs = match check_graphs(package) {
        GraphCheck::Mismatch(problem) => return fail(Exit::BadData, problem),
        GraphCheck::NoRuntime(why) => {
            *unchecked = Some(why);
            "graphs not checked".to_owned()
        }
        GraphCheck::Verified { graphs: 1 } => "1 graph matches its manifest".to_owned(),
        GraphCheck::Verified { graphs } => format!("{graphs} graphs match their manifest"),
    };
    let sums = if files == 1 { "1 checksum".to_owned() } else { format!("{files} checksums") };
    print(&format!(
        "{} {}: {sums} correct, {graphs} ({})\n",
        paint(GOOD, "ok"),
        paint(HEADING, name),
        package.location()
    ))
}

/// The package with this name or in this directory: a name has no slash.
fn named(name: &str) -> Result<Package, RegistryError> {
    if name.contains(MAIN_SEPARATOR) || name == "." || name == ".." {
        return Ok(Package::open(name)?);
    }
    registry::find(Role::Speaker, Some(name))
}

/// A file that is missing within a package is damage, not a wrong command line.
fn exit_of_broken(error: &RegistryError) -> Exit {
    match error {
        RegistryError::NotFound { .. } => Exit::NoInput,
        RegistryError::Broken(error @ ModelError::Read { source, path }) => {
            let inside = path.parent().is_some_and(|dir| dir.is_dir());
            if inside && source.kind() == std::io::ErrorKind::NotFound {
                Exit::BadData
            } else {
                exit_of_model_error(error)
            }
        }
        other => exit_of_registry_error(other),
    }
}
