//! Sinks: annotated frames and audio become an output file or a stream, results become records.

pub mod atomic_file;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod events;
pub mod evidence_file;
#[cfg(feature = "gst")]
pub mod fan_out;
mod file_error;
#[cfg(feature = "gst")]
pub mod gst;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod live;
pub mod records;
pub mod settings;
pub mod stage;
