//! GStreamer code that the sinks of a live stream share: encoder, inlet and muxer.

pub(crate) mod encoder;
mod inlet;
mod muxing;

pub(crate) use inlet::{Inlet, guard, stamped};
pub(crate) use muxing::{MuxError, Muxing, Wrap};
