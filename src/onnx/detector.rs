//! Face detection on the engine: the stages' handle, and the thread that runs the detector.
//!
//! Detection has its own thread, so that it does not wait for a batch of faces, nor the face
//! encoder for detection. With a large speaker model and file input, one thread for both left a
//! core idle.

use std::sync::Arc;

use super::answers::Reply;
use super::providers::Provider;
use super::session::{OpenGraph, SessionError};
use super::stats::{GraphKind, InferenceStats};
use crate::core::frame::ImageView;
use crate::core::geometry::FaceBox;
use crate::core::queue::{ByteSize, Capacity, Overflow, Receiver, Sender, bounded};
use crate::models::face_detector::boxes::{StrideOutputs, Thresholds, decode};
use crate::models::face_detector::input::{DetectorInput, InputBuilder};
use crate::models::face_detector::{DetectError, FaceDetector};
use crate::models::manifest::{DetectorManifest, InputSize};
use crate::models::tensor::Tensor;

/// A detector input, and the output tensors of an earlier job for reuse.
pub(super) struct DetectJob {
    pub(super) values: Vec<f32>,
    pub(super) dims: [usize; 4],
    pub(super) spare: Vec<Tensor>,
    pub(super) reply: Sender<Reply<DetectReply>>,
}

/// The output tensors, and the input buffer for reuse.
pub(super) type DetectReply = (Result<Vec<Tensor>, SessionError>, Vec<f32>);

impl ByteSize for DetectJob {
    fn byte_size(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

/// The detector's thread.
pub(super) struct DetectorWorker {
    pub(super) graph: OpenGraph,
    pub(super) input: String,
    pub(super) outputs: Vec<String>,
    pub(super) counts: Arc<InferenceStats>,
}

impl DetectorWorker {
    /// Serves jobs until the queue ends.
    pub(super) fn serve(&mut self, queue: &Receiver<DetectJob>) {
        let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        while let Some(job) = queue.recv() {
            let bytes = job.byte_size();
            let DetectJob { values, dims, spare, reply } = job;
            let inputs = [(self.input.as_str(), &dims[..], &values[..])];
            let run = || self.graph.run_into(&inputs, &names, spare);
            let found = self.counts.count(GraphKind::Detect, 1, bytes, run);
            // The caller may have stopped waiting.
            let _ = reply.send(Reply((found, values)));
        }
    }
}

/// The detector's output names, four for each stride.
pub(super) fn output_names(manifest: &DetectorManifest) -> Vec<String> {
    let per_stride = |s: &usize| ["cls", "obj", "bbox", "kps"].map(|n| format!("{n}_{s}"));
    manifest.strides.iter().flat_map(per_stride).collect()
}

/// Input sizes in common use at a time: default, regions around known faces, and wide.
const SIZES: usize = 3;

/// A face detector run by an [`Engine`](super::engine::Engine).
pub struct EngineDetector {
    jobs: Sender<DetectJob>,
    manifest: DetectorManifest,
    /// Each keeps tables for one size; most recently used first.
    inputs: [InputBuilder; SIZES],
    benefits_from_regions: bool,
    /// The last output tensors, for reuse.
    found: Vec<Tensor>,
}

impl EngineDetector {
    /// Regions pay off on a CPU only: on a GPU a new size is expensive (TensorRT builds an engine
    /// for it), and no size is slow.
    pub(super) fn new(
        jobs: Sender<DetectJob>,
        manifest: DetectorManifest,
        provider: Provider,
    ) -> Self {
        Self {
            jobs,
            benefits_from_regions: provider == Provider::Cpu
                && manifest.input_size == InputSize::Free,
            manifest,
            inputs: Default::default(),
            found: Vec::new(),
        }
    }
}

/// The builder whose tables match the image, or the least recently used one.
fn builder_for<'a>(
    builders: &'a mut [InputBuilder; SIZES],
    image: &ImageView<'_>,
    long_side_px: u32,
) -> &'a mut InputBuilder {
    let at = builders.iter().position(|builder| builder.matches(image, long_side_px));
    builders[..=at.unwrap_or(SIZES - 1)].rotate_right(1);
    &mut builders[0]
}

impl FaceDetector for EngineDetector {
    fn detect(
        &mut self,
        image: &ImageView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError> {
        let long_side_px = match self.manifest.input_size {
            InputSize::Free => long_side_px,
            InputSize::Fixed { width_px, height_px } => {
                u32::try_from(width_px.min(height_px)).unwrap_or(320)
            }
        };
        let builder = builder_for(&mut self.inputs, image, long_side_px);
        let made = builder.prepare(image, long_side_px);
        let scale = made.scale;
        let ((width, height), values) = match self.manifest.input_size {
            InputSize::Free => ((made.width, made.height), builder.take_tensor()),
            InputSize::Fixed { width_px, height_px } => {
                ((width_px, height_px), padded(made, (width_px, height_px)))
            }
        };
        let dims = [1, 3, height, width];
        let engine = |e: String| DetectError::Engine(e.into());
        let spare = std::mem::take(&mut self.found);
        let one = Capacity { items: 1, bytes: usize::MAX };
        let (reply, answer) = bounded("engine→detect", one, Overflow::Block);
        let sent = self.jobs.send(DetectJob { values, dims, spare, reply }).ok();
        let Reply((found, values)) = sent
            .and_then(|()| answer.recv())
            .ok_or_else(|| engine("the inference thread has stopped".into()))?;
        // A padded copy is not the builder's buffer; the builder recognizes it by its size.
        builder.return_tensor(values);
        self.found = found.map_err(|e| DetectError::Engine(e.into()))?;
        let mut outputs = Vec::with_capacity(self.manifest.strides.len());
        for (stride, tensors) in self.manifest.strides.iter().zip(self.found.chunks_exact(4)) {
            let cells = (width.div_ceil(*stride), height.div_ceil(*stride));
            let stride = u32::try_from(*stride).unwrap_or(u32::MAX);
            let [cls, obj, bbox, kps] = [0, 1, 2, 3].map(|i| tensors[i].values());
            outputs.push(StrideOutputs::new(stride, cells, cls, obj, bbox, kps)?);
        }
        let thresholds = Thresholds {
            confidence: self.manifest.score_threshold.get(),
            overlap: self.manifest.nms_iou.get(),
        };
        Ok(decode(&outputs, scale, thresholds))
    }

    fn benefits_from_regions(&self) -> bool {
        self.benefits_from_regions
    }
}

/// The input in the top left corner of a larger one.
fn padded(made: DetectorInput<'_>, (width, height): (usize, usize)) -> Vec<f32> {
    let mut values = vec![0.0; 3 * width * height];
    for (row, line) in made.data.chunks_exact(made.width).enumerate() {
        let at = (row / made.height * height + row % made.height) * width;
        values[at..at + made.width].copy_from_slice(line);
    }
    values
}
