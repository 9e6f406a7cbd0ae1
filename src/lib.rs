//! Who is speaking in this video, right now, and what the model looked at.

#![cfg_attr(all(feature = "gst", feature = "onnx"), warn(unreachable_pub))]
// Without media or inference much of the thinking part has no caller but its tests.
#![cfg_attr(not(all(feature = "gst", feature = "onnx")), allow(dead_code))]

#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod bench;
pub mod cli;
pub mod config;
pub mod core;
pub(crate) mod eval;
pub(crate) mod faithfulness;
#[cfg(feature = "gst")]
pub(crate) mod gst;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod live;
pub mod models;
#[cfg(test)]
#[allow(unreachable_pub, reason = "test binaries have it as their own module, too")]
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
