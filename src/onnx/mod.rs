//! ONNX Runtime: finding the library, and opening graphs that are what their manifest says.
//!
//! Only here, and in files called `onnx.rs`, is the runtime's crate named. Everything behind the
//! cargo feature `onnx`; the library itself is loaded when the program runs.

mod answers;
pub mod bound;
pub mod engine;
mod face;
mod find;
mod providers;
pub mod runtime;
pub mod session;
pub mod speaker;
mod stack;
pub mod tally;
mod work;
