//! Every kind of recording that the repository can make itself, through models that it makes
//! itself.

use std::path::Path;

use serde_json::Value;

use crate::kit::{Run, annotate, check_conserved, tiny_models};
use crate::media::{AAC, H264, MONO_16K, Media, PLAIN};
use crate::probe::Probe;

/// What a recording becomes.
struct Case<'a> {
    media: Media,
    input: &'static str,
    output: &'static str,
    track: u32,
    more: &'a [&'a str],
}

impl Case<'_> {
    const fn of(media: Media) -> Self {
        Self { media, input: "mp4", output: "mp4", track: 1, more: &[] }
    }

    /// Makes, annotates and checks; gives the run and what in and out hold.
    fn run(&self) -> (Run, Probe, Probe) {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join(format!("recording.{}", self.input));
        self.media.make(&input);
        let track = self.track.to_string();
        let more = [&["--audio-track", &track], self.more].concat();
        let run = annotate(tiny_models(), &input, self.output, &more, 0);
        let (before, after) = check_conserved(&input, self.track, &run);
        assert_eq!(before.frames, self.media.frames as usize, "the recording itself");
        assert_eq!((before.width, before.height), self.media.size);
        assert_eq!(before.audio.is_some(), !self.media.audio.is_empty());
        check_found(&run, &self.media);
        (run, before, after)
    }
}

/// The ball is there from the first frame to the last, and was found.
fn check_found(run: &Run, media: &Media) {
    let faces = run.records.faces();
    let share = faces.len() as f64 / f64::from(media.frames);
    assert!(share > 0.9, "faces in {share} of the frames");
    assert_eq!(run.summary["people"].as_array().unwrap().len(), 1, "one ball, one person");
    let scored = faces.iter().filter(|f| f["score"].is_f64()).count();
    if media.audio.is_empty() {
        assert_eq!(scored, 0);
    } else {
        assert!(scored * 10 >= faces.len() * 9, "{scored} of {} faces have a score", faces.len());
        assert_eq!(run.records.rows, scored, "rows of the CSV");
    }
}

fn at_rate(num: u32, den: u32) {
    let frames = 2 * num / den;
    Case::of(Media { fps: (num, den), frames, ..PLAIN }).run();
}

#[test]
fn fifteen_frames_a_second() {
    at_rate(15, 1);
}

#[test]
fn twenty_five_frames_a_second_and_the_audio_is_kept() {
    let (run, before, after) = Case::of(PLAIN).run();
    assert_eq!(run.summary["audio_kept"], true);
    assert_eq!(before.audio.unwrap().codec, after.audio.unwrap().codec);
    assert_eq!(run.summary["complete"], true);
    assert_eq!(run.summary["two_passes"], false);
}

#[test]
fn ntsc_rate() {
    at_rate(30_000, 1_001);
}

#[test]
fn sixty_frames_a_second() {
    at_rate(60, 1);
}

#[test]
fn odd_size() {
    let media =
        Media { size: (321, 241), image: "vp8enc deadline=1", muxer: "matroskamux", ..PLAIN };
    for output in ["mp4", "webm"] {
        Case { input: "mkv", output, ..Case::of(media) }.run();
    }
}

#[test]
fn portrait() {
    Case::of(Media { size: (240, 426), ..PLAIN }).run();
}

#[test]
fn telephone_audio() {
    let audio = &[("audio/x-raw,rate=8000,channels=1", "identity")];
    let media = Media { audio, muxer: "matroskamux", ..PLAIN };
    Case { input: "mkv", ..Case::of(media) }.run();
}

#[test]
fn studio_audio_of_six_channels() {
    let audio = &[(
        "audio/x-raw,format=S16LE,rate=96000,channels=6,channel-mask=(bitmask)0x3f",
        "identity",
    )];
    let media = Media { audio, muxer: "matroskamux", ..PLAIN };
    for output in ["mp4", "mkv", "webm"] {
        Case { input: "mkv", output, ..Case::of(media) }.run();
    }
}

#[test]
fn layer_two_audio() {
    let audio = &[("audio/x-raw,rate=44100,channels=2", "avenc_mp2 ! mpegaudioparse")];
    let media = Media { audio, muxer: "matroskamux", ..PLAIN };
    let (run, ..) = Case { input: "mkv", ..Case::of(media) }.run();
    // MPEG-1 layer 2 in mp4 is played by few.
    assert_eq!(run.summary["audio_kept"], false);
}

#[test]
fn the_second_audio_track_is_taken() {
    let audio = &[
        ("audio/x-raw,rate=44100,channels=2", AAC),
        ("audio/x-raw,rate=48000,channels=1", "opusenc"),
    ];
    let media = Media { audio, muxer: "matroskamux", ..PLAIN };
    let case = Case { input: "mkv", output: "mkv", track: 2, ..Case::of(media) };
    let (_, before, after) = case.run();
    assert_eq!(before.audio.as_ref().unwrap().tracks, 2);
    let kept = after.audio.unwrap();
    assert_eq!((kept.codec.as_str(), kept.tracks), ("audio/x-opus", 1));
}

#[test]
fn no_audio() {
    let (run, ..) = Case::of(Media { audio: &[], ..PLAIN }).run();
    for face in run.records.faces() {
        assert_eq!(face["unknown"], "no-audio", "{face}");
    }
    let times = run.said.err.matches("has no audio").count();
    assert_eq!(times, 1, "said once: {}", run.said.err);
    assert_eq!(run.summary["audio_kept"], false);
}

#[test]
fn every_container() {
    for output in ["mkv", "mov", "webm", "m4v"] {
        let (run, _, after) = Case { output, ..Case::of(PLAIN) }.run();
        let codec = after.audio.unwrap().codec;
        let (kept, wanted) = match output {
            "webm" => (false, "audio/x-opus"),
            _ => (true, "audio/mpeg"),
        };
        assert_eq!(run.summary["audio_kept"], kept, "{output}");
        assert_eq!(codec, wanted, "{output}");
    }
}

#[test]
fn every_way_of_explaining() {
    for mode in ["paper", "gate-activation", "ablation", "none"] {
        let media = Media { frames: 30, audio: &[(MONO_16K, AAC)], ..PLAIN };
        let (run, ..) = Case { more: &["--explain", mode], ..Case::of(media) }.run();
        assert_eq!(run.summary["explain"], mode);
        let shares = |f: &Value| f["audio_share"].is_f64() && f["face_share"].is_f64();
        let with_shares = run.records.faces().iter().filter(|f| shares(f)).count();
        assert!(with_shares > 20, "{mode}: {with_shares} faces with shares");
    }
}

#[test]
fn read_twice_the_records_are_the_same() {
    let frames_of = |more: &[&str]| {
        let media = Media { frames: 100, image: H264, ..PLAIN };
        let (run, ..) = Case { more, ..Case::of(media) }.run();
        assert_eq!(run.summary["lookahead_seconds"], 3.0);
        (run.summary["two_passes"].clone(), run.records.frames)
    };
    let (once, twice) = (frames_of(&[]), frames_of(&["--frame-budget-mib", "0"]));
    assert_eq!((once.0, twice.0), (false.into(), true.into()));
    assert_eq!(once.1, twice.1);
}

#[test]
fn without_a_film_the_records_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("recording.mp4");
    PLAIN.make(&input);
    let with = annotate(tiny_models(), &input, "mp4", &[], 0);
    let without = records_only(&input);
    assert_eq!(with.records.frames.join("\n"), without);
}

fn records_only(input: &Path) -> String {
    let home = tempfile::tempdir().unwrap();
    let said: crate::kit::Said = crate::kit::locutor(tiny_models(), home.path())
        .arg("annotate")
        .arg(input)
        .args(["--events", "e.jsonl"])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let text = std::fs::read_to_string(home.path().join("e.jsonl")).unwrap();
    let frames: Vec<&str> = text.lines().filter(|l| l.contains("locutor.frame/1")).collect();
    frames.join("\n")
}
