//! The operators in use, with their arguments.

use super::build::Attribute::{Int, Ints, Text};
use super::build::{GraphBuilder, ValueRef};
use crate::models::tensor::Tensor;

/// "To the end" for a slice.
const END: i64 = i64::MAX;

/// A two-dimensional convolution with bias.
pub(crate) struct Conv<'a> {
    /// `[out, in, height, width]`.
    pub kernel: &'a Tensor,
    /// `[out]`.
    pub bias: &'a Tensor,
    /// Steps down and across.
    pub strides: [i64; 2],
    /// Zeros added above and below, left and right.
    pub pads: [i64; 2],
}

/// The direction of a recurrence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GruDirection {
    Forward,
    Reverse,
}

/// A gated recurrent unit, weights in ONNX's order (update, reset, hidden).
pub(crate) struct Gru<'a> {
    /// `[1, 3 hidden, in]`.
    pub input_weights: &'a Tensor,
    /// `[1, 3 hidden, hidden]`.
    pub recurrent_weights: &'a Tensor,
    /// `[1, 6 hidden]`.
    pub biases: &'a Tensor,
    /// Its direction.
    pub direction: GruDirection,
}

impl GraphBuilder {
    pub(crate) fn conv(&mut self, x: &ValueRef, conv: &Conv<'_>) -> ValueRef {
        let (kernel, bias) = (self.constant(conv.kernel), self.constant(conv.bias));
        let [down, across] = conv.pads;
        let kernel_dims: Vec<_> = conv.kernel.dims()[2..].iter().map(|&d| d as i64).collect();
        self.op(
            "Conv",
            &[x, &kernel, &bias],
            &[
                ("kernel_shape", Ints(&kernel_dims)),
                ("strides", Ints(&conv.strides)),
                ("pads", Ints(&[down, across, down, across])),
            ],
        )
    }

    pub(crate) fn conv_relu(&mut self, x: &ValueRef, conv: &Conv<'_>) -> ValueRef {
        let y = self.conv(x, conv);
        self.relu(&y)
    }

    /// Maximum over windows; padding is ignored.
    pub(crate) fn max_pool(
        &mut self,
        x: &ValueRef,
        kernel: [i64; 2],
        strides: [i64; 2],
        [down, across]: [i64; 2],
    ) -> ValueRef {
        self.op(
            "MaxPool",
            &[x],
            &[
                ("kernel_shape", Ints(&kernel)),
                ("strides", Ints(&strides)),
                ("pads", Ints(&[down, across, down, across])),
            ],
        )
    }

    /// Mean over adjacent square windows.
    pub(crate) fn average_pool(&mut self, x: &ValueRef, size: i64) -> ValueRef {
        let window = [size; 2];
        self.op("AveragePool", &[x], &[("kernel_shape", Ints(&window)), ("strides", Ints(&window))])
    }

    pub(crate) fn relu(&mut self, x: &ValueRef) -> ValueRef {
        self.op("Relu", &[x], &[])
    }

    pub(crate) fn sigmoid(&mut self, x: &ValueRef) -> ValueRef {
        self.op("Sigmoid", &[x], &[])
    }

    /// GELU with the error function, as PyTorch's default.
    pub(crate) fn gelu(&mut self, x: &ValueRef) -> ValueRef {
        let root = self.scalar(std::f32::consts::FRAC_1_SQRT_2);
        let one = self.scalar(1.0);
        let half = self.scalar(0.5);
        let scaled = self.mul(x, &root);
        let erf = self.op("Erf", &[&scaled], &[]);
        let sum = self.add(&erf, &one);
        let product = self.mul(x, &sum);
        self.mul(&product, &half)
    }

    /// Clamps values to `min..=max`.
    pub(crate) fn clip(&mut self, x: &ValueRef, min: f32, max: f32) -> ValueRef {
        let (min, max) = (self.scalar(min), self.scalar(max));
        self.op("Clip", &[x, &min, &max], &[])
    }

    pub(crate) fn abs(&mut self, x: &ValueRef) -> ValueRef {
        self.op("Abs", &[x], &[])
    }

    pub(crate) fn sqrt(&mut self, x: &ValueRef) -> ValueRef {
        self.op("Sqrt", &[x], &[])
    }

    pub(crate) fn log(&mut self, x: &ValueRef) -> ValueRef {
        self.op("Log", &[x], &[])
    }

    pub(crate) fn div(&mut self, a: &ValueRef, b: &ValueRef) -> ValueRef {
        self.op("Div", &[a, b], &[])
    }

    /// `x · factor + term`.
    pub(crate) fn affine(&mut self, x: &ValueRef, factor: f32, term: f32) -> ValueRef {
        let (factor, term) = (self.scalar(factor), self.scalar(term));
        let scaled = self.mul(x, &factor);
        self.add(&scaled, &term)
    }

    pub(crate) fn add(&mut self, a: &ValueRef, b: &ValueRef) -> ValueRef {
        self.op("Add", &[a, b], &[])
    }

    pub(crate) fn mul(&mut self, a: &ValueRef, b: &ValueRef) -> ValueRef {
        self.op("Mul", &[a, b], &[])
    }

    pub(crate) fn matmul(&mut self, a: &ValueRef, b: &ValueRef) -> ValueRef {
        self.op("MatMul", &[a, b], &[])
    }

    /// `x · weights + bias` over the last dimension; `weights` is `[out, in]` as in PyTorch.
    pub(crate) fn linear(&mut self, x: &ValueRef, weights: &Tensor, bias: &Tensor) -> ValueRef {
        let weights = weights.transposed().expect("a linear layer's weights have two dimensions");
        let weights = self.constant(&weights);
        let bias = self.constant(bias);
        let y = self.matmul(x, &weights);
        self.add(&y, &bias)
    }

    /// Reshapes to a constant shape; 0 keeps a dimension and -1 infers it.
    pub(crate) fn reshape(&mut self, x: &ValueRef, shape: &[i64]) -> ValueRef {
        let shape = self.ints(shape);
        self.reshape_to(x, &shape)
    }

    /// Reshapes to a shape computed in the graph.
    pub(crate) fn reshape_to(&mut self, x: &ValueRef, shape: &ValueRef) -> ValueRef {
        self.op("Reshape", &[x, shape], &[])
    }

    pub(crate) fn shape(&mut self, x: &ValueRef) -> ValueRef {
        self.op("Shape", &[x], &[])
    }

    pub(crate) fn transpose(&mut self, x: &ValueRef, order: &[i64]) -> ValueRef {
        self.op("Transpose", &[x], &[("perm", Ints(order))])
    }

    pub(crate) fn concat(&mut self, parts: &[&ValueRef], axis: i64) -> ValueRef {
        self.op("Concat", parts, &[("axis", Int(axis))])
    }

    /// Elements `start..end` of `axis`; negative positions count from the end, `None` is the end.
    pub(crate) fn slice(
        &mut self,
        x: &ValueRef,
        axis: i64,
        start: i64,
        end: Option<i64>,
    ) -> ValueRef {
        let start = self.ints(&[start]);
        let end = self.ints(&[end.unwrap_or(END)]);
        let axis = self.ints(&[axis]);
        self.op("Slice", &[x, &start, &end, &axis], &[])
    }

    pub(crate) fn reduce_max(&mut self, x: &ValueRef, axes: &[i64]) -> ValueRef {
        self.op("ReduceMax", &[x], &[("axes", Ints(axes)), ("keepdims", Int(0))])
    }

    pub(crate) fn reduce_mean(&mut self, x: &ValueRef, axes: &[i64]) -> ValueRef {
        self.op("ReduceMean", &[x], &[("axes", Ints(axes)), ("keepdims", Int(0))])
    }

    pub(crate) fn unsqueeze(&mut self, x: &ValueRef, axis: i64) -> ValueRef {
        let axis = self.ints(&[axis]);
        self.op("Unsqueeze", &[x, &axis], &[])
    }

    pub(crate) fn squeeze(&mut self, x: &ValueRef, axis: i64) -> ValueRef {
        let axis = self.ints(&[axis]);
        self.op("Squeeze", &[x, &axis], &[])
    }

    /// The states `[T, 1, N, hidden]` of a recurrence over `[T, N, in]`, from `initial`
    /// (`[1, N, hidden]`) or zero.
    pub(crate) fn gru(
        &mut self,
        x: &ValueRef,
        gru: &Gru<'_>,
        initial: Option<&ValueRef>,
    ) -> ValueRef {
        let weights = self.constant(gru.input_weights);
        let recurrent = self.constant(gru.recurrent_weights);
        let biases = self.constant(gru.biases);
        let absent = Self::absent();
        let hidden = gru.recurrent_weights.dims()[2] as i64;
        let direction = match gru.direction {
            GruDirection::Forward => "forward",
            GruDirection::Reverse => "reverse",
        };
        self.op(
            "GRU",
            &[x, &weights, &recurrent, &biases, &absent, initial.unwrap_or(&absent)],
            &[
                ("hidden_size", Int(hidden)),
                ("direction", Text(direction)),
                // PyTorch applies the reset gate after the recurrent product.
                ("linear_before_reset", Int(1)),
            ],
        )
    }
}
