//! The audio encoders' graph: two-dimensional over coefficients and time, stateless.

use crate::models::error::ModelError;
use crate::models::graph::{Axis, Conv, GraphBuilder, ValueRef};
use crate::models::tensor::Tensor;

/// Coefficients in a row.
const ROW_WIDTH: usize = 13;

pub(super) const ROWS: &str = "rows";
pub(super) const EMBEDDING: &str = "embedding";

/// One block of an audio encoder: from `[N,C,13,time]` to the next.
type Block<'a> =
    dyn FnMut(&mut GraphBuilder, &ValueRef, usize) -> Result<ValueRef, ModelError> + 'a;

/// Builds an encoder of three blocks with halving in time between them, then the mean over
/// coefficients. `block` builds the block with the given number, from 0.
pub(super) fn build(width: usize, doc: &str, block: &mut Block<'_>) -> Result<Vec<u8>, ModelError> {
    let mut graph = GraphBuilder::new("audio");
    let (n, t) = (Axis::Free("N"), Axis::Free("T"));
    let rows = graph.input(ROWS, &[n, Axis::Free("rows"), Axis::Fixed(ROW_WIDTH)]);
    let columns = graph.transpose(&rows, &[0, 2, 1]);
    let mut x = graph.unsqueeze(&columns, 1);
    for number in 0..3 {
        if number > 0 {
            // The released code pools in 3-D over a 4-D tensor, which equals this 2-D pooling.
            x = graph.max_pool(&x, [1, 3], [1, 2], [0, 1]);
        }
        x = block(&mut graph, &x, number)?;
    }
    let mean = graph.reduce_mean(&x, &[2]);
    let by_tick = graph.transpose(&mean, &[0, 2, 1]);
    graph.output(&by_tick, EMBEDDING, &[n, t, Axis::Fixed(width)]);
    Ok(graph.into_bytes(doc))
}

/// A convolution over coefficients (k×1) or time (1×k) that keeps the size, with ReLU.
pub(super) fn conv_relu(
    graph: &mut GraphBuilder,
    x: &ValueRef,
    (kernel, bias): &(Tensor, Tensor),
) -> ValueRef {
    let half = |axis: usize| (kernel.dims()[axis] / 2) as i64;
    graph.conv_relu(x, &Conv { kernel, bias, strides: [1; 2], pads: [half(2), half(3)] })
}
