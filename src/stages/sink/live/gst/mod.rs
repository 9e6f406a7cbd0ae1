//! What the sinks of a live stream share that names GStreamer: packets into a pipeline.

pub mod encoder;
mod inlet;
mod muxing;

pub use inlet::{Inlet, guard, stamped};
pub use muxing::{MuxError, Muxing, Wrap};
