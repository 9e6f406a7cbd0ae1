//! Writes and reads ONNX graphs, as far as packages need it.
//!
//! Takes operators one by one through [`GraphBuilder`]; gives the bytes of an ONNX file (opset 17,
//! IR version 8, readable by every ONNX Runtime since 1.13). Reading gives a graph's inputs and
//! outputs only. Promises that every [`ValueRef`] exists, but not that shapes agree: the runtime
//! checks shapes when the graph is opened, as every importer's test does.

mod build;
mod operators;
pub(crate) mod proto;
mod read;

pub(crate) use build::{Axis, GraphBuilder, ValueRef};
pub(crate) use operators::{Conv, Gru, GruDirection};
pub(crate) use read::signature;
