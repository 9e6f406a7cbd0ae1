//! The stages wired: in order, a named thread each, with the queues between them.
//!
//! [`recording`] is one pass over a recording, [`two_passes`] the same read twice, [`live`] a stream that
//! comes and goes. All three build their stages by [`build`] from the same [`settings`].

#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod build;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod error;
pub mod live;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod recording;
pub mod settings;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod two_passes;
