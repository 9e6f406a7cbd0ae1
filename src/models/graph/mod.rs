//! Writing and reading ONNX graphs, as far as packages need it.
//!
//! Takes operators one by one through [`GraphBuilder`]; gives the bytes of an ONNX file (opset 17,
//! IR version 8, which every ONNX Runtime since 1.13 reads). Reading gives a graph's inputs and
//! outputs only. Promises that every edge it hands out exists; not that shapes agree: that is
//! found by the runtime when the graph is first opened, which every importer's test does.

mod build;
mod operators;
pub(crate) mod proto;
mod read;

pub(crate) use build::{Axis, GraphBuilder, ValueRef};
pub(crate) use operators::{Conv, Gru, GruDirection};
pub(crate) use read::signature;
