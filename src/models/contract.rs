//! The inputs and outputs that a manifest requires of a graph, compared with the graph's own.
//!
//! A manifest gives [`GraphContract`]s, a session's metadata gives [`Signature`]s. [`verify`]
//! reports the first difference with both sides. It needs no runtime and is tested without one. It
//! checks names, element types, ranks and sizes; not what a graph computes.

use std::fmt;

use thiserror::Error;

use super::manifest::values::FileName;

/// One dimension of a tensor in a contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dim {
    /// Exactly this size.
    Fixed(usize),
    /// Dynamic: may change with every run.
    Free(&'static str),
    /// Fixed or dynamic, of any size.
    Any,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Free(name) => f.write_str(name),
            Self::Any => f.write_str("?"),
        }
    }
}

/// A float input or output that a graph must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorContract {
    /// The tensor's name in the graph.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<Dim>,
}

/// All inputs and outputs that a graph must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GraphContract {
    /// The graph's file within its package.
    pub file: FileName,
    /// All inputs: a graph with another one is rejected, as it would get no value.
    pub inputs: Vec<TensorContract>,
    /// The used outputs; a graph may have others.
    pub outputs: Vec<TensorContract>,
}

/// A tensor as a session or a graph file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type; contracts require `float32`.
    pub element: String,
    /// Its dimensions; `None` for a dynamic one.
    pub dims: Vec<Option<usize>>,
}

/// A graph's inputs and outputs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Signature {
    /// The inputs.
    pub inputs: Vec<TensorInfo>,
    /// The outputs.
    pub outputs: Vec<TensorInfo>,
}

/// The first difference between a manifest and a graph.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "model.toml has {expected}, but the graph has {found}; \
     they do not match: import the package again"
)]
pub struct Mismatch {
    /// The manifest's side.
    pub expected: String,
    /// The graph's side.
    pub found: String,
}

/// Compares a contract with a graph.
///
/// # Errors
/// The first difference, with both sides.
pub(crate) fn verify(contract: &GraphContract, found: &Signature) -> Result<(), Mismatch> {
    check_side("input", &contract.inputs, &found.inputs)?;
    check_side("output", &contract.outputs, &found.outputs)?;
    let is_extra =
        |input: &&TensorInfo| contract.inputs.iter().all(|tensor| tensor.name != input.name);
    let extra = found.inputs.iter().find(is_extra);
    match extra {
        None => Ok(()),
        Some(f) => Err(Mismatch {
            expected: format!("inputs {}", names(contract.inputs.iter().map(|t| &t.name))),
            found: format!("a further input {}", describe(f)),
        }),
    }
}

fn check_side(
    side: &str,
    required: &[TensorContract],
    found: &[TensorInfo],
) -> Result<(), Mismatch> {
    for tensor in required {
        let expected = || {
            let dims: Vec<_> = tensor.dims.iter().map(Dim::to_string).collect();
            format!("{side} `{}` float32[{}]", tensor.name, dims.join(","))
        };
        let Some(other) = found.iter().find(|f| f.name == tensor.name) else {
            let found = format!("{side}s {}", names(found.iter().map(|f| &f.name)));
            return Err(Mismatch { expected: expected(), found });
        };
        let same = other.element == "float32"
            && other.dims.len() == tensor.dims.len()
            && tensor.dims.iter().zip(&other.dims).all(|(want, have)| match want {
                Dim::Fixed(n) => *have == Some(*n),
                Dim::Free(_) => have.is_none(),
                Dim::Any => true,
            });
        if !same {
            let found = format!("{side} {}", describe(other));
            return Err(Mismatch { expected: expected(), found });
        }
    }
    Ok(())
}

fn describe(tensor: &TensorInfo) -> String {
    let dims: Vec<_> =
        tensor.dims.iter().map(|d| d.map_or("free".to_owned(), |n| n.to_string())).collect();
    format!("`{}` {}[{}]", tensor.name, tensor.element, dims.join(","))
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.map(|n| format!("`{n}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
