//! The helper that skips tests, itself tested: once, as a unit test of the library.

use std::ffi::OsStr;

use crate::needs::{is_required, shared, skip_on_this_machine, skip_or_fail};

#[test]
fn only_one_means_that_nothing_may_be_missing() {
    for (value, required) in
        [(None, false), (Some(""), false), (Some("0"), false), (Some("1"), true)]
    {
        assert_eq!(is_required(value.map(OsStr::new)), required, "{value:?}");
    }
}

#[test]
fn a_skip_passes_by_default() {
    skip_or_fail("a unicorn", false);
    skip_on_this_machine("a unicorn");
}

#[test]
#[should_panic(expected = "this test needs a unicorn, and LOCUTOR_TEST_REQUIRE=1")]
fn a_skip_fails_where_nothing_may_be_missing() {
    skip_or_fail("a unicorn", true);
}

#[test]
fn what_is_missing_is_not_found() {
    // As a child, for the variable of this process may make it a failure.
    let name = "needs_tests::child_that_needs_what_is_missing";
    for (value, passes) in [("0", true), ("1", false)] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("a program"));
        child.args(["--exact", name, "--ignored", "--nocapture"]);
        let out = child.env("LOCUTOR_TEST_REQUIRE", value).output().expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.success(), passes, "{said}");
        assert!(said.contains("this test needs ../shared/no-such-file"), "{said}");
    }
}

#[test]
#[ignore = "run by what_is_missing_is_not_found"]
fn child_that_needs_what_is_missing() {
    assert_eq!(shared("no-such-file"), None);
}
