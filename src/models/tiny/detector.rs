//! A detector with YuNet's outputs, constructed instead of trained.
//!
//! Brightness from 180 to 220 of 255 maps to 0 to 1. Each level sums a window around every cell:
//! the sum is a square's area, the centroid its centre. A cell detects a face if the area fits the
//! level and the centroid is in the cell.

use std::path::Path;

use crate::models::error::ModelError;
use crate::models::graph::{Axis, Conv, GraphBuilder, ValueRef};
use crate::models::import::speaker::finish;
use crate::models::import::yunet::detector_manifest;
use crate::models::manifest::raw::RawPackage;
use crate::models::package::Package;
use crate::models::tensor::Tensor;

const FILE: &str = "squares.onnx";
const INPUT: &str = "input";
/// Brightness is averaged over squares of this size first, which is 16 times cheaper.
const POOL_PX: i64 = 4;

/// One output level.
struct Level {
    stride_px: i64,
    /// A cell's window, across and down.
    window_px: i64,
    /// The sides of this level's squares.
    min_px: f32,
    max_px: f32,
}

const LEVELS: [Level; 3] = [
    Level { stride_px: 8, window_px: 40, min_px: 8.0, max_px: 24.0 },
    Level { stride_px: 16, window_px: 112, min_px: 24.0, max_px: 72.0 },
    Level { stride_px: 32, window_px: 288, min_px: 72.0, max_px: 220.0 },
];

/// Eyes, nose and mouth corners from the centre, in sides of the square.
const LANDMARKS: [[f32; 2]; 5] =
    [[-0.2, -0.15], [0.2, -0.15], [0.0, 0.05], [-0.15, 0.25], [0.15, 0.25]];

pub(super) fn write(dir: &Path, package_info: RawPackage) -> Result<Package, ModelError> {
    let mut graph = GraphBuilder::new("squares");
    let (b, h, w) = (Axis::Free("B"), Axis::Free("H"), Axis::Free("W"));
    let image = graph.input(INPUT, &[b, Axis::Fixed(3), h, w]);
    let grey = Conv {
        kernel: &Tensor::from_fn(&[1, 3, 1, 1], |_| 1.0 / 3.0),
        bias: &Tensor::vector(vec![0.0]),
        strides: [1; 2],
        pads: [0; 2],
    };
    let grey = graph.conv(&image, &grey);
    let bright = graph.affine(&grey, 1.0 / 40.0, -180.0 / 40.0);
    let bright = graph.clip(&bright, 0.0, 1.0);
    let bright = graph.average_pool(&bright, POOL_PX);
    for level in &LEVELS {
        level.build(&mut graph, &bright);
    }
    let manifest = detector_manifest(package_info, FILE, INPUT, None);
    let bytes = graph.into_bytes("Sees bright squares as faces");
    finish(dir, manifest, vec![(FILE, bytes)], |manifest, sums| manifest.files = sums)
}

impl Level {
    fn build(&self, graph: &mut GraphBuilder, bright: &ValueRef) {
        let stride = self.stride_px as f32;
        let moments = self.moments(graph, bright);
        let part = |graph: &mut GraphBuilder, n: i64| graph.slice(&moments, 1, n, Some(n + 1));
        let area = part(graph, 0);
        let area = graph.clip(&area, 1.0, f32::MAX);
        // The centroid's distance from the middle of the cell, in strides.
        let [x, y] = [1, 2].map(|n| {
            let moment = part(graph, n);
            let px = graph.div(&moment, &area);
            graph.affine(&px, 1.0 / stride, 0.0)
        });
        let side = graph.sqrt(&area);
        let side = graph.affine(&side, 1.0 / stride, 0.0);

        let [min, max] = [self.min_px, self.max_px].map(|px| px * px);
        let above = graph.affine(&area, 40.0 / min, -40.0);
        let below = graph.affine(&area, -40.0 / max, 40.0);
        let fits = self.both(graph, &above, &below);
        let [near_x, near_y] = [&x, &y].map(|offset| {
            let distance = graph.abs(offset);
            graph.affine(&distance, -20.0, 12.0)
        });
        let near = self.both(graph, &near_x, &near_y);

        let [column, row] = [&x, &y].map(|offset| graph.affine(offset, 1.0, 0.5));
        let size = graph.log(&side);
        let mut points = Vec::new();
        for landmark in LANDMARKS {
            for (centre, fraction) in [&column, &row].into_iter().zip(landmark) {
                let offset = graph.affine(&side, fraction, 0.0);
                points.push(graph.add(centre, &offset));
            }
        }
        self.output(graph, "obj", &[&fits]);
        self.output(graph, "cls", &[&near]);
        self.output(graph, "bbox", &[&column, &row, &size, &size]);
        self.output(graph, "kps", &points.iter().collect::<Vec<_>>());
    }

    /// Area in px² and first moments in px³ of the brightness around every cell's middle.
    fn moments(&self, graph: &mut GraphBuilder, bright: &ValueRef) -> ValueRef {
        let (size, step) = (self.window_px / POOL_PX, self.stride_px / POOL_PX);
        let count = size as usize;
        let kernel = Tensor::from_fn(&[3, 1, count, count], |i| {
            let from_middle = |n: usize| (n as f32 + 0.5 - size as f32 / 2.0) * POOL_PX as f32;
            let (row, column) = (i / count % count, i % count);
            let px = (POOL_PX * POOL_PX) as f32;
            [px, px * from_middle(column), px * from_middle(row)][i / (count * count)]
        });
        let conv = Conv {
            kernel: &kernel,
            bias: &Tensor::vector(vec![0.0; 3]),
            strides: [step; 2],
            pads: [(size - step) / 2; 2],
        };
        graph.conv(bright, &conv)
    }

    fn both(&self, graph: &mut GraphBuilder, a: &ValueRef, b: &ValueRef) -> ValueRef {
        let (a, b) = (graph.sigmoid(a), graph.sigmoid(b));
        graph.mul(&a, &b)
    }

    /// Channels of `[B,1,h,w]` as an output `[B,h·w,channels]`.
    fn output(&self, graph: &mut GraphBuilder, role: &str, channels: &[&ValueRef]) {
        let stacked = graph.concat(channels, 1);
        let by_cell = graph.transpose(&stacked, &[0, 2, 3, 1]);
        let width = channels.len();
        let cells = graph.reshape(&by_cell, &[0, -1, width as i64]);
        let axes = [Axis::Free("B"), Axis::Free("cells"), Axis::Fixed(width)];
        graph.output(&cells, &format!("{role}_{}", self.stride_px), &axes);
    }
}
