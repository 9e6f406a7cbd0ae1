//! What the engine's other thread does: searches for faces, one after the other as they come.
//!
//! A thread of its own, so that a search need not wait for a batch of faces, nor faces for a search:
//! with a large speaker model and nothing but files to work through, one thread for both would leave
//! a core idle.

use std::sync::Arc;

use super::session::{OpenGraph, SessionError};
use super::tally::{Graph, Tally};
use super::work::Reply;
use crate::core::edge::{ByteSize, Receiver, Sender};
use crate::models::tensor::Tensor;

/// A picture to search, and what an earlier search gave, for its memory.
pub(super) struct Search {
    pub(super) values: Vec<f32>,
    pub(super) dims: [usize; 4],
    pub(super) spare: Vec<Tensor>,
    pub(super) reply: Sender<Reply<Found>>,
}

/// The tensors of a search, and the input buffer back for the next one.
pub(super) type Found = (Result<Vec<Tensor>, SessionError>, Vec<f32>);

impl ByteSize for Search {
    fn byte_size(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

/// What the thread owns.
pub(super) struct Finder {
    pub(super) graph: OpenGraph,
    pub(super) input: String,
    pub(super) outputs: Vec<String>,
    pub(super) counts: Arc<Tally>,
}

impl Finder {
    /// Answers until nobody can ask any more.
    pub(super) fn serve(&mut self, queue: &Receiver<Search>) {
        let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        while let Some(search) = queue.recv() {
            let bytes = search.byte_size();
            let Search { values, dims, spare, reply } = search;
            let inputs = [(self.input.as_str(), &dims[..], &values[..])];
            let run = || self.graph.run_into(&inputs, &names, spare);
            let found = self.counts.count(Graph::Detect, 1, bytes, run);
            // An answer that nobody waits for any more is no fault.
            let _ = reply.send(Reply((found, values)));
        }
    }
}
