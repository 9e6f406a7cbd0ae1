//! The whole program on real media, as a user runs it: from a recording to a film and its records.
//!
//! Every test here starts the binary itself. `tiny` makes its media with `gst-launch-1.0` and its
//! models with random weights, so that it runs everywhere; `clips` takes the recordings and models
//! in `../shared`, and `sync` the tools of `tools/sample` with their Python: both say so loudly
//! where these are missing. What goes in and what comes out is read by `ffprobe`. `errors` is the table of what can go wrong and the exit code of each.
//! `stop` presses Ctrl-C. `demo` and `hears` hold the built-in models to their word.
#![allow(clippy::unwrap_used, reason = "a test's helpers may panic, too")]
#![cfg(all(feature = "gst", feature = "onnx"))]

#[path = "paths/clips.rs"]
mod clips;
#[path = "paths/demo.rs"]
mod demo;
#[path = "paths/errors.rs"]
mod errors;
#[path = "paths/faithfulness.rs"]
mod faithfulness;
#[path = "paths/ffprobe.rs"]
mod ffprobe;
#[path = "paths/hears.rs"]
mod hears;
#[path = "paths/kit.rs"]
mod kit;
#[path = "paths/media.rs"]
mod media;
#[path = "support/needs.rs"]
mod needs;
#[path = "paths/probe.rs"]
mod probe;
#[path = "paths/records.rs"]
mod records;
#[path = "paths/stop.rs"]
mod stop;
#[path = "paths/sync.rs"]
mod sync;
#[path = "paths/tiny.rs"]
mod tiny;
