//! The parts of the temporal heads' graph that both networks share.
//!
//! The released code runs the second recurrence on a time-reversed copy and reverses its output;
//! here it is an equivalent recurrence in direction "reverse". The forward recurrence starts from
//! an input and outputs its state after every tick, so that a caller can carry it across windows.

use super::weights::Weights;
use crate::models::error::ModelError;
use crate::models::graph::{Axis, GraphBuilder, Gru, GruDirection, ValueRef};
use crate::models::tensor::Tensor;

pub(super) const AUDIO: &str = "audio";
pub(super) const FACE: &str = "face";
pub(super) const FORWARD_STATE: &str = "forward_state";
pub(super) const FORWARD_STATES: &str = "forward_states";
pub(super) const SCORE: &str = "score";
pub(super) const GATE: &str = "gate";

const N: Axis = Axis::Free("N");
const T: Axis = Axis::Free("T");

/// A head under construction, with its inputs.
pub(super) struct HeadBuilder {
    pub(super) graph: GraphBuilder,
    /// `[N,T,width]`.
    pub(super) audio: ValueRef,
    /// `[N,T,width]`.
    pub(super) face: ValueRef,
    hidden: usize,
    state: ValueRef,
}

impl HeadBuilder {
    /// A graph with its inputs; embeddings of `width`, recurrences of `hidden`.
    pub(super) fn new(width: usize, hidden: usize) -> Self {
        let mut graph = GraphBuilder::new("head");
        let audio = graph.input(AUDIO, &[N, T, Axis::Fixed(width)]);
        let face = graph.input(FACE, &[N, T, Axis::Fixed(width)]);
        let state = graph.input(FORWARD_STATE, &[N, Axis::Fixed(hidden)]);
        Self { graph, audio, face, hidden, state }
    }

    /// The forward recurrence over `[N,T,in]`, from the input state; its states are an output.
    pub(super) fn forward(&mut self, x: &ValueRef, weights: &GruWeights) -> ValueRef {
        let initial = self.graph.unsqueeze(&self.state, 0);
        let states = self.recur(x, weights, GruDirection::Forward, Some(&initial));
        self.output(&states, FORWARD_STATES, self.hidden);
        states
    }

    /// The backward recurrence over `[N,T,in]`, from zeros at the end.
    pub(super) fn backward(&mut self, x: &ValueRef, weights: &GruWeights) -> ValueRef {
        self.recur(x, weights, GruDirection::Reverse, None)
    }

    fn recur(
        &mut self,
        x: &ValueRef,
        weights: &GruWeights,
        direction: GruDirection,
        initial: Option<&ValueRef>,
    ) -> ValueRef {
        let by_time = self.graph.transpose(x, &[1, 0, 2]);
        let gru = Gru {
            input_weights: &weights.input,
            recurrent_weights: &weights.recurrent,
            biases: &weights.biases,
            direction,
        };
        let states = self.graph.gru(&by_time, &gru, initial);
        let states = self.graph.squeeze(&states, 1);
        self.graph.transpose(&states, &[1, 0, 2])
    }

    /// Makes a value `[N,T,width]` an output.
    pub(super) fn output(&mut self, value: &ValueRef, name: &str, width: usize) {
        self.graph.output(value, name, &[N, T, Axis::Fixed(width)]);
    }

    /// The classifier `lossAV` over `[N,T,width]`, and the file's bytes.
    pub(super) fn finish(
        mut self,
        x: &ValueRef,
        width: usize,
        weights: &mut dyn Weights,
        doc: &str,
    ) -> Result<Vec<u8>, ModelError> {
        let matrix = weights.tensor("lossAV.FC.weight", &[2, width])?;
        let bias = weights.tensor("lossAV.FC.bias", &[2])?;
        let logits = self.graph.linear(x, &matrix, &bias);
        self.output(&logits, SCORE, 2);
        Ok(self.graph.into_bytes(doc))
    }
}

/// A recurrence's weights in ONNX's order and shape.
pub(super) struct GruWeights {
    input: Tensor,
    recurrent: Tensor,
    biases: Tensor,
}

impl GruWeights {
    /// Reads PyTorch's `NAME.weight_ih_l0` etc.
    pub(super) fn read(
        weights: &mut dyn Weights,
        name: &str,
        width: usize,
        hidden: usize,
    ) -> Result<Self, ModelError> {
        let input = weights.tensor(&format!("{name}.weight_ih_l0"), &[3 * hidden, width])?;
        let recurrent = weights.tensor(&format!("{name}.weight_hh_l0"), &[3 * hidden, hidden])?;
        let input_bias = weights.tensor(&format!("{name}.bias_ih_l0"), &[3 * hidden])?;
        let recurrent_bias = weights.tensor(&format!("{name}.bias_hh_l0"), &[3 * hidden])?;
        let both = [gates(&input_bias, hidden), gates(&recurrent_bias, hidden)].concat();
        let shaped = |dims: &[usize], values| {
            Tensor::new(dims, values).expect("reordering keeps the number of values")
        };
        Ok(Self {
            input: shaped(&[1, 3 * hidden, width], gates(&input, hidden)),
            recurrent: shaped(&[1, 3 * hidden, hidden], gates(&recurrent, hidden)),
            biases: shaped(&[1, 6 * hidden], both),
        })
    }
}

/// PyTorch stacks reset, update, new; ONNX stacks update, reset, hidden.
fn gates(stacked: &Tensor, hidden: usize) -> Vec<f32> {
    let part = stacked.values().len() / 3;
    debug_assert_eq!(part % hidden, 0);
    let (reset, rest) = stacked.values().split_at(part);
    let (update, new) = rest.split_at(part);
    [update, reset, new].concat()
}
