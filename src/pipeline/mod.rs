//! The stages in order, each on a named thread, connected by queues.
//!
//! [`recording`] is one pass over a recording, [`two_passes`] reads the recording twice, [`live`] is a
//! camera that may be lost and restored. All three build their stages by [`build`] from [`settings`].

#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod build;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod error;
pub(crate) mod live;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod recording;
pub mod settings;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod two_passes;
