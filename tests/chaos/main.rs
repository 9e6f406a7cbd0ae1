//! The fault suite: cameras and the daemon as processes of their own, faults done to them, and what
//! an operator then sees (health page, metrics, events, recordings, an RTSP reader).
//!
//! Each test is a row of the table in docs/reliability.md and writes its line to
//! target/chaos/results.jsonl. `make chaos` runs all of them, `make chaos CASE=name` one; those that
//! are ignored here take too long for every day, the others run shorter. Needs demo/sample.mp4,
//! ffmpeg and ffprobe; a row that lacks something says SKIPPED.

#![cfg(target_os = "linux")]

/// The daemon dies or is told to end.
mod daemon_ends;
/// Disks and folders.
mod disk;
/// The table in docs/reliability.md.
mod doc;
/// What all rows need.
mod kit;
/// How late frames reach a client.
mod latency;
/// What the repository does not hold.
#[path = "../support/needs.rs"]
mod needs;
/// Streams beside each other; reload.
mod neighbours;
/// Those who read, and where events go.
mod readers;
/// A disk that stops answering.
mod slow_disk;
/// Long runs.
mod soak;
/// The camera goes away and comes back.
mod source;
/// What the camera sends changes.
mod source_changes;
/// Stages of the program fail.
mod stages;
