//! The units as systemd itself reads them: no complaint, and little to attack.

#[path = "support/needs.rs"]
mod needs;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The most exposure that systemd may find (0 is closed, 10 is open).
const MOST_EXPOSURE: f64 = 2.0;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn has_analyze() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !there {
        needs::skip("systemd-analyze");
    }
    there
}

/// The unit as it is where its program is another, with `drop_in` appended.
fn unit(into: &Path, name: &str, drop_in: Option<&str>) -> PathBuf {
    let read = |file: &str| std::fs::read_to_string(folder().join(file)).expect("stored");
    // The program need not be installed here.
    let mut text = read("locutor@.service").replace("/usr/bin/locutor", "/bin/true");
    text.extend(drop_in.map(|file| read(&format!("locutor@.service.d/{file}"))));
    let file = into.join(name);
    std::fs::write(&file, text).expect("written");
    file
}

#[test]
fn units_are_what_systemd_understands() {
    if !has_analyze() {
        return;
    }
    for drop_in in [None, Some("gpu.conf.example"), Some("credentials.conf.example")] {
        let into = tempfile::tempdir().expect("a folder");
        unit(into.path(), "locutor@.service", drop_in);
        let instance = into.path().join("locutor@front-door.service");
        let out = Command::new("systemd-analyze").arg("verify").arg(instance).output();
        let out = out.expect("it ran");
        let said = String::from_utf8_lossy(&out.stderr);
        let ours: Vec<_> = said.lines().filter(|line| line.contains("locutor")).collect();
        assert!(out.status.success() && ours.is_empty(), "{drop_in:?}: {said}");
    }
}

fn exposure(drop_in: Option<&str>) -> f64 {
    let into = tempfile::tempdir().expect("a folder");
    let file = unit(into.path(), "locutor@x.service", drop_in);
    let mut command = Command::new("systemd-analyze");
    let out = command.args(["security", "--offline=true"]).arg(file).output().expect("it ran");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let level = said.split("Overall exposure level for locutor@x.service: ").nth(1);
    let level = level.and_then(|rest| rest.split(' ').next()?.parse().ok());
    level.unwrap_or_else(|| panic!("no level in {said}{}", String::from_utf8_lossy(&out.stderr)))
}

#[test]
fn there_is_little_to_attack() {
    if !has_analyze() {
        return;
    }
    let (cpu, gpu) = (exposure(None), exposure(Some("gpu.conf.example")));
    eprintln!("exposure: {cpu} for the CPU, {gpu} with the GPU's drop-in");
    assert!(cpu <= MOST_EXPOSURE, "{cpu}");
    assert!(gpu <= MOST_EXPOSURE + 1.5, "{gpu}");
}

#[test]
fn what_systemd_252_does_not_know_is_not_written() {
    let text = std::fs::read_to_string(folder().join("locutor@.service")).expect("stored");
    let keys = text.lines().filter(|line| !line.starts_with('#'));
    let newer = ["notify-reload", "RestartSteps=", "RestartMaxDelaySec="];
    let found: Vec<_> = keys.filter(|line| newer.iter().any(|n| line.contains(n))).collect();
    assert!(found.is_empty(), "{found:?}");
    for wanted in ["RestartPreventExitStatus=2 78", "WatchdogSec=30", "KillMode=mixed"] {
        assert!(text.contains(wanted), "{wanted} is missing");
    }
}

/// Where `ExecStartPre=` fails, systemd starts it again whatever it ended with.
#[test]
fn what_may_end_for_good_is_the_main_process() {
    let text = std::fs::read_to_string(folder().join("locutor@.service")).expect("stored");
    let before = text.lines().find(|line| line.starts_with("ExecStartPre="));
    assert_eq!(before, None);
}

#[test]
fn the_user_can_be_made() {
    let mut command = Command::new("systemd-sysusers");
    let Ok(out) = command.arg("--dry-run").arg(folder().join("locutor.sysusers")).output() else {
        needs::skip("systemd-sysusers");
        return;
    };
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && !said.contains("not a valid"), "{said}");
}
