//! Who is speaking in this video, right now, and what the model looked at.

#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod bench;
pub mod cli;
pub mod config;
pub mod core;
pub mod eval;
pub mod faithfulness;
#[cfg(feature = "gst")]
pub mod gst;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod live;
pub mod models;
#[cfg(test)]
#[path = "../tests/support/needs.rs"]
mod needs;
#[cfg(test)]
#[path = "../tests/support/needs_tests.rs"]
mod needs_tests;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod pipeline;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod run;
pub mod stages;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod telemetry;
