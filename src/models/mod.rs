//! Model packages: what a package is, how it is imported and verified.
//!
//! Takes upstream checkpoints and package directories; gives [`package::Package`]s with a checked
//! manifest and files that match its SHA-256 sums. A package is a directory with `model.toml` and
//! ONNX files, so that a new model is data and not code. Some packages are built in ([`built_in`]):
//! the program runs with nothing imported.
//!
//! Promises: no half-written package, no code run from a checkpoint, errors that name file and key
//! and say what to do. Does not promise a model's accuracy. Whether a graph matches its manifest is
//! verified only when a session is opened (`onnx::session`).
//!
//! This module does not use ONNX Runtime: packages can be imported, listed and verified without it.

pub(crate) mod built_in;
pub(crate) mod checkpoint;
pub(crate) mod contract;
pub mod device;
pub(crate) mod error;
pub mod explain;
pub mod face_detector;
pub(crate) mod graph;
pub mod import;
pub mod manifest;
pub(crate) mod package;
pub mod registry;
pub mod speaker_model;
pub mod tensor;
pub mod tiny;

pub use error::ModelError;
pub use manifest::{DetectorManifest, Manifest, SpeakerManifest};
pub use package::{Package, PackageLocation};
