//! The inference engine: two threads that own the sessions of a device, one the detector's and one
//! the speaker model's, shared by everyone who asks.
//!
//! Takes jobs by bounded edges; answers each on an edge of its own. There is no lock around a
//! model: `Session::run` takes `&mut self`, so the owner is a thread. The handles are cheap to
//! clone and implement the stages' traits.
//!
//! On a GPU the jobs of several tracks and streams that wait at the same time go through a graph in
//! one run.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::find::{Finder, Search};
use super::session::{Provider, SessionError, SessionOptions, open};
use super::speaker::{SoundJob, SpeakerGraphs};
use super::tally::Tally;
use super::work::{Asked, Job, Reply, Work};
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

/// Jobs that may wait. A caller waits for its answer, so there are never more than callers; a GPU
/// takes those of all streams at once.
const JOBS_WAITING: usize = 256;

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

/// A running engine. Ends when it and all its handles are dropped.
pub struct Engine {
    searches: Sender<Search>,
    jobs: Sender<Job>,
    detector: DetectorManifest,
    shape: ModelShape,
    speaker_name: String,
    provider: Provider,
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens the graphs of both packages and starts the threads.
    ///
    /// # Errors
    /// Where a package, a graph, the device or the runtime is not what is needed.
    pub fn start(
        detector: &Package,
        speaker: &Package,
        options: &SessionOptions,
    ) -> Result<Self, EngineError> {
        let manifest = detector.detector()?.clone();
        let tally = Arc::<Tally>::default();
        let (find, outputs) = (detector.clone(), output_names(&manifest));
        let (file, input) = (manifest.file.clone(), manifest.input.as_str().to_owned());
        let (counts, options) = (Arc::clone(&tally), *options);
        let finder = owner(
            ("stages→engine-find", "engine-find"),
            move || open(&find, &file, &options),
            |_| (),
            move |graph, queue| Finder { graph, input, outputs, counts }.serve(queue),
        )?;
        let (model, counts) = (speaker.clone(), Arc::clone(&tally));
        let worker = owner(
            ("stages→engine", "engine"),
            move || SpeakerGraphs::open(&model, &options),
            |graphs: &SpeakerGraphs| (graphs.provider(), graphs.shape().clone()),
            move |graphs, queue| Work { graphs, counts }.serve(queue),
        )?;
        let gone = || std::io::Error::other("it ended while opening the models");
        finder.opened.recv().ok_or_else(gone)?.0?;
        let (provider, shape) = worker.opened.recv().ok_or_else(gone)?.0?;
        Ok(Self {
            searches: finder.jobs,
            jobs: worker.jobs,
            detector: manifest,
            shape,
            speaker_name: speaker.manifest().common.name.clone(),
            provider,
            tally,
            threads: vec![finder.thread, worker.thread],
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
            searches: self.searches.clone(),
            manifest: self.detector.clone(),
            inputs: [InputMaker::new(), InputMaker::new()],
            buffer: Vec::new(),
            found: Vec::new(),
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

    /// Waits for the threads; call it when all handles are gone.
    pub fn join(mut self) {
        let threads = std::mem::take(&mut self.threads);
        drop(self);
        for thread in threads {
            // A panic there was reported by the hook; whoever waited for an answer saw the edge end.
            let _ = thread.join();
        }
    }
}

/// A thread that owns graphs.
struct Owner<J, T> {
    jobs: Sender<J>,
    thread: JoinHandle<()>,
    /// What it says once its graphs are open.
    opened: Receiver<Reply<Result<T, SessionError>>>,
}

/// Starts the thread `name` that owns what `open` gives, says what `tell` knows of it, and lets
/// `serve` answer what comes by the edge `edge_name`.
///
/// Sessions are opened where they are used, so that the runtime's own threads take that thread's
/// name and show up under it; both kinds side by side.
fn owner<G, J: ByteSize + Send + 'static, T: Send + 'static>(
    (edge_name, name): (&'static str, &'static str),
    open: impl FnOnce() -> Result<G, SessionError> + Send + 'static,
    tell: impl FnOnce(&G) -> T + Send + 'static,
    serve: impl FnOnce(G, &Receiver<J>) + Send + 'static,
) -> Result<Owner<J, T>, std::io::Error> {
    let capacity = Capacity { items: JOBS_WAITING, bytes: usize::MAX };
    let (jobs, queue) = edge(edge_name, capacity, WhenFull::Block);
    let one = Capacity { items: 1, bytes: usize::MAX };
    let (ready, opened) = edge("engine→start", one, WhenFull::Block);
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || match open() {
        Ok(graphs) => {
            if ready.send(Reply(Ok(tell(&graphs)))).is_ok() {
                serve(graphs, &queue);
            }
        }
        // Where the starter is gone there is nobody to tell.
        Err(e) => drop(ready.send(Reply(Err(e)))),
    })?;
    Ok(Owner { jobs, thread, opened })
}

fn output_names(manifest: &DetectorManifest) -> Vec<String> {
    let per_stride = |s: &usize| ["cls", "obj", "bbox", "kps"].map(|n| format!("{n}_{s}"));
    manifest.strides.iter().flat_map(per_stride).collect()
}

/// Sends a job and waits for its answer; `None` where the engine is gone.
fn ask<J: ByteSize, T>(jobs: &Sender<J>, job: impl FnOnce(Sender<Reply<T>>) -> J) -> Option<T> {
    let capacity = Capacity { items: 1, bytes: usize::MAX };
    let (reply, answer) = edge("engine→stage", capacity, WhenFull::Block);
    jobs.send(job(reply)).ok()?;
    answer.recv().map(|r| r.0)
}

/// The long side of an ordinary search.
const COARSE_PX: u32 = 320;

/// A face detector run by an [`Engine`].
pub struct EngineDetector {
    searches: Sender<Search>,
    manifest: DetectorManifest,
    /// One for ordinary searches and one for finer ones, as they come by turns and each keeps tables
    /// for its size.
    inputs: [InputMaker; 2],
    buffer: Vec<f32>,
    /// What the last search gave, for its memory.
    found: Vec<Tensor>,
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
        let spare = std::mem::take(&mut self.found);
        let (found, values) = ask(&self.searches, |reply| Search { values, dims, spare, reply })
            .ok_or_else(|| engine("the inference thread has stopped".into()))?;
        self.buffer = values;
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
        ask(&self.jobs, |reply| Job::Faces(Asked { jobs, reply }))
            .unwrap_or_else(|| Err(self.gone("face")))
    }

    fn encode_sound(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, ModelFault> {
        let jobs = vec![SoundJob { rows, ticks }];
        let answers = ask(&self.jobs, |reply| Job::Sound(Asked { jobs, reply }));
        only(answers.unwrap_or_else(|| Err(self.gone("audio")))?).ok_or_else(|| self.gone("audio"))
    }

    fn judge(&mut self, job: HeadJob) -> Result<HeadResult, ModelFault> {
        only(self.judge_all(vec![job])?).ok_or_else(|| self.gone("head"))
    }

    fn judge_all(&mut self, jobs: Vec<HeadJob>) -> Result<Vec<HeadResult>, ModelFault> {
        ask(&self.jobs, |reply| Job::Head(Asked { jobs, reply }))
            .unwrap_or_else(|| Err(self.gone("head")))
    }

    fn compete(&mut self, job: CompeteJob) -> Result<Vec<f32>, ModelFault> {
        only(self.compete_all(vec![job])?).ok_or_else(|| self.gone("compete"))
    }

    fn compete_all(&mut self, jobs: Vec<CompeteJob>) -> Result<Vec<Vec<f32>>, ModelFault> {
        ask(&self.jobs, |reply| Job::Compete(Asked { jobs, reply }))
            .unwrap_or_else(|| Err(self.gone("compete")))
    }
}

/// The answer to the only job.
fn only<A>(answers: Vec<A>) -> Option<A> {
    answers.into_iter().next()
}
