//! What every test of a path needs: models, a folder of its own, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use locutor::models::import::{ImportKind, import};
use locutor::models::tiny::{self, TinyNetwork};
use tempfile::TempDir;

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

/// What no run may lose: frames, size, times, the audio and its place beside the frame.
pub fn check_conserved(input: &Path, track: u32, run: &Run) -> (Probe, Probe) {
    let (before, after) = (probe(input, track), probe(&run.film, 1));
    let what = format!("{}\n  in  {before:?}\n  out {after:?}\n", input.display());
    assert_eq!(before.frames, after.frames, "frames: {what}");
    assert_eq!(run.records.frames.len(), before.frames, "lines of frames: {what}");
    assert_eq!((before.width, before.height), (after.width, after.height), "size: {what}");
    let frame = before.frame_seconds();
    let close = |a: f64, b: f64| (a - b).abs() <= frame + 1e-3;
    assert!(close(before.length(), after.length()), "length: {what}");
    assert_eq!(before.audio.is_some(), after.audio.is_some(), "audio: {what}");
    if let (Some(a), Some(b)) = (&before.audio, &after.audio) {
        assert!(close(a.start - before.first, b.start - after.first), "sync at the start: {what}");
        // An encoder may add a packet of priming or padding: 2048 samples at 44.1 kHz.
        let apart = (a.end - before.first) - (b.end - after.first);
        assert!(apart.abs() <= frame + 0.05, "the audio's end is {apart:.3} s off: {what}");
    }
    (before, after)
}
