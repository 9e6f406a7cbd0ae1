//! What every test of a path needs: models, a folder of its own, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use locutor::models::import::{ImportKind, import};
use locutor::models::tiny::{self, TinyNetwork};
use tempfile::TempDir;

use crate::ffprobe::{Times, times};
use crate::needs::shared;
use crate::probe::{Probe, probe};
use crate::records::{Records, read};

/// Packages with random weights, written once a process. They have the names of those that are
/// taken by default, and so stand before them.
pub fn tiny_models() -> &'static Path {
    static MODELS: OnceLock<TempDir> = OnceLock::new();
    let folder = MODELS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_speaker(&folder.path().join("locutor"), TinyNetwork::LightAsd, 7).unwrap();
        tiny::write_detector(&folder.path().join("yunet")).unwrap();
        folder
    });
    folder.path()
}

/// The real packages, imported once a process; `None`, said loudly, where they are not here.
pub fn real_models() -> Option<&'static Path> {
    static MODELS: OnceLock<Option<TempDir>> = OnceLock::new();
    let folder = MODELS.get_or_init(|| {
        let upstream = shared("models")?;
        let folder = tempfile::tempdir().unwrap();
        for (kind, file) in [
            (ImportKind::LightAsd, "asd/lightasd_pretrain_AVA_CVPR.model"),
            (ImportKind::YuNet, "face/yunet_n_dynamic.onnx"),
        ] {
            import(kind, &[upstream.join(file)], &folder.path().join(kind.name())).unwrap();
        }
        Some(folder)
    });
    folder.as_ref().map(TempDir::path)
}

/// How a run ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The program with the models in `models` and nothing else that this machine may have.
pub fn locutor(models: &Path, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
    isolate(&mut command, models, home);
    command
}

/// Gives `command` a home of its own and the models in `models`.
pub fn isolate(command: &mut Command, models: &Path, home: &Path) {
    command.current_dir(home).env("HOME", home).env("XDG_DATA_HOME", home.join("data"));
    command.env("LOCUTOR_MODELS", models);
    for name in ["LOCUTOR_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    // ONNX Runtime is looked for under the current directory, which is not the repository here.
    // The list of plugins is the machine's: to gather it anew takes longer than most tests.
    if std::env::var_os("XDG_CACHE_HOME").is_none()
        && let Some(real) = std::env::var_os("HOME")
    {
        command.env("XDG_CACHE_HOME", Path::new(&real).join(".cache"));
    }
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ort/onnxruntime/capi");
    if std::env::var_os("ORT_DYLIB_PATH").is_none() && runtime.is_dir() {
        command.env("ORT_DYLIB_PATH", runtime);
    }
}

/// A run over one recording that went to its end, and all that it wrote.
pub struct Run {
    pub said: Said,
    pub summary: serde_json::Value,
    pub film: PathBuf,
    pub records: Records,
    /// Keeps the files until the run is dropped.
    _folder: TempDir,
}

/// Annotates `input` into a film `film.<extension>` and all records, and checks that the run ends
/// with `code` and that every record can be parsed.
pub fn annotate(models: &Path, input: &Path, extension: &str, more: &[&str], code: i32) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join(format!("film.{extension}"));
    let output = locutor(models, folder.path())
        .arg("annotate")
        .arg(input)
        .arg("-o")
        .arg(&film)
        .args(["--events", "events.jsonl", "--rttm", "turns.rttm", "--ava-csv", "faces.csv"])
        .args(["--vtt", "turns.vtt", "--json", "--stats", "--preset", "ultrafast"])
        .args(more)
        .output();
    let said = Said::from(output.unwrap());
    assert_eq!(said.code, Some(code), "{}: {}{}", input.display(), said.out, said.err);
    let summary = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.out));
    assert!(said.err.contains("CPU seconds by stage"), "{}", said.err);
    let records = read(folder.path());
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
    Run { said, summary, film, records, _folder: folder }
}

/// Names in `folder` that a run should not have left: temporary and incomplete files.
pub fn leftovers(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|n| n.contains(".part") || n.contains(".incomplete")).collect()
}

/// How far a film's frame times may lie from the recording's. Matroska counts whole milliseconds.
pub const TIME_TOLERANCE: f64 = 1e-3;

/// What no run may lose: frames, size, times, the audio and its place beside the frame.
pub fn check_conserved(input: &Path, track: u32, run: &Run) -> (Probe, Probe) {
    let source = &times(input, track);
    let (before, after) = (probe(input, track), probe(&run.film, 1));
    let film = times(&run.film, 1);
    let what = format!("{}\n  in  {before:?}\n  out {after:?}\n", input.display());
    let frames = source.frames.len();
    assert_eq!(frames, film.frames.len(), "frames by ffprobe: {what}");
    assert_eq!((before.frames, after.frames), (frames, frames), "frames: {what}");
    assert_eq!(run.records.frames.len(), frames, "lines of frames: {what}");
    let off = worst_shift(source.since_first(), film.since_first());
    assert!(off <= TIME_TOLERANCE, "the film's times are {:.1} ms off: {what}", off * 1e3);
    let off = worst_shift(source.since_first(), run.records.since_first());
    assert!(off <= TIME_TOLERANCE, "the records' times are {:.1} ms off: {what}", off * 1e3);
    assert_eq!((before.width, before.height), (after.width, after.height), "size: {what}");
    // The last frame is shown as long as it was.
    let longer = after.length() - before.length();
    assert!(longer.abs() <= before.frame_seconds() + 1e-3, "{longer:.3} s longer: {what}");
    check_audio(source, &film, TIME_TOLERANCE, &what);
    (before, after)
}

/// The audio lies where it did beside the frames.
fn check_audio(source: &Times, film: &Times, tolerance: f64, what: &str) {
    assert_eq!(source.audio.is_some(), film.audio.is_some(), "audio: {what}");
    let (Some(before), Some(after)) = (source.audio, film.audio) else { return };
    let frame = source.since_first().last().unwrap() / (source.frames.len().max(2) - 1) as f64;
    let start = (after.0 - film.frames[0]) - (before.0 - source.frames[0]);
    assert!(start.abs() <= frame + 1e-3, "the audio's start is {start:.3} s off: {what}");
    // An encoder may add a packet of priming or padding: 2048 samples at 44.1 kHz.
    let end = (after.1 - film.frames[0]) - (before.1 - source.frames[0]);
    assert!(end.abs() <= frame + 0.05 + tolerance, "the audio's end is {end:.3} s off: {what}");
}

/// The largest difference between two lists of times of the same length, in seconds.
pub fn worst_shift(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    a.zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
