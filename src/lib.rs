//! Who is speaking in this video, right now, and what the model looked at.

pub mod cli;
pub mod config;
pub mod core;
#[cfg(feature = "gst")]
pub mod gst;
pub mod models;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod stages;
