//! `locutor models verify`: files against checksums, graphs against manifests.

use std::path::MAIN_SEPARATOR;

use super::proof::{Proof, prove};
use super::{exit_of_model_error, exit_of_shelf_error, shelved};
use crate::cli::terminal::{GOOD, HEADING, fail, note, paint, print};
use crate::core::exit::Exit;
use crate::models::shelf::{self, Role, ShelfError};
use crate::models::{ModelError, Package, Place};

/// Verifies the named packages, or all that are on the shelf.
pub fn verify(names: &[String]) -> Exit {
    let opened: Vec<(String, Result<Package, ShelfError>)> = if names.is_empty() {
        let open = |place: &Place| Package::open_at(place).map_err(ShelfError::from);
        shelved().iter().map(|place| (place.name(), open(place))).collect()
    } else {
        names.iter().map(|name| (name.clone(), named(name))).collect()
    };
    if opened.is_empty() {
        for role in [Role::Speaker, Role::Detector] {
            if let Err(error) = shelf::find(role, None) {
                fail(Exit::Unavailable, error);
            }
        }
        return Exit::Unavailable;
    }
    let mut worst = Exit::Done;
    let mut unproven = None;
    for (name, package) in &opened {
        let exit = match package {
            Ok(package) => verify_one(name, package, &mut unproven),
            Err(error) => fail(exit_of_broken(error), error),
        };
        // A damaged package weighs more than a missing one.
        if worst == Exit::Done || exit == Exit::BadData {
            worst = exit;
        }
    }
    if let Some(why) = unproven {
        note(format!("graphs were not compared with their manifests: {why}"));
    }
    worst
}

fn verify_one(name: &str, package: &Package, unproven: &mut Option<String>) -> Exit {
    let files = package.manifest().common.files.len();
    let graphs = match prove(package) {
        Proof::Wrong(problem) => return fail(Exit::BadData, problem),
        Proof::NoRuntime(why) => {
            *unproven = Some(why);
            "graphs not tried".to_owned()
        }
        Proof::Proven { graphs: 1 } => "1 graph as its manifest says".to_owned(),
        Proof::Proven { graphs } => format!("{graphs} graphs as their manifest says"),
    };
    let sums = if files == 1 { "1 checksum".to_owned() } else { format!("{files} checksums") };
    print(&format!(
        "{} {}: {sums} right, {graphs} ({})\n",
        paint(GOOD, "ok"),
        paint(HEADING, name),
        package.place()
    ))
}

/// The package of a name, or in a directory: something with a slash is never a name.
fn named(name: &str) -> Result<Package, ShelfError> {
    if name.contains(MAIN_SEPARATOR) || name == "." || name == ".." {
        return Ok(Package::open(name)?);
    }
    shelf::find(Role::Speaker, Some(name))
}

/// Here a file that is missing within a package is damage, and not a wrong command line.
fn exit_of_broken(error: &ShelfError) -> Exit {
    match error {
        ShelfError::NoSuch { .. } => Exit::NoInput,
        ShelfError::Broken(error @ ModelError::Read { source, path }) => {
            let inside = path.parent().is_some_and(|dir| dir.is_dir());
            if inside && source.kind() == std::io::ErrorKind::NotFound {
                Exit::BadData
            } else {
                exit_of_model_error(error)
            }
        }
        other => exit_of_shelf_error(other),
    }
}
