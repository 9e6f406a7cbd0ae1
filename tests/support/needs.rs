//! What a test needs and this repository does not hold: `../shared`, made clips, other programs.
//! Where it is missing, the test says so and passes.
//!
//! With `LOCUTOR_TEST_REQUIRE=1` it fails instead. `.ci/run` sets that where `../shared` exists, as
//! the output of a test that passes is not shown there. The library's unit tests include this file
//! by its path.
#![allow(dead_code, reason = "no test uses all of it")]

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The variable that makes a skip a failure.
const REQUIRE: &str = "LOCUTOR_TEST_REQUIRE";

/// This test is skipped, as it needs `what`. Fails where nothing may be missing.
#[track_caller]
pub fn skip(what: impl Display) {
    skip_or_fail(what, is_required(std::env::var_os(REQUIRE).as_deref()));
}

/// This test is skipped, as it needs `what`, which cannot be installed: a certain user or device.
/// Never fails.
pub fn skip_on_this_machine(what: impl Display) {
    eprintln!("SKIPPED: this test needs {what}");
}

/// A file or folder in `../shared`; `None` where it is missing, as [`skip`].
#[track_caller]
pub fn shared(name: &str) -> Option<PathBuf> {
    existing("../shared", name, "")
}

/// A clip in `demo/`; `None` where it is missing, as [`skip`].
#[track_caller]
pub fn demo(clip: &str) -> Option<PathBuf> {
    existing("demo", clip, " (make samples)")
}

#[track_caller]
fn existing(folder: &str, name: &str, hint: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    if !path.exists() {
        skip(format_args!("{folder}/{name}{hint}"));
        return None;
    }
    Some(path)
}

/// Whether the variable says that nothing may be missing.
pub fn is_required(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| value == "1")
}

/// Fails where `required`; otherwise says that this test is skipped.
#[track_caller]
pub fn skip_or_fail(what: impl Display, required: bool) {
    assert!(!required, "this test needs {what}, and {REQUIRE}=1 lets no test be skipped");
    eprintln!("SKIPPED: this test needs {what}");
}
