//! A row of the table: what was done, what was measured, whether it held.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::camera::clip;
use super::{full, results};
use crate::needs;

/// A row; it is written down when it ends, also where it failed.
pub struct Row {
    name: &'static str,
    what: &'static str,
    /// A folder of its own.
    pub dir: TempDir,
    recovered: Vec<f64>,
    lost: Vec<f64>,
    notes: Vec<String>,
    runs: u32,
    skipped: bool,
}

impl Row {
    /// Begins; `None`, said loudly, where the machine lacks what is needed.
    pub fn begin(name: &'static str, what: &'static str) -> Option<Self> {
        if clip().is_none() {
            needs::skip("demo/sample.mp4 (make samples), or CHAOS_CLIP");
            return None;
        }
        if Command::new("ffprobe").arg("-version").output().is_err() {
            needs::skip("ffprobe and ffmpeg (package ffmpeg)");
            return None;
        }
        std::fs::create_dir_all(results()).expect("target/chaos");
        let dir = tempfile::tempdir().expect("a folder");
        let (recovered, lost, notes) = (Vec::new(), Vec::new(), Vec::new());
        Some(Self { name, what, dir, recovered, lost, notes, runs: 0, skipped: false })
    }

    /// The machine cannot do it, which was said.
    pub fn skipped(mut self) {
        self.skipped = true;
    }

    /// The fault happened once more.
    pub fn ran(&mut self) {
        self.runs += 1;
    }

    /// Frames were back so long after the fault was over.
    pub fn recovered(&mut self, after: Duration) {
        eprintln!("{}: recovered after {:.2} s", self.name, after.as_secs_f64());
        self.recovered.push(after.as_secs_f64());
    }

    /// So many seconds of frames were lost.
    pub fn lost(&mut self, seconds: f64) {
        eprintln!("{}: lost {seconds:.2} s", self.name);
        self.lost.push(seconds);
    }

    /// Anything else that was found.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        eprintln!("{}: {note}", self.name);
        self.notes.push(note);
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if self.skipped {
            return;
        }
        let held = !std::thread::panicking();
        if !held {
            // For whoever looks into it; the folder goes with the row.
            let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
            let _ = std::fs::write(results().join(format!("{}.log", self.name)), log);
        }
        let line = json!({
            "row": self.name, "what": self.what, "held": held, "full": full(),
            "runs": self.runs.max(1), "recovered_s": self.recovered, "lost_s": self.lost,
            "notes": self.notes, "when": jiff::Timestamp::now().to_string(), "machine": machine(),
        });
        let file = results().join("results.jsonl");
        let file = std::fs::File::options().create(true).append(true).open(file);
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(e) = written {
            eprintln!("the result was not written down: {e}");
        }
    }
}

/// The processor and how many cores there are.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{cores} × {}, {build} build", model.map_or("unknown processor", |(_, name)| name))
}
