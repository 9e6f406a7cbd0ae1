//! Heap allocations of the program's own code, and of the libraries written in Rust that it uses,
//! for each frame in steady state: everything that goes through Rust's allocator. What GStreamer,
//! codecs and ONNX Runtime take is theirs and not seen here.
//!
//! Needs demo/sample.mp4 (make samples); skipped loudly without it.

#![cfg(all(feature = "gst", feature = "onnx"))]

#[path = "support/needs.rs"]
mod needs;

use std::alloc::System;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use locutor::config::{FileSinkOptions, Pipeline, RecordPaths, parse_floor};
use locutor::core::progress::Progress;
use locutor::models::device::Device;
use locutor::pipeline::settings::LookaheadChoice;
use locutor::run::run;
use locutor::stages::overlay::Style;
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that a frame with two faces may take. Of the 28 measured some 11 are the `ort` crate's, two
/// for each output of each call and what grows with them; 17 are the program's own and those of other
/// libraries.
const MOST_A_FRAME: f64 = 31.0;

/// What was counted by the time that so many frames were written.
#[derive(Clone, Copy)]
struct Mark {
    frames: u64,
    counted: Stats,
}

/// Waits until `frames` are written; `None` where the run ends before.
fn mark(progress: &Progress, ended: &AtomicBool, frames: u64) -> Option<Mark> {
    loop {
        let written = progress.frames.load(Ordering::Relaxed);
        if written >= frames {
            return Some(Mark { frames: written, counted: COUNTED.stats() });
        }
        if ended.load(Ordering::Relaxed) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_frame_takes_few_allocations_once_everything_runs() {
    let Some(clip) = needs::demo("sample.mp4") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("film.mp4");
    let pipeline = Pipeline {
        input: clip,
        audio_track: 1,
        output: Some(FileSinkOptions {
            path: output.clone(),
            encoder: None,
            crf: 30,
            preset: "ultrafast".into(),
        }),
        records: RecordPaths { events: Some(output.with_extension("jsonl")), ..Default::default() },
        package: None,
        detector: None,
        device: Device::Cpu,
        lookahead: LookaheadChoice::File,
        explain: None,
        floor: parse_floor("300,500,1000").expect("a rule"),
        style: Style::default(),
        frame_budget_bytes: 192 << 20,
        overwrite: true,
    };
    let (progress, ended) = (Progress::default(), AtomicBool::new(false));
    let marks = std::thread::scope(|scope| {
        let marks =
            scope.spawn(|| Some((mark(&progress, &ended, 200)?, mark(&progress, &ended, 500)?)));
        let done = run(&pipeline, &progress, |_| {}, &AtomicBool::new(false));
        ended.store(true, Ordering::Relaxed);
        done.expect("the run");
        marks.join().expect("the watcher")
    });
    let (early, late) = marks.expect("a clip of more than 500 frames");
    let spent = late.counted - early.counted;
    let frames = (late.frames - early.frames) as f64;
    let each = (spent.allocations + spent.reallocations) as f64 / frames;
    println!(
        "{each:.1} allocations a frame ({:.1} of them to grow), {:.1} kB",
        spent.reallocations as f64 / frames,
        spent.bytes_allocated as f64 / frames / 1e3
    );
    assert!(each <= MOST_A_FRAME, "{each:.1} allocations a frame");
}
