//! A flash and a click at the same instants stay at the same instants.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{annotate, check_conserved, tiny_models};
use crate::needs;

/// The Python of the sample's tools; `None`, said loudly, where it is not set up.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if !python.is_file() {
        needs::skip(".venv with tools/sample/requirements.txt (make samples)");
        return None;
    }
    Some(python)
}

fn tool(python: &Path, script: &str, args: &[&Path]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/sample");
    let output = Command::new(python).arg(folder.join(script)).args(args).output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    assert!(output.status.success(), "{script}: {out}{err}");
    out.into_owned()
}

#[test]
fn flash_and_click_stay_together() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("sync.mp4");
    tool(&python, "make_sync.py", &[&input]);
    for (extension, more) in [
        ("mp4", &[][..]),
        ("mkv", &[][..]),
        ("webm", &[][..]),
        ("mp4", &["--frame-budget-mib", "0"][..]),
    ] {
        let run = annotate(tiny_models(), &input, extension, more, 0);
        check_conserved(&input, 1, &run);
        // Fails where an offset has changed by more than 10 ms.
        eprintln!("{extension}: {}", tool(&python, "check_sync.py", &[&input, &run.film]));
    }
}
