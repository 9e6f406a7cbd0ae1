//! The inference engine: one thread that owns the sessions of a device, shared by everyone who
//! asks.
//!
//! Takes jobs by a bounded edge; answers each on an edge of its own. There is no lock around a
//! model: `Session::run` takes `&mut self`, so the owner is a thread. The handles are cheap to
//! clone and implement the stages' traits.
//!
//! Faces of several streams that wait at the same time go through the encoder in one batch.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::session::{OpenGraph, Provider, SessionError, SessionOptions, open};
use super::speaker::SpeakerGraphs;
use super::tally::{Graph, Tally};
use crate::core::edge::{ByteSize, Capacity, Receiver, Sender, WhenFull, edge};
use crate::core::geometry::FaceBox;
use crate::core::picture::PictureView;
use crate::models::manifest::{DetectorManifest, InputSize};
use crate::models::tensor::Tensor;
use crate::models::{ModelError, Package};
use crate::stages::detect::boxes::{StrideOutputs, Thresholds, decode};
use crate::stages::detect::input::InputMaker;
use crate::stages::detect::{DetectError, FaceDetector};
use crate::stages::score::model::{
    CompeteJob, FaceFeatures, FaceJob, HeadJob, HeadResult, ModelFault, ModelShape, SpeakerModel,
};

/// Jobs that may wait: as many as there are kinds of callers.
const JOBS_WAITING: usize = 8;

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A package is not what is needed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A graph cannot be opened.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The system gives no thread.
    #[error("the inference thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

enum Job {
    Detect { values: Vec<f32>, dims: [usize; 4], reply: Sender<Reply<DetectReply>> },
    Faces { jobs: Vec<FaceJob>, reply: FacesReply },
    Sound { rows: Vec<f32>, ticks: usize, reply: Sender<Reply<Result<Vec<f32>, ModelFault>>> },
    Head { job: HeadJob, reply: Sender<Reply<Result<HeadResult, ModelFault>>> },
    Compete { job: CompeteJob, reply: Sender<Reply<Result<Vec<f32>, ModelFault>>> },
}

/// The tensors of a detection, and the input buffer back for the next one.
type DetectReply = (Result<Vec<Tensor>, SessionError>, Vec<f32>);

/// An answer; its size does not matter, as each edge carries one.
struct Reply<T>(T);

impl<T> ByteSize for Reply<T> {
    fn byte_size(&self) -> usize {
        0
    }
}

impl ByteSize for Job {
    fn byte_size(&self) -> usize {
        match self {
            Self::Detect { values, .. } => size_of_val(values.as_slice()),
            Self::Faces { jobs, .. } => jobs.iter().map(|j| j.crops.len()).sum(),
            Self::Sound { rows, .. } => size_of_val(rows.as_slice()),
            Self::Head { job, .. } => size_of_val(job.audio.as_slice()) * 2,
            Self::Compete { job, .. } => size_of_val(job.score.as_slice()) * 3,
        }
    }
}

/// A running engine. Ends when it and all its handles are dropped.
pub struct Engine {
    jobs: Sender<Job>,
    detector: DetectorManifest,
    shape: ModelShape,
    speaker_name: String,
    provider: Provider,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Opens the graphs of both packages and starts the thread.
    ///
    /// # Errors
    /// Where a package, a graph, the device or the runtime is not what is needed.
    pub fn start(
        detector: &Package,
        speaker: &Package,
        options: &SessionOptions,
    ) -> Result<Self, EngineError> {
        let detector_manifest = detector.detector()?.clone();
        let speaker_name = speaker.manifest().common.name.clone();
        let outputs = output_names(&detector_manifest);
        let input = detector_manifest.input.as_str().to_owned();
        let capacity = Capacity { items: JOBS_WAITING, bytes: usize::MAX };
        let (jobs, queue) = edge("stages→engine", capacity, WhenFull::Block);
        let one = Capacity { items: 1, bytes: usize::MAX };
        let (ready, opened) = edge("engine→start", one, WhenFull::Block);
        let (detector, speaker, options) = (detector.clone(), speaker.clone(), *options);
        let file = detector_manifest.file.clone();
        let tally = Arc::<Tally>::default();
        let counts = Arc::clone(&tally);
        // The sessions are opened where they are used, so that the runtime's own threads take this
        // thread's name and show up under it.
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
            let graphs = open(&detector, &file, &options)
                .and_then(|find| Ok((find, SpeakerGraphs::open(&speaker, &options)?)));
            match graphs {
                Ok((find, graphs)) => {
                    let known = (graphs.provider(), graphs.shape().clone());
                    if ready.send(Reply(Ok(known))).is_ok() {
                        Work { find, input, outputs, graphs, counts }.serve(&queue);
                    }
                }
                // Where the starter is gone there is nobody to tell.
                Err(e) => drop(ready.send(Reply(Err(e)))),
            }
        })?;
        let gone = || std::io::Error::other("it ended while opening the models");
        let (provider, shape) = opened.recv().ok_or_else(gone)?.0?;
        Ok(Self {
            jobs,
            detector: detector_manifest,
            shape,
            speaker_name,
            provider,
            tally,
            thread: Some(thread),
        })
    }

    /// What the sessions run on.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// What it did so far.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// A face detector that asks this engine.
    pub fn detector(&self) -> EngineDetector {
        EngineDetector {
            jobs: self.jobs.clone(),
            manifest: self.detector.clone(),
            inputs: [InputMaker::new(), InputMaker::new()],
            buffer: Vec::new(),
        }
    }

    /// A speaker model that asks this engine.
    pub fn speaker(&self) -> EngineSpeaker {
        EngineSpeaker {
            jobs: self.jobs.clone(),
            shape: self.shape.clone(),
            package: self.speaker_name.clone(),
        }
    }

    /// Waits for the thread; call it when all handles are gone.
    pub fn join(mut self) {
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread {
            // A panic there was reported by the hook; whoever waited for an answer saw the edge end.
            let _ = thread.join();
        }
    }
}

struct Work {
    find: OpenGraph,
    input: String,
    outputs: Vec<String>,
    graphs: SpeakerGraphs,
    counts: Arc<Tally>,
}

impl Work {
    fn serve(&mut self, queue: &Receiver<Job>) {
        // An answer that nobody waits for any more is no fault.
        let mut next = None;
        while let Some(job) = next.take().or_else(|| queue.recv()) {
            let bytes = job.byte_size();
            let counts = &self.counts;
            match job {
                Job::Detect { values, dims, reply } => {
                    let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
                    let inputs = [(self.input.as_str(), &dims[..], &values[..])];
                    let search = || self.find.run(&inputs, &names);
                    let found = counts.count(Graph::Detect, 1, bytes, search);
                    let _ = reply.send(Reply((found, values)));
                }
                Job::Faces { jobs, reply } => {
                    let mut batch = Batch::of(jobs, reply);
                    next = batch.gather(queue);
                    batch.run(&mut self.graphs, counts);
                }
                Job::Sound { rows, ticks, reply } => {
                    let context = 2 * self.graphs.shape().audio_reach_ticks;
                    let encode = || self.graphs.encode_sound(&rows, ticks);
                    let new = ticks.saturating_sub(context);
                    let _ = reply.send(Reply(counts.count(Graph::Sound, new, bytes, encode)));
                }
                Job::Head { job, reply } => {
                    let judge = || self.graphs.judge(&job);
                    let items = job.rows * job.ticks;
                    let _ = reply.send(Reply(counts.count(Graph::Head, items, bytes, judge)));
                }
                Job::Compete { job, reply } => {
                    let (items, graphs) = (job.score.len(), &mut self.graphs);
                    let compete = || graphs.compete(job);
                    let _ = reply.send(Reply(counts.count(Graph::Compete, items, bytes, compete)));
                }
            }
        }
    }
}

/// Where the features of some faces go.
type FacesReply = Sender<Reply<Result<Vec<FaceFeatures>, ModelFault>>>;

/// Faces of one or more streams that go through the encoder at once.
struct Batch {
    jobs: Vec<FaceJob>,
    /// Who asked, and for how many of the jobs.
    asked: Vec<(usize, FacesReply)>,
}

/// Faces in a batch; beyond it a batch saves nothing and makes others wait.
const BATCH_FACES: usize = 32;

impl Batch {
    fn of(jobs: Vec<FaceJob>, reply: FacesReply) -> Self {
        Self { asked: vec![(jobs.len(), reply)], jobs }
    }

    /// Takes what waits and fits: faces with as many pictures each. Gives the first job that is
    /// something else.
    fn gather(&mut self, queue: &Receiver<Job>) -> Option<Job> {
        let ticks = |jobs: &[FaceJob]| jobs.first().map(|j| (j.valid.len(), j.contributions));
        while self.jobs.len() < BATCH_FACES {
            match queue.try_recv() {
                Ok(Job::Faces { jobs, reply }) if ticks(&jobs) == ticks(&self.jobs) => {
                    self.asked.push((jobs.len(), reply));
                    self.jobs.extend(jobs);
                }
                Ok(other) => return Some(other),
                Err(_) => break,
            }
        }
        None
    }

    fn run(self, graphs: &mut SpeakerGraphs, counts: &Tally) {
        let pictures = self.jobs.iter().map(|job| job.valid.len()).sum();
        let bytes = self.jobs.iter().map(|job| job.crops.len() * size_of::<f32>()).sum();
        let encode = || graphs.encode_faces(self.jobs);
        match counts.count(Graph::Face, pictures, bytes, encode) {
            Ok(mut features) => {
                for (count, reply) in self.asked {
                    let rest = features.split_off(count.min(features.len()));
                    let own = std::mem::replace(&mut features, rest);
                    // An answer that nobody waits for any more is no fault.
                    let _ = reply.send(Reply(Ok(own)));
                }
            }
            Err(fault) => {
                for (_, reply) in self.asked {
                    let _ = reply.send(Reply(Err(fault.clone())));
                }
            }
        }
    }
}

fn output_names(manifest: &DetectorManifest) -> Vec<String> {
    let per_stride = |s: &usize| ["cls", "obj", "bbox", "kps"].map(|n| format!("{n}_{s}"));
    manifest.strides.iter().flat_map(per_stride).collect()
}

/// Sends a job and waits for its answer; `None` where the engine is gone.
fn ask<T>(jobs: &Sender<Job>, job: impl FnOnce(Sender<Reply<T>>) -> Job) -> Option<T> {
    let capacity = Capacity { items: 1, bytes: usize::MAX };
    let (reply, answer) = edge("engine→stage", capacity, WhenFull::Block);
    jobs.send(job(reply)).ok()?;
    answer.recv().map(|r| r.0)
}

/// The long side of an ordinary search.
const COARSE_PX: u32 = 320;

/// A face detector run by an [`Engine`].
pub struct EngineDetector {
    jobs: Sender<Job>,
    manifest: DetectorManifest,
    /// One for ordinary searches and one for finer ones, as they come by turns and each keeps tables
    /// for its size.
    inputs: [InputMaker; 2],
    buffer: Vec<f32>,
}

impl FaceDetector for EngineDetector {
    fn detect(
        &mut self,
        picture: &PictureView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError> {
        let long_side_px = match self.manifest.input_size {
            InputSize::Free => long_side_px,
            InputSize::Fixed { width_px, height_px } => {
                u32::try_from(width_px.min(height_px)).unwrap_or(320)
            }
        };
        let made =
            self.inputs[usize::from(long_side_px > COARSE_PX)].prepare(picture, long_side_px);
        let (width, height, scale) = match self.manifest.input_size {
            InputSize::Free => (made.width, made.height, made.scale),
            InputSize::Fixed { width_px, height_px } => (width_px, height_px, made.scale),
        };
        let mut values = std::mem::take(&mut self.buffer);
        values.clear();
        if (made.width, made.height) == (width, height) {
            values.extend_from_slice(made.data);
        } else {
            values.resize(3 * width * height, 0.0);
            for (row, line) in made.data.chunks_exact(made.width).enumerate() {
                let at = (row / made.height * height + row % made.height) * width;
                values[at..at + made.width].copy_from_slice(line);
            }
        }
        let dims = [1, 3, height, width];
        let engine = |e: String| DetectError::Engine(e.into());
        let (found, values) = ask(&self.jobs, |reply| Job::Detect { values, dims, reply })
            .ok_or_else(|| engine("the inference thread has stopped".into()))?;
        self.buffer = values;
        let found = found.map_err(|e| DetectError::Engine(e.into()))?;
        let mut outputs = Vec::with_capacity(self.manifest.strides.len());
        for (stride, tensors) in self.manifest.strides.iter().zip(found.chunks_exact(4)) {
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
}

/// A speaker model run by an [`Engine`].
#[derive(Clone)]
pub struct EngineSpeaker {
    jobs: Sender<Job>,
    shape: ModelShape,
    package: String,
}

impl EngineSpeaker {
    fn gone(&self, graph: &'static str) -> ModelFault {
        let reason = "the inference thread has stopped".to_owned();
        ModelFault { package: self.package.clone(), graph, reason }
    }
}

impl SpeakerModel for EngineSpeaker {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, ModelFault> {
        ask(&self.jobs, |reply| Job::Faces { jobs, reply })
            .unwrap_or_else(|| Err(self.gone("face")))
    }

    fn encode_sound(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, ModelFault> {
        ask(&self.jobs, |reply| Job::Sound { rows, ticks, reply })
            .unwrap_or_else(|| Err(self.gone("audio")))
    }

    fn judge(&mut self, job: HeadJob) -> Result<HeadResult, ModelFault> {
        ask(&self.jobs, |reply| Job::Head { job, reply }).unwrap_or_else(|| Err(self.gone("head")))
    }

    fn compete(&mut self, job: CompeteJob) -> Result<Vec<f32>, ModelFault> {
        ask(&self.jobs, |reply| Job::Compete { job, reply })
            .unwrap_or_else(|| Err(self.gone("compete")))
    }
}
