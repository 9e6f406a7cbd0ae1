//! What the sinks of a live stream share that names GStreamer: packets into a pipeline.

pub(crate) mod encoder;
mod inlet;
mod muxing;

pub(crate) use inlet::{Inlet, guard, stamped};
pub(crate) use muxing::{MuxError, Muxing, Wrap};
