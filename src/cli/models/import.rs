//! `locutor models import`: makes a package of upstream files, and prints what to do next.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::graph_check::{GraphCheck, check_graphs};
use super::{exit_of_model_error, role_of, size_bytes};
use crate::cli::terminal::{DIM, GOOD, HEADING, bytes, fail, note, paint, print, wrap};
use crate::core::exit::Exit;
use crate::models::import::{ImportKind, import as make_package};
use crate::models::manifest::MANIFEST_FILE;
use crate::models::package::Package;
use crate::models::registry::{self, Role};

/// Imports `files` as `kind` into `into`, or into the user's own directory for packages.
pub(super) fn import(kind: &str, files: &[PathBuf], into: Option<&Path>) -> Exit {
    let kind: ImportKind = match kind.parse() {
        Ok(kind) => kind,
        Err(error) => return fail(Exit::Usage, format!("{error}{}", kinds())),
    };
    let dir = into.map_or_else(|| registry::user_directory().join(kind.name()), Path::to_path_buf);
    let replaced = dir.join(MANIFEST_FILE).is_file();
    let package = match make_package(kind, files, &dir) {
        Ok(package) => package,
        Err(error) => return fail(exit_of_model_error(&error), error),
    };
    let graph_check = check_graphs(&package);
    match &graph_check {
        GraphCheck::Mismatch(problem) => return fail(Exit::BadData, problem),
        GraphCheck::NoRuntime(why) => note(format!("the graphs were not checked: {why}")),
        GraphCheck::Verified { .. } => {}
    }
    print(&summary(&package, replaced, &graph_check))
}

/// What can be imported, and from where.
fn kinds() -> String {
    ImportKind::ALL.iter().fold(String::new(), |mut text, kind| {
        let _ = write!(text, "\n  {:<10} {}", kind.name(), kind.expected_file());
        text
    })
}

fn summary(package: &Package, replaced: bool, graph_check: &GraphCheck) -> String {
    let common = &package.manifest().common;
    let mut text = format!(
        "{} {} (licence: {}, {}) in {}\n",
        paint(GOOD, if replaced { "replaced" } else { "imported" }),
        paint(HEADING, &common.name),
        common.licence,
        bytes(size_bytes(package)),
        package.location()
    );
    let mut line = |label: &str, words: &str| {
        let _ = writeln!(text, "  {} {}", paint(DIM, format!("{label:<8}")), wrap(words, 96, 11));
    };
    line("from", &common.origin);
    if let GraphCheck::Verified { graphs } = graph_check {
        let s = if *graphs == 1 { "" } else { "s" };
        line("verified", &format!("checksums, and {graphs} graph{s} opened with ONNX Runtime"));
    }
    if !common.notes.is_empty() {
        line("note", &common.notes);
    }
    line("next", &next(package));
    text
}

/// What to do with the package now.
fn next(package: &Package) -> String {
    let (role, option, other) = match role_of(package) {
        Role::Speaker => (Role::Speaker, "--package", Role::Detector),
        Role::Detector => (Role::Detector, "--detector", Role::Speaker),
    };
    let same = |found: &Package| {
        let real = |package: &Package| {
            package.location().dir().map(|d| std::fs::canonicalize(d).unwrap_or_else(|_| d.into()))
        };
        real(found) == real(package)
    };
    let name = package.location().name();
    let choose = match registry::find(role, None) {
        Ok(found) if same(&found) => String::new(),
        // Installed, but another one is the default.
        Ok(found) if registry::find(role, Some(&name)).is_ok_and(|named| same(&named)) => {
            return format!(
                "`{}` stays the default; to use this one: locutor annotate meeting.mp4 -o \
                 meeting.annotated.mp4 {option} {name}",
                found.location().name()
            );
        }
        _ => format!(" {option} {}", package.location()),
    };
    match registry::find(other, None) {
        Ok(_) => format!("locutor annotate meeting.mp4 -o meeting.annotated.mp4{choose}"),
        Err(error) => error.to_string(),
    }
}
