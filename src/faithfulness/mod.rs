//! Measures the faithfulness of a package's heatmaps on any recordings.
//!
//! Detects and tracks the faces in recordings as a run does, scores them with the package, and
//! selects windows in which the package itself predicts speaking ([`collect`], [`speech_window`]).
//! In each window, the map of each explain mode and the controls ([`maps`]) are tested by insertion
//! and deletion ([`measure`]; the protocol is in [`crate::stages::explain::faithfulness`]). The
//! report has means over windows with bootstrap intervals ([`report`]).
//!
//! The same recordings, package, device and seed give the same figures. Faithfulness refers to the
//! score: if a model is wrong, a faithful map shows why.

#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) mod clips;
pub(crate) mod collect;
pub(crate) mod maps;
pub(crate) mod measure;
pub(crate) mod rank;
pub(crate) mod report;
pub(crate) mod speech_window;
#[cfg(test)]
mod tests;
