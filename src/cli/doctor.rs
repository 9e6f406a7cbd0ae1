//! `locutor doctor`: what is installed, what is missing, and the command that fixes it.
//!
//! Inspects the machine and gives a report, as text or JSON. The exit code is 0 if the main job
//! (`annotate` into mp4) can run, and 69 if something that it requires is missing. What is only
//! useful is reported, but is no failure.
//!
//! Inspection (`gst`, `onnx`, `packages`) is separate from assessment and printing (`report`,
//! `text`). The latter are tested without GStreamer and ONNX Runtime, and a build without either
//! feature still reports. A recording may still not decode: GStreamer chooses its decoders itself,
//! and the list of elements names the usual ones.

#[cfg(feature = "gst")]
mod gst;
#[cfg(feature = "onnx")]
mod onnx;
mod packages;
mod report;
#[cfg(test)]
mod tests;
mod text;

use super::DoctorArgs;
use super::terminal::{print, print_json};
use crate::core::exit::Exit;
use report::{Media, Program, Report, Runtime};

/// Runs `locutor doctor`.
pub(crate) fn doctor(args: &DoctorArgs) -> Exit {
    let models = packages::inspect();
    let report = Report::new(Program::this(), media(), runtime(&models), models.report);
    let printed = if args.json { print_json(&report) } else { print(&text::render(&report)) };
    match (printed, report.ready) {
        (Exit::Done, true) => Exit::Done,
        (Exit::Done, false) => Exit::Unavailable,
        (failed, _) => failed,
    }
}

#[cfg(feature = "gst")]
fn media() -> Media {
    gst::inspect()
}

#[cfg(not(feature = "gst"))]
fn media() -> Media {
    Media {
        problem: Some(
            "this program was built without the feature `gst`: it reads and writes no media".into(),
        ),
        fix: Some("cargo build --release".into()),
        ..Media::default()
    }
}

#[cfg(feature = "onnx")]
fn runtime(models: &packages::Inspection) -> Runtime {
    onnx::inspect(models.detector.as_ref())
}

#[cfg(not(feature = "onnx"))]
fn runtime(_models: &packages::Inspection) -> Runtime {
    Runtime {
        problem: Some(
            "this program was built without the feature `onnx`: it runs no models".into(),
        ),
        fix: Some("cargo build --release".into()),
        ..Runtime::default()
    }
}
