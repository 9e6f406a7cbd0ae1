//! The camera's GStreamer part: a clip encoded once, and an RTSP server that plays it.

mod clip;
mod number;
mod serve;

pub(crate) use serve::Camera;
