//! The film's frame times are the recording's, as ffprobe tells them: ffmpeg makes the recordings,
//! the program annotates them, and ffprobe reads both. GStreamer has no say in what is right.
//!
//! `table` is one recording for each way in which a file can date its frames; `clips` is what is in
//! `../shared/clips`. Both say so loudly where something is missing.
#![allow(clippy::unwrap_used, reason = "a test's helpers may panic, too")]
#![cfg(all(feature = "gst", feature = "onnx"))]

mod clips;
mod ffprobe;
mod kit;
#[path = "../support/needs.rs"]
mod needs;
mod packs;
mod table;
