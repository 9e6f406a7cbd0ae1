//! The camera's GStreamer part: a clip encoded once, and an RTSP server that plays it.

mod clip;
mod serve;

pub use serve::Camera;
