//! The assessment and its text, for made-up machines.

use super::report::{
    ElementStatus, EncoderStatus, Media, Models, PackageStatus, Program, Report, RoleStatus,
    Runtime,
};
use super::text::render;

fn element(name: &'static str, required: bool, found: bool) -> ElementStatus {
    ElementStatus {
        element: name,
        group: "pipeline",
        purpose: "work",
        package: if required { "gstreamer-needed" } else { "gstreamer-extra" },
        required,
        found: found.then_some(name),
    }
}

fn encoder(problem: Option<&str>) -> EncoderStatus {
    EncoderStatus {
        codec: "H.264",
        containers: "mp4",
        element: Some("nvh264enc".into()),
        runs_on: Some("NVIDIA GPU"),
        others: vec!["openh264enc".into()],
        problem: problem.map(str::to_owned),
        required: true,
    }
}

fn media() -> Media {
    Media {
        version: Some("1.22.0".into()),
        elements: vec![element("a", true, true), element("b", false, true)],
        encoders: vec![encoder(None)],
        ..Media::default()
    }
}

fn runtime() -> Runtime {
    Runtime {
        path: Some("/lib/ort.so".into()),
        version: Some("1.32.0".into()),
        ..Runtime::default()
    }
}

fn package(name: &str, problem: Option<&str>) -> PackageStatus {
    PackageStatus {
        name: name.into(),
        dir: format!("/models/{name}"),
        kind: Some("speaker-streaming"),
        licence: Some("MIT".into()),
        checksums_verified: problem.is_none(),
        graphs_verified: problem.is_none().then_some(true),
        problem: problem.map(str::to_owned),
    }
}

fn models() -> Models {
    let uses = |name: &str| RoleStatus { uses: Some(name.into()), ..RoleStatus::default() };
    Models {
        packages: vec![package("light-asd", None)],
        speaker: uses("light-asd"),
        detector: uses("yunet"),
        ..Models::default()
    }
}

fn report(media: Media, runtime: Runtime, models: Models) -> Report {
    Report::new(Program::this(), media, runtime, models)
}

/// The text without escape codes.
fn plain(report: &Report) -> String {
    anstream::adapter::strip_str(&render(report)).to_string()
}

#[test]
fn with_everything_installed_there_is_nothing_to_fix() {
    let report = report(media(), runtime(), models());
    assert!(report.ready);
    assert_eq!(report.fix, []);
    let text = plain(&report);
    assert!(text.contains("  ok       pipeline: a b\n"), "{text}");
    assert!(
        text.contains(
            "ok       H.264 encoder for mp4: nvh264enc (NVIDIA GPU); also here for --encoder: \
             openh264enc\n"
        ),
        "{text}"
    );
    assert!(text.ends_with("\nReady: locutor annotate meeting.mp4 -o meeting.annotated.mp4\n"));
    assert!(!text.contains("MISSING") && !text.contains("fix"), "{text}");
}

#[test]
fn a_missing_requirement_fails_and_is_listed_first() {
    let elements = vec![element("b", false, false), element("a", true, false)];
    let media = Media { elements, ..media() };
    let report = report(media, runtime(), models());
    assert!(!report.ready);
    let commands: Vec<&str> = report.fix.iter().map(|r| r.command.as_str()).collect();
    let wanted = ["sudo apt-get install gstreamer-needed", "sudo apt-get install gstreamer-extra"];
    assert_eq!(commands, wanted);
    let text = plain(&report);
    assert!(text.contains("  MISSING  a to work (in gstreamer-needed)\n"), "{text}");
    assert!(text.contains("  absent   b to work (in gstreamer-extra)\n"), "{text}");
    let end = "\nNot ready: 1 thing that `locutor annotate` requires is missing.\nTo fix it:\n  \
               sudo apt-get install gstreamer-needed\nWorth fixing:\n  \
               sudo apt-get install gstreamer-extra\n";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn a_missing_option_does_not_fail() {
    let elements = vec![element("a", true, true), element("b", false, false)];
    let report = report(Media { elements, ..media() }, runtime(), models());
    assert!(report.ready);
    assert_eq!(report.fix.len(), 1);
    assert!(plain(&report).contains("\nReady: "), "{}", plain(&report));
}

#[test]
fn an_encoder_that_does_not_open_is_listed_with_an_alternative() {
    let media = Media { encoders: vec![encoder(Some("it does not open"))], ..media() };
    let report = report(media, runtime(), models());
    assert!(!report.ready);
    assert_eq!(report.fix[0].command, "locutor annotate --encoder openh264enc …");
    assert!(plain(&report).contains("BROKEN   H.264 encoder for mp4: nvh264enc"));
}

#[test]
fn a_missing_library_is_listed_with_its_fix() {
    let (problem, fix) = (Some("no library".into()), Some("fetch it".into()));
    let report = report(media(), Runtime { problem, fix, ..Runtime::default() }, models());
    assert!(!report.ready);
    let text = plain(&report);
    assert!(text.contains("ONNX Runtime\n  MISSING  no library\n"), "{text}");
    assert!(text.ends_with("To fix it:\n  fetch it\n"), "{text}");
}

#[test]
fn a_build_without_media_reports_only_that() {
    let (problem, fix) = (Some("built without".into()), Some("cargo build".into()));
    let media = Media { problem, fix, ..Media::default() };
    let report = report(media, runtime(), models());
    assert!(!report.ready);
    let text = plain(&report);
    assert!(
        text.contains("GStreamer\n  MISSING  built without\n\nONNX Runtime 1.32.0\n"),
        "{text}"
    );
}

#[test]
fn a_broken_package_matters_where_it_would_be_used() {
    let broken = "/models/light-asd/head.onnx has sha256 0";
    let packages = vec![package("light-asd", Some(broken)), package("mine", None)];
    let fix = "locutor models import light-asd pretrain_AVA_CVPR.model --into /models/light-asd";
    let speaker = RoleStatus {
        uses: None,
        problem: Some(broken.into()),
        fix: Some(fix.into()),
        better: None,
    };
    let used = report(media(), runtime(), Models { packages, speaker, ..models() });
    assert!(!used.ready);
    assert_eq!(used.fix.len(), 1, "listed once: {:?}", used.fix);
    assert_eq!(used.fix[0].command, fix);
    let text = plain(&used);
    assert!(text.contains("  BROKEN   light-asd (speaker-streaming, MIT): /models/"), "{text}");
    assert!(text.contains("  MISSING  no speaker model that can be used\n"), "{text}");

    let packages = vec![package("light-asd", None), package("mine", Some("x has sha256 0"))];
    let spare = report(media(), runtime(), Models { packages, ..models() });
    assert!(spare.ready);
    assert_eq!(spare.fix[0].command, "rm -r /models/mine");
    assert!(plain(&spare).contains("  broken   mine (speaker-streaming, MIT): x has sha256 0"));
}

#[test]
fn the_json_has_the_keys_that_scripts_read() {
    let report = report(media(), runtime(), models());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["ready"], true);
    assert_eq!(json["gstreamer"]["elements"][0]["found"], "a");
    assert_eq!(json["gstreamer"]["encoders"][0]["runs_on"], "NVIDIA GPU");
    assert_eq!(json["models"]["speaker"]["uses"], "light-asd");
    assert_eq!(json["models"]["packages"][0]["graphs_verified"], true);
}
