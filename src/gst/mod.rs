//! Shared by all GStreamer code: initialization, elements, buffers as frames, the bus.
//!
//! Only this module and the files called `gst.rs` in the stages name GStreamer. The rest builds and
//! tests without it.

pub(crate) mod bus;
pub(crate) mod container;
pub(crate) mod decode_graph;
pub(crate) mod decoder_output;
pub(crate) mod decoders;
pub(crate) mod demux_times;
pub(crate) mod edit_list;
pub(crate) mod element_list;
pub(crate) mod elements;
pub(crate) mod encoder;
pub(crate) mod image;
mod orientation;
pub(crate) mod packet;
pub(crate) mod reorder;
mod sample_duration;
pub(crate) mod tls;
pub(crate) mod video_codec;

use std::sync::OnceLock;

use crate::core::time::Pts;

/// GStreamer cannot be initialized.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GStreamer does not start: {0}; install it with: apt-get install libgstreamer1.0-0")]
pub struct StartError(String);

/// Initializes GStreamer, once per process.
///
/// # Errors
/// If GStreamer cannot be initialized; every later call returns the same error.
pub(crate) fn start() -> Result<(), StartError> {
    static STARTED: OnceLock<Result<(), StartError>> = OnceLock::new();
    STARTED.get_or_init(|| gstreamer::init().map_err(|e| StartError(e.to_string()))).clone()
}

/// The running time of a sample's buffer; negative for encoder priming.
pub(crate) fn running_time(sample: &gstreamer::SampleRef) -> Option<Pts> {
    let pts = sample.buffer()?.pts()?;
    let segment = sample.segment()?.downcast_ref::<gstreamer::ClockTime>()?;
    let ns = |t: gstreamer::ClockTime| i64::try_from(t.nseconds()).unwrap_or(i64::MAX);
    match segment.to_running_time_full(pts)? {
        gstreamer::Signed::Positive(t) => Some(Pts::from_ns(ns(t))),
        gstreamer::Signed::Negative(t) => Some(Pts::from_ns(-ns(t))),
    }
}

/// The version of GStreamer, e.g. `1.22.0`.
pub(crate) fn version() -> String {
    let (major, minor, micro, _) = gstreamer::version();
    format!("{major}.{minor}.{micro}")
}
