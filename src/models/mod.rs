//! Model packages: what a model is to this program, how it gets here, and how it is proven.
//!
//! Takes upstream checkpoints and package directories; gives [`package::Package`]s whose manifest
//! is checked and whose files are what the manifest says (SHA-256). A package is a directory with
//! `model.toml` beside its ONNX files, so that a new model is data and not code; the program carries
//! some within itself ([`built_in`]), so that it runs with nothing imported.
//!
//! Promises: nothing half-written under a final name, no code run from a checkpoint, an error that
//! names the file and the key and says what to do. Does not promise that a model is any good; and
//! that a graph is what its manifest says is proven only when a session is opened (`onnx::session`).
//!
//! Nothing here names a runtime: importing, listing and verifying work without ONNX Runtime.

pub mod built_in;
pub mod checkpoint;
pub mod contract;
pub mod device;
pub mod error;
pub mod explain;
pub mod face_detector;
pub(crate) mod graph;
pub mod import;
pub mod manifest;
pub mod package;
pub mod registry;
pub mod speaker_model;
pub mod tensor;
pub mod tiny;

pub use error::ModelError;
pub use manifest::{DetectorManifest, Manifest, SpeakerManifest};
pub use package::{Package, Place};
