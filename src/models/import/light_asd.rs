//! Light-ASD (Liao et al., CVPR 2023), rebuilt as three streaming graphs.
//!
//! Every block runs two branches in parallel (spatial 3×3 then 3 taps in time; 5×5 then 5 taps),
//! adds them and mixes channels. The shorter branch is delayed by a tick so that both meet. The
//! head adds both embeddings and stacks two recurrences, GELU after each.
//!
//! The network has no gate. An SE block is inserted as identity: squeeze of the map per frame (mean
//! and maximum), two layers, 2·sigmoid; the second layer is zero, so every gate is exactly 1. It
//! scales the embedding. That equals scaling the map, as the embedding is the map's maximum.

use super::audio;
use super::face::{self, FaceBuilder, Spatial, Temporal, TemporalConv};
use super::head::{GruWeights, HeadBuilder};
use super::speaker::SpeakerGraphs;
use super::weights::Weights;
use crate::models::error::ModelError;
use crate::models::graph::ValueRef;
use crate::models::manifest::raw::{RawDecision, RawExplain};
use crate::models::tensor::Tensor;

/// Output channels of the three blocks in the released network.
pub(super) const WIDTHS: [usize; 3] = [32, 64, 128];
/// Delay of each block: that of its 5-tap branch.
const BLOCK_DELAY_TICKS: usize = 2;
/// Context ticks of an audio embedding on each side: ±17 rows around its first row.
const AUDIO_REACH_TICKS: usize = 5;
/// Map channels per hidden unit of the SE block.
const SE_REDUCTION: usize = 8;

/// Why `gate-activation` is the default.
const WHY: &str = "\
    Insertion minus deletion over 32 speakers (mean z, standard error): gate-activation 1.85 \
    ± 0.22, ablation 1.87 ± 0.22, fixed mouth box 0.99, random blob -2.03; ablation is no \
    truer and costs half a face encoder more; paper is empty, as the identity gate keeps no \
    channel.";

/// Builds the graphs; `widths` are the blocks' output channels.
pub(crate) fn graphs(
    weights: &mut dyn Weights,
    widths: [usize; 3],
) -> Result<SpeakerGraphs, ModelError> {
    let (face, states, delay_ticks) = face_graph(weights, widths)?;
    Ok(SpeakerGraphs {
        face,
        states,
        delay_ticks,
        audio: audio_graph(weights, widths)?,
        audio_reach_ticks: AUDIO_REACH_TICKS,
        head: head_graph(weights, widths[2])?,
        width: widths[2],
        map_side: face::CROP_PX / 8,
        forward_state: widths[2],
        face_gate: true,
        head_gate: false,
    })
}

/// The default heatmap, measured on the released AVA weights (`docs/faithfulness.md`). `paper` has
/// no typical value: the identity gate keeps no channel, so its map is empty.
pub(super) fn explain() -> RawExplain {
    let typical = [("gate-activation", 3.00), ("ablation", 8.69)];
    RawExplain {
        default_mode: "gate-activation".into(),
        why: WHY.into(),
        typical: typical.map(|(mode, p99)| (mode.to_owned(), p99)).into(),
    }
}

/// The speaking decision, chosen on the project's 47 labelled composites with the whole program
/// (detector and tracker included).
pub(super) fn decision() -> RawDecision {
    RawDecision {
        threshold: 0.65,
        smoothing_ticks: 5,
        why:
            "On the labelled composites 0.65 over 5 ticks is right in .906 of frames where people \
              take turns, .919 of those of one talker and .959 beside a muted copy; 0.5 gives \
              .872, .925 and .963, 0.8 gives .915, .891 and .945. 5 ticks cost nothing and take \
              flicker out; 9 and more lose word ends."
                .into(),
    }
}

type FaceFile = (Vec<u8>, Vec<crate::models::manifest::raw::RawState>, usize);

fn face_graph(weights: &mut dyn Weights, widths: [usize; 3]) -> Result<FaceFile, ModelError> {
    let (mut face, mut x) = FaceBuilder::new(2 * BLOCK_DELAY_TICKS);
    for (index, width) in widths.into_iter().enumerate() {
        let block = format!("model.visualEncoder.block{}", index + 1);
        let y = face_block(&mut face, weights, &block, &x, width, if index == 0 { 2 } else { 1 })?;
        if index < 2 {
            let frames = face.switch_to_spatial(&y);
            x = face.pool(&frames);
            continue;
        }
        let (map, peak) = face.finish_map(&y);
        let gate = identity_se(&mut face, &map, &peak, width);
        let embedding = face.graph.mul(&peak, &gate);
        face.output(&gate, face::GATE, width);
        face.output(&embedding, face::EMBEDDING, width);
    }
    Ok(face.finish("Light-ASD face encoder, streaming"))
}

fn face_block(
    face: &mut FaceBuilder,
    weights: &mut dyn Weights,
    block: &str,
    x: &Spatial,
    width: usize,
    stride: usize,
) -> Result<Temporal, ModelError> {
    let mut branches = Vec::new();
    for size in [3, 5] {
        let layer =
            |part: &str| (format!("{block}.{part}_{size}"), format!("{block}.bn_{part}_{size}"));
        let (conv, norm) = layer("s");
        let (kernel, bias) = weights.folded(&conv, &norm, &[width, x.channels, 1, size, size])?;
        let kernel = reshaped(kernel, &[width, x.channels, size, size]);
        let features = face.spatial(x, &(kernel, bias), stride);
        let features = face.switch_to_temporal(&features);
        let (conv, norm) = layer("t");
        let (kernel, bias) = weights.folded(&conv, &norm, &[width, width, size, 1, 1])?;
        let kernel = reshaped(kernel, &[width, width, size, 1]);
        let conv = TemporalConv { kernel, bias, delay: BLOCK_DELAY_TICKS };
        let name = format!("{}_t_{size}", block.rsplit('.').next().unwrap_or(block));
        branches.push(face.temporal(&features, &name, &conv));
    }
    face.add_delay(BLOCK_DELAY_TICKS);
    let sum = face.graph.add(&branches[0].value, &branches[1].value);
    let (kernel, bias) = weights.folded(
        &format!("{block}.last"),
        &format!("{block}.bn_last"),
        &[width, width, 1, 1, 1],
    )?;
    let kernel = reshaped(kernel, &[width, width, 1, 1]);
    let value = audio::conv_relu(&mut face.graph, &sum, &(kernel, bias));
    Ok(Temporal { value, channels: width, side: branches[0].side })
}

/// A gate that is 1 everywhere, made of trainable layers.
fn identity_se(face: &mut FaceBuilder, map: &ValueRef, peak: &ValueRef, width: usize) -> ValueRef {
    let graph = &mut face.graph;
    let mean = graph.reduce_mean(map, &[3]);
    let squeezed = graph.concat(&[&mean, peak], 2);
    let hidden = (width / SE_REDUCTION).max(1);
    // Only the second layer is zero: with both zero, neither would get a gradient.
    let first = super::random::Random::new(0).he_normal(&[hidden, 2 * width], 2 * width);
    let second = Tensor::from_fn(&[width, hidden], |_| 0.0);
    let zeros = |n: usize| Tensor::from_fn(&[n], |_| 0.0);
    let excited = graph.linear(&squeezed, &first, &zeros(hidden));
    let excited = graph.relu(&excited);
    let gate = graph.linear(&excited, &second, &zeros(width));
    let gate = graph.sigmoid(&gate);
    let two = graph.scalar(2.0);
    graph.mul(&gate, &two)
}

fn audio_graph(weights: &mut dyn Weights, widths: [usize; 3]) -> Result<Vec<u8>, ModelError> {
    audio::build(widths[2], "Light-ASD audio encoder", &mut |graph, x, index| {
        let block = format!("model.audioEncoder.block{}", index + 1);
        let width = widths[index];
        let before = if index == 0 { 1 } else { widths[index - 1] };
        let mut branches = Vec::new();
        for size in [3, 5] {
            let parts = [("m", [width, before, size, 1]), ("t", [width, width, 1, size])];
            let mut y = x.clone();
            for (part, dims) in parts {
                let (conv, norm) =
                    (format!("{block}.{part}_{size}"), format!("{block}.bn_{part}_{size}"));
                y = audio::conv_relu(graph, &y, &weights.folded(&conv, &norm, &dims)?);
            }
            branches.push(y);
        }
        let sum = graph.add(&branches[0], &branches[1]);
        let (conv, norm) = (format!("{block}.last"), format!("{block}.bn_last"));
        let last = weights.folded(&conv, &norm, &[width, width, 1, 1])?;
        Ok(audio::conv_relu(graph, &sum, &last))
    })
}

fn head_graph(weights: &mut dyn Weights, width: usize) -> Result<Vec<u8>, ModelError> {
    let mut head = HeadBuilder::new(width, width);
    let (audio, face) = (head.audio.clone(), head.face.clone());
    let sum = head.graph.add(&audio, &face);
    let forward = GruWeights::read(weights, "model.GRU.gru_forward", width, width)?;
    let backward = GruWeights::read(weights, "model.GRU.gru_backward", width, width)?;
    let first = head.forward(&sum, &forward);
    let first = head.graph.gelu(&first);
    let second = head.backward(&first, &backward);
    let second = head.graph.gelu(&second);
    head.finish(&second, width, weights, "Light-ASD temporal head")
}

/// A kernel without its dimension of size 1.
pub(super) fn reshaped(kernel: Tensor, dims: &[usize]) -> Tensor {
    kernel.reshaped(dims).expect("only dimensions of size 1 are left out")
}
