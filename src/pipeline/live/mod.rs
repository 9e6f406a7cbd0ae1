//! A live stream: a [`session`] for every time its source is there, and a [`presenter`] for good.
//!
//! The stages are those of recordings, wired in [`session`] so that nothing live ever waits.

#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod compute_time;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod context;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod load;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod output_encoder;
pub mod output_policy;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod presenter;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod queues;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod session;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod slate;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod slow_path;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod stream;
