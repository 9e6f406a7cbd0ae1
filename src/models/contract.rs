//! What a graph must look like from outside, and the comparison with what it does look like.
//!
//! A manifest gives [`GraphContract`]s; a session's own metadata gives [`Signature`]s; [`prove`]
//! finds the first place where they differ and names both sides. Pure, so that it is tested
//! without a runtime. Promises names, element types, ranks and sizes; not what a graph computes.

use std::fmt;

use thiserror::Error;

use super::manifest::FileName;

/// One dimension of a tensor, as a contract wants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dim {
    /// Exactly this size.
    Fixed(usize),
    /// Free: chosen anew with every run.
    Free(&'static str),
    /// Whatever the graph likes.
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

/// A float tensor that a graph must take or give.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorContract {
    /// The tensor's name in the graph.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<Dim>,
}

/// All tensors that a graph must take and give.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GraphContract {
    /// The graph's file within its package.
    pub file: FileName,
    /// Every input: a graph with a further one is refused, as nobody would feed it.
    pub inputs: Vec<TensorContract>,
    /// The outputs that are used; a graph may have others.
    pub outputs: Vec<TensorContract>,
}

/// A tensor as a session or a graph file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorFound {
    /// Its name.
    pub name: String,
    /// Its element type, `float32` for the only one that contracts ask for.
    pub element: String,
    /// Its dimensions; `None` where the size is free.
    pub dims: Vec<Option<usize>>,
}

/// A graph's inputs and outputs as found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signature {
    /// What it takes.
    pub inputs: Vec<TensorFound>,
    /// What it gives.
    pub outputs: Vec<TensorFound>,
}

/// The first difference between a manifest and a graph.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "model.toml says {expected}, the graph itself says {found}; \
     the two do not belong together: import the package again"
)]
pub struct Mismatch {
    /// The manifest's side.
    pub expected: String,
    /// The graph's side.
    pub found: String,
}

/// Compares a contract with what was found.
///
/// # Errors
/// The first difference, with both sides.
pub fn prove(contract: &GraphContract, found: &Signature) -> Result<(), Mismatch> {
    check_side("input", &contract.inputs, &found.inputs)?;
    check_side("output", &contract.outputs, &found.outputs)?;
    let stranger =
        found.inputs.iter().find(|f| contract.inputs.iter().all(|wanted| wanted.name != f.name));
    match stranger {
        None => Ok(()),
        Some(f) => Err(Mismatch {
            expected: format!("inputs {}", names(contract.inputs.iter().map(|t| &t.name))),
            found: format!("a further input {}", describe(f)),
        }),
    }
}

fn check_side(
    side: &str,
    wanted: &[TensorContract],
    found: &[TensorFound],
) -> Result<(), Mismatch> {
    for tensor in wanted {
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

fn describe(tensor: &TensorFound) -> String {
    let dims: Vec<_> =
        tensor.dims.iter().map(|d| d.map_or("free".to_owned(), |n| n.to_string())).collect();
    format!("`{}` {}[{}]", tensor.name, tensor.element, dims.join(","))
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.map(|n| format!("`{n}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
