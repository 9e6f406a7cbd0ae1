//! The stages of the pipeline, one folder each, in the order in which a frame meets them.

pub mod detect;
pub mod features;
pub mod resample;
