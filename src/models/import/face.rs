//! The face encoders' graph: causal, each frame encoded once, equal to a whole-track pass.
//!
//! The released encoders are stacks of 3-D convolutions, each either spatial (1×k×k) or temporal
//! (k×1×1), zero-padded in time. Here a temporal convolution of k taps keeps its last k−1 input
//! frames as a state and needs no future frames; its output is (k−1)/2 frames late. Its input is
//! multiplied by the `valid` flag at the same delay: zero padding means zeros *at that layer*, but
//! a blank frame would give relu(bias) there. A new state is zeros, the padding before the first
//! frame; frames with `valid` 0 are the padding after the last.
//!
//! Layout: spatial convolutions on `[N·T,C,H,W]`, temporal ones as k×1 on `[N,C,T,H·W]`, with one
//! transposition between, and both branches added before transposing back. Measured with ONNX
//! Runtime 1.32, one thread of a Zen 4 core, Light-ASD, best ms per frame at T = 1, 5, 12, 25:
//!
//! | temporal convolution as | 1 | 5 | 12 | 25 |
//! |---|---|---|---|---|
//! | this layout | 4.6 | 4.1 | 4.1 | 4.2 |
//! | k×1, transposed back before adding | 5.5 | 4.5 | 4.7 | 4.6 |
//! | 1×1 over k concatenated shifted channels | 5.5 | 5.2 | 5.4 | 5.8 |
//! | the same, shifted by one gather | 5.7 | 5.2 | 5.1 | 5.1 |
//! | the same, as a matrix product | 5.6 | 5.2 | 5.7 | 5.8 |
//! | a sum of k 1×1 convolutions | 5.7 | 4.9 | 5.1 | 5.3 |
//!
//! 3.7 ms of the 4.1 are convolutions at about 109 GFLOP/s, the limit of such a core.

use crate::models::graph::{Axis, Conv, GraphBuilder, ValueRef};
use crate::models::manifest::raw::RawState;
use crate::models::tensor::Tensor;

/// Width and height of a crop in pixels.
pub(super) const CROP_PX: usize = 112;
/// Grey levels are normalized to (x/255 − mean)/deviation, as in training.
const GREY_MEAN: f32 = 0.4161;
const GREY_DEVIATION: f32 = 0.1688;

pub(super) const FRAMES: &str = "frames";
pub(super) const VALID: &str = "valid";
pub(super) const EMBEDDING: &str = "embedding";
pub(super) const MAP: &str = "map";
pub(super) const GATE: &str = "gate";

const N: Axis = Axis::Free("N");
const T: Axis = Axis::Free("T");

/// A face encoder under construction.
pub(super) struct FaceBuilder {
    pub(super) graph: GraphBuilder,
    /// `[N,T]` as numbers, for shapes.
    ticks: ValueRef,
    /// `[N,history+T]`: the flags of the frames that are not yet through all layers.
    flags: ValueRef,
    history: usize,
    /// Delay in ticks of the layer being built.
    delay: usize,
    states: Vec<RawState>,
}

/// A value in spatial layout: `[N·T,C,H,W]`, H = W = `side`.
pub(super) struct Spatial {
    pub(super) value: ValueRef,
    pub(super) channels: usize,
    pub(super) side: usize,
}

/// A value in temporal layout: `[N,C,T,H·W]`.
pub(super) struct Temporal {
    pub(super) value: ValueRef,
    pub(super) channels: usize,
    pub(super) side: usize,
}

/// Kernel and bias of a temporal convolution, `[out,in,k,1]`, and the taps of k = its size.
pub(super) struct TemporalConv {
    pub(super) kernel: Tensor,
    pub(super) bias: Tensor,
    /// Output delay in ticks: at least (k−1)/2, more to match a longer branch.
    pub(super) delay: usize,
}

impl FaceBuilder {
    /// A graph with its inputs; `history` is the delay of the last temporal convolution.
    pub(super) fn new(history: usize) -> (Self, Spatial) {
        let mut graph = GraphBuilder::new("face");
        let frames = graph.input(FRAMES, &[N, T, Axis::Fixed(CROP_PX), Axis::Fixed(CROP_PX)]);
        let valid = graph.input(VALID, &[N, T]);
        let ticks = graph.shape(&valid);
        let past = graph.input("valid_state", &[N, Axis::Fixed(history)]);
        let flags = graph.concat(&[&past, &valid], 1);
        let kept = graph.slice(&flags, 1, -(history as i64), None);
        graph.output(&kept, "valid_state_next", &[N, Axis::Fixed(history)]);
        let states = vec![RawState {
            input: "valid_state".into(),
            output: "valid_state_next".into(),
            shape: vec![history as i64],
        }];
        let pixels = graph.reshape(&frames, &[-1, 1, CROP_PX as i64, CROP_PX as i64]);
        let scale = graph.scalar(1.0 / (255.0 * GREY_DEVIATION));
        let shift = graph.scalar(-GREY_MEAN / GREY_DEVIATION);
        let scaled = graph.mul(&pixels, &scale);
        let value = graph.add(&scaled, &shift);
        let builder = Self { graph, ticks, flags, history, delay: 0, states };
        (builder, Spatial { value, channels: 1, side: CROP_PX })
    }

    /// A square spatial convolution with ReLU; `stride` 2 halves the sides.
    pub(super) fn spatial(
        &mut self,
        x: &Spatial,
        (kernel, bias): &(Tensor, Tensor),
        stride: usize,
    ) -> Spatial {
        let size = kernel.dims()[2] as i64;
        let conv = Conv { kernel, bias, strides: [stride as i64; 2], pads: [size / 2; 2] };
        let value = self.graph.conv_relu(&x.value, &conv);
        Spatial { value, channels: kernel.dims()[0], side: x.side / stride }
    }

    /// Changes to temporal layout; zeroes invalid frames.
    pub(super) fn switch_to_temporal(&mut self, x: &Spatial) -> Temporal {
        let flags = self.current_flags();
        let flags = self.graph.reshape(&flags, &[-1, 1, 1, 1]);
        let masked = self.graph.mul(&x.value, &flags);
        let shape = self.shape_with(&[x.channels, x.side * x.side]);
        let by_frame = self.graph.reshape_to(&masked, &shape);
        let value = self.graph.transpose(&by_frame, &[0, 2, 1, 3]);
        Temporal { value, channels: x.channels, side: x.side }
    }

    /// Zeroes invalid frames between two temporal convolutions.
    pub(super) fn mask(&mut self, x: &Temporal) -> Temporal {
        let flags = self.current_flags();
        let flags = self.graph.unsqueeze(&flags, 1);
        let flags = self.graph.unsqueeze(&flags, 3);
        let value = self.graph.mul(&x.value, &flags);
        Temporal { value, channels: x.channels, side: x.side }
    }

    /// A temporal convolution with ReLU and its state. Parallel branches start at the same delay;
    /// [`Self::add_delay`] then advances it.
    pub(super) fn temporal(&mut self, x: &Temporal, name: &str, conv: &TemporalConv) -> Temporal {
        let taps = conv.kernel.dims()[2];
        let cells = x.side * x.side;
        // The newest tap is (k−1)/2 ahead of the output's own frame.
        let skipped = conv.delay - (taps - 1) / 2;
        let kept = taps - 1 + skipped;
        let axes = [N, Axis::Fixed(x.channels), Axis::Fixed(kept), Axis::Fixed(cells)];
        let (input, output) = (format!("{name}_state"), format!("{name}_state_next"));
        let past = self.graph.input(&input, &axes);
        let all = self.graph.concat(&[&past, &x.value], 2);
        let next = self.graph.slice(&all, 2, -(kept as i64), None);
        self.graph.output(&next, &output, &axes);
        let shape = [x.channels, kept, cells].map(|n| n as i64).to_vec();
        self.states.push(RawState { input, output, shape });
        let window = match skipped {
            0 => all,
            skipped => self.graph.slice(&all, 2, 0, Some(-(skipped as i64))),
        };
        let conv = Conv { kernel: &conv.kernel, bias: &conv.bias, strides: [1; 2], pads: [0; 2] };
        let value = self.graph.conv_relu(&window, &conv);
        Temporal { value, channels: conv.kernel.dims()[0], side: x.side }
    }

    /// Delays all following layers by `ticks` more.
    pub(super) fn add_delay(&mut self, ticks: usize) {
        self.delay += ticks;
    }

    /// Changes to spatial layout.
    pub(super) fn switch_to_spatial(&mut self, x: &Temporal) -> Spatial {
        let by_frame = self.graph.transpose(&x.value, &[0, 2, 1, 3]);
        let side = x.side as i64;
        let value = self.graph.reshape(&by_frame, &[-1, x.channels as i64, side, side]);
        Spatial { value, channels: x.channels, side: x.side }
    }

    /// Halves the sides: 3×3 max pooling, stride 2.
    pub(super) fn pool(&mut self, x: &Spatial) -> Spatial {
        let value = self.graph.max_pool(&x.value, [3; 2], [2; 2], [1; 2]);
        Spatial { value, channels: x.channels, side: x.side / 2 }
    }

    /// Makes the last layer's value the map output. Returns it and its maximum, `[N,T,C]`.
    pub(super) fn finish_map(&mut self, x: &Temporal) -> (ValueRef, ValueRef) {
        let by_frame = self.graph.transpose(&x.value, &[0, 2, 1, 3]);
        let side = x.side as i64;
        let map = self.graph.reshape(&by_frame, &[0, 0, 0, side, side]);
        let axes = [N, T, Axis::Fixed(x.channels), Axis::Fixed(x.side), Axis::Fixed(x.side)];
        self.graph.output(&map, MAP, &axes);
        let peak = self.graph.reduce_max(&by_frame, &[3]);
        (by_frame, peak)
    }

    /// Makes a value `[N,T,width]` an output.
    pub(super) fn output(&mut self, value: &ValueRef, name: &str, width: usize) {
        self.graph.output(value, name, &[N, T, Axis::Fixed(width)]);
    }

    /// The file's bytes, the states and the delay.
    pub(super) fn finish(self, doc: &str) -> (Vec<u8>, Vec<RawState>, usize) {
        (self.graph.into_bytes(doc), self.states, self.delay)
    }

    /// `[N,T]`: the flags at the current layer's delay.
    fn current_flags(&mut self) -> ValueRef {
        let first = self.history.checked_sub(self.delay);
        let first = first.expect("history covers the last temporal convolution") as i64;
        let end = (self.delay > 0).then_some(-(self.delay as i64));
        self.graph.slice(&self.flags, 1, first, end)
    }

    /// The shape `[N,T,…]`.
    fn shape_with(&mut self, rest: &[usize]) -> ValueRef {
        let rest: Vec<_> = rest.iter().map(|&n| n as i64).collect();
        let rest = self.graph.ints(&rest);
        self.graph.concat(&[&self.ticks, &rest], 0)
    }
}
