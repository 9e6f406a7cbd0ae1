//! Whether a package's heatmaps are true, measured on anyone's recordings.
//!
//! Takes recordings; finds and follows the faces in them as a run does, lets the package score
//! them, and cuts windows in which the package itself says *speaking* ([`collect`], [`speech_window`]). For
//! each window every explain mode's map, and controls beside them ([`maps`]), is tested by
//! insertion and deletion ([`measure`]; the protocol is in
//! [`crate::stages::explain::faithfulness`]). Gives means over windows with bootstrap intervals
//! ([`report`]).
//!
//! Promises: the same figures for the same recordings, package, device and seed. What is measured
//! is truth to the score: where a model is wrong, a true map shows why.

#[cfg(all(feature = "gst", feature = "onnx"))]
pub mod clips;
pub mod collect;
pub mod maps;
pub mod measure;
pub mod rank;
pub mod report;
pub mod speech_window;
#[cfg(test)]
mod tests;
