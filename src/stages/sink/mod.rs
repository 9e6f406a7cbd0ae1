//! Sink: annotated pictures and sound become a film, results become records.

#[cfg(feature = "gst")]
pub mod gst;
