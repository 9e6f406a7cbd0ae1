//! What the sinks of a live stream share that names GStreamer: packets into a pipeline.

mod inlet;

pub use inlet::{Inlet, InletError, guard, stamped};
