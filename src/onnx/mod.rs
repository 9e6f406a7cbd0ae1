//! ONNX Runtime: finds the library, and opens graphs after checking them against their manifest.
//!
//! The crate `ort` is used only here and in files called `onnx.rs`, behind the cargo feature
//! `onnx`. The library is loaded at run time.

mod answers;
mod batching;
pub mod bound;
mod detector;
pub mod engine;
mod face;
pub(crate) mod providers;
pub mod runtime;
pub mod session;
pub mod speaker;
pub(crate) mod stats;
mod workers;
