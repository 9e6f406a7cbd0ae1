//! `locutor models list`: the installed packages, and which ones are the default.

use comfy_table::{Table, presets};
use serde::Serialize;

use super::{installed, role_of, size_bytes};
use crate::cli::terminal::{note, print, print_json};
use crate::core::exit::Exit;
use crate::models::registry::{self, RegistryError, Role};
use crate::models::{ModelError, Package, PackageLocation};

/// A package directory, for a row of the table or an object of the JSON.
#[derive(Serialize)]
struct Row {
    /// What `--package` and `--detector` take.
    name: String,
    /// `speaker-streaming` or `face-detector`; none if the manifest cannot be read.
    kind: Option<&'static str>,
    licence: Option<String>,
    origin: Option<String>,
    notes: Option<String>,
    size_bytes: Option<u64>,
    /// Whether it is used by default.
    default: bool,
    dir: String,
    /// What is wrong with the manifest; files are compared by `verify` only.
    problem: Option<String>,
}

/// Lists the installed packages. It succeeds even if a package is broken or none is installed; the
/// problem is listed too.
pub(super) fn list(json: bool) -> Exit {
    let defaults = [Role::Speaker, Role::Detector].map(|role| registry::find(role, None));
    let rows: Vec<Row> = installed()
        .into_iter()
        .map(|location| row(&location, &Package::open_unverified(&location), &defaults))
        .collect();
    let exit = if json { print_json(&rows) } else { print(&table(&rows)) };
    if !json {
        rows.iter().filter_map(|row| row.problem.as_ref()).for_each(note);
    }
    defaults.iter().filter_map(|found| found.as_ref().err()).for_each(note);
    exit
}

fn row(
    location: &PackageLocation,
    package: &Result<Package, ModelError>,
    defaults: &[Result<Package, RegistryError>; 2],
) -> Row {
    let blank = Row {
        name: location.name(),
        kind: None,
        licence: None,
        origin: None,
        notes: None,
        size_bytes: None,
        default: false,
        dir: location.to_string(),
        problem: None,
    };
    match package {
        Err(error) => Row { problem: Some(error.to_string()), ..blank },
        Ok(package) => {
            let chosen = &defaults[usize::from(role_of(package) == Role::Detector)];
            let common = package.manifest().common.clone();
            Row {
                kind: Some(package.manifest().model.kind()),
                licence: Some(common.licence),
                origin: Some(common.origin),
                notes: Some(common.notes).filter(|n| !n.is_empty()),
                size_bytes: Some(size_bytes(package)),
                // The first of a name is the only one.
                default: chosen.as_ref().is_ok_and(|c| c.location().name() == location.name()),
                ..blank
            }
        }
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no model packages are installed\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["NAME", "KIND", "LICENCE", "DEFAULT", "DIRECTORY"]);
    for row in rows {
        table.add_row([
            row.name.as_str(),
            row.kind.unwrap_or("broken"),
            row.licence.as_deref().unwrap_or("?"),
            if row.default { "yes" } else { "" },
            &row.dir,
        ]);
    }
    table.to_string().lines().fold(String::new(), |all, line| all + line.trim() + "\n")
}
