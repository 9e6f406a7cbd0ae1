//! A recording through the program, and both beside each other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use locutor::models::tiny::{self, TinyNetwork};
use tempfile::TempDir;

use crate::ffprobe::{frame_times, run};

/// How far apart two times may be, in seconds: what Matroska can hold, and a rounding.
const TOLERANCE: f64 = 0.001_02;

/// Where a recording's times begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// At the file's zero.
    File,
    /// At the first frame: the file's clock has no zero, or the film's container cannot begin late.
    FirstFrame,
}

/// Packages with random weights, written once a process.
fn models() -> &'static Path {
    static MODELS: OnceLock<TempDir> = OnceLock::new();
    let folder = MODELS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_speaker(&folder.path().join("locutor"), TinyNetwork::LightAsd, 7).unwrap();
        tiny::write_detector(&folder.path().join("yunet")).unwrap();
        folder
    });
    folder.path()
}

/// Makes `output` with ffmpeg; `None`, said loudly, where that is not installed.
pub fn ffmpeg(arguments: &str, output: &Path) -> Option<()> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments.split_whitespace());
    run(command.arg(output)).map(drop)
}

/// A film and its records.
pub struct Film {
    pub path: PathBuf,
    /// The times of the frames in the JSON Lines, in seconds.
    pub records: Vec<f64>,
    /// What the program said on standard error.
    pub said: String,
    _folder: TempDir,
}

/// Annotates `input` into a film with `extension`; the run ends with `code`.
pub fn annotate(input: &Path, extension: &str, code: i32) -> Film {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("film.{extension}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
    command.current_dir(folder.path()).env("XDG_DATA_HOME", folder.path());
    command.env("LOCUTOR_MODELS", models()).env_remove("LOCUTOR_LOG");
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ort/onnxruntime/capi");
    if std::env::var_os("ORT_DYLIB_PATH").is_none() && runtime.is_dir() {
        command.env("ORT_DYLIB_PATH", runtime);
    }
    command.arg("annotate").arg(input).arg("-o").arg(&path);
    // `fast` stores frames out of order, as most films do.
    let output = command.args(["--events", "events.jsonl", "--preset", "fast"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}: {said}", input.display());
    let lines = std::fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let frames = lines.filter(|line| line.get("faces").is_some());
    let records = frames.map(|frame| frame["pts_ns"].as_f64().unwrap() / 1e9).collect();
    Film { path, records, said, _folder: folder }
}

/// Fails where `film` or its records have other frames than `source`, or at other times.
pub fn check_times(name: &str, source: &[Option<f64>], film: &Film, origins: (Origin, Origin)) {
    let Some(shown) = frame_times(&film.path) else { return };
    let recorded: Vec<_> = film.records.iter().copied().map(Some).collect();
    check_list(name, source, ("film", &shown), origins.0);
    check_list(name, source, ("records", &recorded), origins.1);
}

/// Fails where `times` are not those of `source`; `what` they are is for the message.
pub fn check_list(
    name: &str,
    source: &[Option<f64>],
    (what, times): (&str, &[Option<f64>]),
    origin: Origin,
) {
    assert_eq!(times.len(), source.len(), "{name}: frames in the {what}");
    let zero = |times: &[Option<f64>]| match origin {
        Origin::File => 0.0,
        Origin::FirstFrame => times[0].unwrap(),
    };
    let (source_zero, zero) = (zero(source), zero(times));
    for (i, (a, b)) in source.iter().zip(times).enumerate() {
        let (Some(a), Some(b)) = (a, b) else { continue };
        let (a, b) = (a - source_zero, b - zero);
        assert!((a - b).abs() <= TOLERANCE, "{name}: frame {i} is at {a}, in the {what} at {b}");
    }
}
