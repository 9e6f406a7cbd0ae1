//! `locutor bench` without a recording, as a user runs it: how many faces a device can follow.
#![cfg(all(feature = "gst", feature = "onnx"))]
#![allow(clippy::unwrap_used, reason = "a test's helpers may panic, too")]

use std::process::{Command, Output};

use locutor::models::tiny;
use serde_json::Value;

/// Runs `locutor bench` with a detector at hand, as an engine is never without.
fn bench(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let detector = folder.path().join("detector");
    tiny::write_detector(&detector).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
    command.env_remove("LOCUTOR_LOG").arg("bench").arg("--detector").arg(detector);
    command.args(args).output().unwrap()
}

fn refused(args: &[&str]) -> (Option<i32>, String) {
    let output = bench(args);
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn near(a: &Value, b: f64) -> bool {
    (a.as_f64().unwrap() - b).abs() <= 1e-9 * b.abs().max(1.0)
}

#[test]
fn throughput_is_told_in_figures_that_fit_each_other() {
    let args = ["--throughput", "--batches", "1,4", "--frames", "3", "--device", "cpu", "--json"];
    let output = bench(&args);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(said.get("clip").is_none(), "nothing is said of a recording: {said}");
    let figures = &said["throughput"];
    assert_eq!((&figures["device"], &figures["frames_per_call"]), (&"cpu".into(), &3.into()));
    let [package] = &figures["packages"].as_array().unwrap()[..] else { panic!("{said}") };
    assert_eq!(package["package"], "locutor");
    assert_eq!((&package["replayed"], &package["pinned"]), (&false.into(), &false.into()));
    let (mut ceiling, mut best) = (0.0_f64, 0.0_f64);
    let batches = package["batches"].as_array().unwrap();
    assert_eq!(batches.iter().map(|b| b["batch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 4]);
    for batch in batches {
        assert_eq!(batch["streams"], 1);
        for rate in ["bare", "end_to_end"].map(|part| &batch[part]) {
            let of = |name: &str| rate[name].as_f64().unwrap();
            let (faces, seconds) = (of("face_frames"), of("seconds"));
            assert!(of("calls") >= 5.0 && faces >= 1.0 && seconds > 0.0, "{rate}");
            assert!(near(&rate["face_frames_per_second"], faces / seconds), "{rate}");
            assert!(0.0 < of("p50_ms") && of("p50_ms") <= of("p95_ms"), "{rate}");
            assert!(of("p95_ms") <= of("p99_ms"), "{rate}");
        }
        // All frames of all faces in every call: three of each.
        let per_call = 3 * batch["batch"].as_u64().unwrap();
        for rate in ["bare", "end_to_end"].map(|part| &batch[part]) {
            let calls = rate["calls"].as_u64().unwrap();
            assert_eq!(rate["face_frames"], calls * per_call, "{rate}");
        }
        assert_eq!(batch["heatmaps"], batch["end_to_end"]["face_frames"], "each with its heatmap");
        let rate = |part: &str| batch[part]["face_frames_per_second"].as_f64().unwrap();
        assert!(near(&batch["share_of_ceiling"], rate("end_to_end") / package_ceiling(package)));
        (ceiling, best) = (ceiling.max(rate("bare")), best.max(rate("end_to_end")));
    }
    assert!(near(&package["ceiling"], ceiling) && near(&package["best"], best));
    assert!(near(&package["share_of_ceiling"], best / ceiling));
}

fn package_ceiling(package: &Value) -> f64 {
    package["ceiling"].as_f64().unwrap()
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_and_never_the_cpu() {
    // A number that no machine has.
    for device in ["cuda:99", "tensorrt:99+half"] {
        let (code, error) = refused(&["--device", device, "--batches", "1"]);
        assert_eq!(code, Some(69), "{error}");
        assert!(error.contains(&format!("device {device} cannot be used: ")), "{error}");
    }
}

#[test]
fn what_cannot_be_measured_is_a_usage_error() {
    let (code, error) = refused(&["--device", "cpu"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("give a recording, or --throughput"), "{error}");
    let (code, error) = refused(&["--device", "cpu+half", "--throughput"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("only tensorrt supports half"), "{error}");
    for batches in ["0", "513", "1,x"] {
        let (code, error) = refused(&["--device", "cpu", "--batches", batches]);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("give numbers from 1 to 512"), "{error}");
    }
}
