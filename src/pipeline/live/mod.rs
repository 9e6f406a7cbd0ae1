//! A live stream: one [`session`] per connection to its source, and a [`presenter`] that runs as long
//! as the stream.
//!
//! The stages are those of recordings, connected in [`session`] so that the source never waits.

#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod compute_time;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod context;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod load;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod output_encoder;
pub(crate) mod output_policy;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod presenter;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod queues;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod session;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod slate;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod slow_path;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod stream;
