//! Sinks: annotated frames and audio become an output file or a stream, results become records.

pub(crate) mod atomic_file;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod events;
pub(crate) mod evidence_file;
#[cfg(feature = "gst")]
pub(crate) mod fan_out;
mod file_error;
#[cfg(feature = "gst")]
pub(crate) mod gst;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod live;
pub mod records;
pub mod settings;
pub mod stage;
