//! `locutor doctor`, as a user runs it on this machine and on poorer ones.
#![allow(clippy::unwrap_used, reason = "a test's helpers may panic, too")]

#[path = "support/needs.rs"]
mod needs;

use std::path::Path;
use std::process::{Command, Stdio};

use locutor::models::tiny::{self, TinyNetwork};
use serde_json::Value;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `doctor` with a home of its own; `set` are further variables.
fn doctor(home: &Path, args: &[&str], set: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
    command.current_dir(home).arg("doctor").args(args);
    command.env("HOME", home).env("XDG_DATA_HOME", home.join("data"));
    for name in ["LOCUTOR_MODELS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let output = command.envs(set.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err))
}

fn home_with_models() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    // Under the names that are taken by default.
    let models = home.path().join("data/locutor/models");
    tiny::write_speaker(&models.join("locutor"), TinyNetwork::LightAsd, 1).unwrap();
    tiny::write_detector(&models.join("yunet")).unwrap();
    home
}

#[test]
fn nothing_must_be_imported_and_what_would_do_better_is_told() {
    let home = tempfile::tempdir().unwrap();
    let said = doctor(home.path(), &[], &[]);
    for wanted in [
        "  ok       speaker model that will be used: locutor\n",
        "  ok       face detector that will be used: locutor-faces; YuNet finds more faces",
        "; (built in)\n",
        "\nWorth fixing:\n",
        "then run: locutor models import yunet yunet_n_dynamic.onnx\n",
    ] {
        assert!(said.out.contains(wanted), "{wanted:?} in {}", said.out);
    }
    assert!(!said.out.contains('\x1b'), "no colours into a pipe");
}

#[test]
fn packages_are_listed_with_what_is_known_of_them() {
    let home = home_with_models();
    let said = doctor(home.path(), &["--json"], &[]);
    let report = json(&said);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["models"]["speaker"]["uses"], "locutor");
    assert_eq!(report["models"]["detector"]["uses"], "yunet");
    assert_eq!(report["models"]["detector"]["better"], Value::Null);
    let packages = report["models"]["packages"].as_array().unwrap();
    // Those of the home, and the built-in detector; the built-in speaker has its name taken.
    assert_eq!(packages.len(), 3);
    for package in packages {
        assert_eq!(package["checksums_verified"], true, "{package}");
        assert_eq!(package["licence"], "MIT OR Apache-2.0");
        assert_eq!(package["problem"], Value::Null);
    }
    let exit = if report["ready"] == true { 0 } else { 69 };
    assert_eq!(said.code, Some(exit));
}

#[test]
fn a_damaged_model_is_no_model() {
    let home = home_with_models();
    let file = home.path().join("data/locutor/models/locutor/face.onnx");
    std::fs::write(&file, "damaged").unwrap();
    let said = doctor(home.path(), &[], &[]);
    assert_eq!(said.code, Some(69), "{}", said.out);
    assert!(said.out.contains("  BROKEN   locutor (speaker-streaming, MIT"), "{}", said.out);
    assert!(said.out.contains("  MISSING  no speaker model that can be used\n"), "{}", said.out);
    let report = json(&doctor(home.path(), &["--json"], &[]));
    let speaker = &report["models"]["packages"][0];
    assert_eq!(speaker["checksums_verified"], false, "{speaker}");
    assert!(speaker["problem"].as_str().unwrap().contains("has sha256"), "{speaker}");
}

#[test]
fn a_build_without_a_feature_says_so() {
    let home = home_with_models();
    let report = json(&doctor(home.path(), &["--json"], &[]));
    for (part, feature, built) in [
        ("gstreamer", "gst", cfg!(feature = "gst")),
        ("onnx_runtime", "onnx", cfg!(feature = "onnx")),
    ] {
        let features = report["locutor"]["features"].as_array().unwrap();
        assert_eq!(features.iter().any(|f| f == feature), built);
        if !built {
            let problem = report[part]["problem"].as_str().unwrap();
            assert!(problem.contains(&format!("without the feature `{feature}`")), "{problem}");
            assert_eq!(report["ready"], false);
        }
    }
}

#[cfg(feature = "gst")]
#[test]
fn on_this_machine_everything_is_here() {
    let complete = cfg!(feature = "onnx");
    let home = home_with_models();
    let said = doctor(home.path(), &["--json"], &[]);
    let report = json(&said);
    let runtime = &report["onnx_runtime"];
    if complete && runtime["path"] == Value::Null {
        needs::skip(format_args!("ONNX Runtime: {}", runtime["problem"]));
        return;
    }
    let elements = report["gstreamer"]["elements"].as_array().unwrap();
    let missing: Vec<_> = elements.iter().filter(|e| e["found"] == Value::Null).collect();
    assert!(missing.iter().all(|e| e["required"] == false), "{missing:?}");
    let h264 = &report["gstreamer"]["encoders"][0];
    assert_eq!(h264["element"], "x264enc");
    assert_eq!(h264["runs_on"], "CPU");
    assert_eq!(h264["problem"], Value::Null);
    // Named by what this machine has: the element must be one that is installed for it.
    let decoders = report["gstreamer"]["decoders"].as_array().unwrap();
    let h264 = decoders.iter().find(|d| d["codec"] == "H.264").expect("a decoder of H.264");
    assert!(h264["element"].as_str().unwrap().contains("264"), "{h264}");
    assert!(h264["runs_on"].is_string() && h264["others"].is_array(), "{h264}");
    assert_eq!(said.code, Some(if complete { 0 } else { 69 }), "{}", said.out);
    if complete {
        let providers = runtime["providers"].as_array().unwrap();
        assert!(providers.iter().any(|p| p["device"] == "cpu"), "{providers:?}");
        let device = runtime["auto_device"].as_str().unwrap();
        assert!(["cpu", "cuda:0"].contains(&device), "{device}");
        let text = doctor(home.path(), &[], &[]);
        assert_eq!(text.code, Some(0));
        assert!(text.out.contains("  ok       H.264 encoder for mp4, mov, mkv: x264enc (CPU)"));
        assert!(text.out.contains("\nReady: locutor annotate meeting.mp4 -o "), "{}", text.out);
    }
}

#[cfg(feature = "gst")]
#[test]
fn without_plugins_every_element_is_told_with_its_package() {
    let home = home_with_models();
    let empty = home.path().join("plugins");
    std::fs::create_dir(&empty).unwrap();
    let registry = home.path().join("registry.bin");
    let set = [
        ("GST_PLUGIN_SYSTEM_PATH_1_0", empty.to_str().unwrap()),
        ("GST_PLUGIN_PATH_1_0", empty.to_str().unwrap()),
        ("GST_REGISTRY_1_0", registry.to_str().unwrap()),
    ];
    let said = doctor(home.path(), &[], &set);
    assert_eq!(said.code, Some(69), "{}", said.out);
    for wanted in [
        "  MISSING  decodebin to pick decoders (in gstreamer1.0-plugins-base)\n",
        "  MISSING  avdec_h264 to decode H.264 (in gstreamer1.0-libav)\n",
        "  absent   avidemux to read avi (in gstreamer1.0-plugins-good)\n",
        "  MISSING  H.264 encoder for mp4, mov, mkv: none is installed\n",
        "\n  sudo apt-get install gstreamer1.0-libav gstreamer1.0-plugins-bad \
         gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly \
         libgstreamer1.0-0\n",
    ] {
        assert!(said.out.contains(wanted), "{wanted:?} in {}", said.out);
    }
}

#[cfg(feature = "onnx")]
#[test]
fn a_library_that_is_missing_or_broken_is_told_with_the_way_out() {
    let home = home_with_models();
    let text = home.path().join("libonnxruntime.so");
    std::fs::write(&text, "no library").unwrap();
    for (path, words) in [
        ("/nonexistent", "  MISSING  ORT_DYLIB_PATH is /nonexistent, but there is no "),
        (text.to_str().unwrap(), "  BROKEN   "),
    ] {
        let said = doctor(home.path(), &[], &[("ORT_DYLIB_PATH", path)]);
        assert_eq!(said.code, Some(69), "{}", said.out);
        assert!(said.out.contains(&format!("ONNX Runtime\n{words}")), "{}", said.out);
        assert!(said.out.contains("\n  unset ORT_DYLIB_PATH\n"), "{}", said.out);
        assert!(said.out.contains("checksums correct, graphs not checked"), "{}", said.out);
    }
}

#[test]
fn colours_are_for_those_who_want_them() {
    let home = tempfile::tempdir().unwrap();
    let forced = doctor(home.path(), &[], &[("CLICOLOR_FORCE", "1")]);
    assert!(forced.out.contains("\x1b[1m"), "{}", forced.out);
    let set = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert!(!doctor(home.path(), &[], &set).out.contains('\x1b'));
    let set = [("CLICOLOR_FORCE", "1")];
    assert!(!doctor(home.path(), &["--json"], &set).out.contains('\x1b'), "JSON has no colours");
}

#[test]
fn a_reader_that_stops_early_is_no_fault() {
    let home = tempfile::tempdir().unwrap();
    let read_whole = doctor(home.path(), &[], &[]).code;
    let mut child = Command::new(env!("CARGO_BIN_EXE_locutor"))
        .current_dir(home.path())
        .arg("doctor")
        .env("XDG_DATA_HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), read_whole);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
