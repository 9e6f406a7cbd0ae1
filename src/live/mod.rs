//! Live streams: cameras in, annotated streams out, for years.

pub mod meters;
pub mod status;
