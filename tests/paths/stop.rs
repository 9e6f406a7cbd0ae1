//! Ctrl-C in the middle: what is done is kept, whole, under names that say so.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use locutor::config::{Pipeline, RecordPaths, parse_floor};
use locutor::core::progress::Progress;
use locutor::models::device::Device;
use locutor::models::registry::{Role, find};
use locutor::onnx::engine::Engine;
use locutor::onnx::session::SessionOptions;
use locutor::pipeline::recording::run_pass;
use locutor::pipeline::settings::LookaheadChoice;
use locutor::run::settings;
use locutor::stages::overlay::Style;
use locutor::stages::sink::stage::Records;
use locutor::stages::source::gst::Recording;

use crate::ffprobe::times;
use crate::kit::{Said, leftovers, locutor, tiny_models};
use crate::media::{Media, PLAIN};
use crate::probe::probe;

/// Waits until there are hundreds of frames in the record in `folder`, and so in the film.
fn wait_for_frames(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let begun = || {
        std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.contains("e.jsonl") && entry.metadata().is_ok_and(|m| m.len() > 150_000)
        })
    };
    while !begun() {
        assert!(Instant::now() < deadline, "hundreds of frames took more than a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stopped(more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let frames = 6_000;
    Media { frames, ..PLAIN }.make(&at("long.mp4"));
    let child = locutor(tiny_models(), folder.path())
        .args(["annotate", "long.mp4", "-o", "film.mp4", "--events", "e.jsonl", "--json"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_frames(folder.path());
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{}{}", said.out, said.err);
    assert!(!at("film.mp4").exists() && !at("e.jsonl").exists(), "final names");
    let mut left = leftovers(folder.path());
    left.sort();
    assert_eq!(left, ["e.incomplete.jsonl", "film.incomplete.mp4"]);
    let film = probe(&at("film.incomplete.mp4"), 1);
    let records = std::fs::read_to_string(at("e.incomplete.jsonl")).unwrap();
    let lines = records.lines().filter(|l| l.contains("locutor.frame/1")).count();
    assert!(film.frames > 0 && film.frames < frames as usize, "{film:?}");
    assert_eq!(film.frames, lines, "frames in the film and in the record");
    assert_eq!(times(&at("film.incomplete.mp4"), 1).frames.len(), lines, "by ffprobe");
    let last: serde_json::Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["complete"]), (&"end".into(), &false.into()));
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(summary["complete"], false);
    let audio = film.audio.expect("the audio is kept, too");
    assert!(
        (audio.end - film.last).abs() < 0.5,
        "audio to {} s, frame to {} s",
        audio.end,
        film.last
    );
}

#[test]
fn control_c_keeps_what_is_done() {
    stopped(&[]);
}

/// A recording whose frames nobody takes any more holds up its demuxer: whoever waits for audio
/// then waits for ever, unless the recording is stopped, too.
#[test]
fn whoever_stops_stops_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("long.mp4");
    Media { frames: 3_000, ..PLAIN }.make(&input);
    let pipeline = Pipeline {
        input: input.clone(),
        audio_track: 1,
        output: None,
        records: RecordPaths::default(),
        package: None,
        detector: None,
        device: Device::Cpu,
        lookahead: LookaheadChoice::File,
        explain: None,
        floor: parse_floor("300,500,1000").unwrap(),
        style: Style::default(),
        frame_budget_bytes: 192 << 20,
        overwrite: true,
    };
    let speaker = find(Role::Speaker, Some("locutor")).unwrap();
    let detector = find(Role::Detector, Some("locutor-faces")).unwrap();
    let recording = Recording::open(&input, 1).unwrap();
    let settings = settings(&pipeline, (&speaker, &detector), &recording.shape().video).unwrap();
    let options = SessionOptions { device: Device::Cpu, intra_threads: 1 };
    let engine = Engine::start(&detector, &speaker, &options).unwrap();
    let mut records = Records::new(Vec::new());
    let how = (&Progress::default(), &AtomicBool::new(true));
    let passed = run_pass(&settings, &recording, &engine, None, &mut records, how).unwrap();
    assert!(passed.source_counts.stopped);
    assert!(recording.audio().unwrap().next().is_none(), "audio still comes");
}
