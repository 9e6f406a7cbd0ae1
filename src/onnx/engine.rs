//! The inference engine: threads that own a device's sessions and serve all callers. One thread has
//! the detector, one the audio encoder and the head, and one or more have a face encoder each.
//!
//! Jobs arrive on bounded queues; each is answered on its own queue. A model needs no lock:
//! `Session::run` takes `&mut self`, and a thread owns the session. The handles are cheap to clone
//! and implement the models' traits.
//!
//! On a GPU, jobs of several tracks and streams that wait at the same time run as one batch.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::answers::{BatchResult, PendingReply, Reply, Request, answers};
use super::detector::{DetectJob, DetectorWorker, EngineDetector, output_names};
use super::face::FaceEncoder;
use super::providers::Provider;
use super::session::{OpenGraph, SessionError, SessionOptions, open};
use super::speaker::{AudioHeadGraphs, AudioJob};
use super::stats::InferenceStats;
use super::workers::{FaceRequest, FaceWorker, Job, SpeakerWorker};
use crate::core::notify::Notify;
use crate::core::queue::{ByteSize, Capacity, Overflow, Receiver, Sender, bounded};
use crate::models::device::Device;
use crate::models::manifest::DetectorManifest;
use crate::models::speaker_model::{
    CrossFaceJob, FaceFeatures, FaceJob, HeadJob, HeadResult, InferenceError, ModelShape,
    SpeakerModel, StartedBatch,
};
use crate::models::{ModelError, Package};

/// Capacity of a job queue; senders block when it is full. A GPU takes the jobs of all streams.
const MAX_QUEUED_JOBS: usize = 256;

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A package has the wrong kind or is invalid.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A graph cannot be opened.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A thread cannot be started.
    #[error("the inference thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running engine. It stops when it and all its handles are dropped.
pub struct Engine {
    detect_jobs: Sender<DetectJob>,
    faces: Sender<FaceRequest>,
    jobs: Sender<Job>,
    detector: DetectorManifest,
    detector_provider: Provider,
    shape: ModelShape,
    speaker_name: String,
    provider: Provider,
    stats: Arc<InferenceStats>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens the graphs of both packages and starts the threads, with one face encoder.
    ///
    /// # Errors
    /// An unsuitable package, graph, device or runtime.
    pub fn start(
        detector: &Package,
        speaker: &Package,
        options: &SessionOptions,
    ) -> Result<Self, EngineError> {
        Self::with_encoders(detector, speaker, options, 1)
    }

    /// Like [`Self::start`], with `encoders` face encoder threads, each with its own session: a CPU
    /// encodes that many tracks in parallel. A GPU uses one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_encoders(
        detector: &Package,
        speaker: &Package,
        options: &SessionOptions,
        encoders: usize,
    ) -> Result<Self, EngineError> {
        let stats = Arc::<InferenceStats>::default();
        let (detect_jobs, queue) = job_queue("stages→engine-detect");
        let detector_worker = spawn_detector((detector, options), &stats, queue)?;
        let (jobs, queue) = job_queue("stages→engine");
        let speaker_worker = spawn_speaker((speaker, options), &stats, queue)?;
        let (faces, queue) = job_queue("stages→engine-face");
        let encoder = |options| spawn_encoder((speaker, options), &stats, Arc::clone(&queue));
        let first = encoder(options)?;
        let mut threads = vec![detector_worker.thread, speaker_worker.thread, first.thread];
        let detector_provider = wait_until_open(&detector_worker.opened)?;
        wait_until_open(&speaker_worker.opened)?;
        let (provider, shape) = wait_until_open(&first.opened)?;
        let more = if provider == Provider::Cpu { encoders.saturating_sub(1) } else { 0 };
        // All use the first one's device: `auto` could choose another.
        let options = &SessionOptions { device: Device::Cpu, ..*options };
        for worker in (0..more).map(|_| encoder(options)).collect::<Result<Vec<_>, _>>()? {
            wait_until_open(&worker.opened)?;
            threads.push(worker.thread);
        }
        Ok(Self {
            detect_jobs,
            faces,
            jobs,
            detector: detector.detector()?.clone(),
            detector_provider,
            shape,
            speaker_name: speaker.manifest().common.name.clone(),
            provider,
            stats,
            threads,
        })
    }

    /// The execution provider of the sessions.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// The statistics so far.
    pub fn stats(&self) -> Arc<InferenceStats> {
        Arc::clone(&self.stats)
    }

    /// A face detector that runs on this engine.
    pub fn detector(&self) -> EngineDetector {
        EngineDetector::new(self.detect_jobs.clone(), self.detector.clone(), self.detector_provider)
    }

    /// A speaker model that runs on this engine.
    pub fn speaker(&self) -> EngineSpeaker {
        EngineSpeaker {
            faces: self.faces.clone(),
            jobs: self.jobs.clone(),
            batched: self.provider != Provider::Cpu,
            shape: self.shape.clone(),
            package: self.speaker_name.clone(),
        }
    }

    /// Waits for the threads; call it after all handles are dropped.
    pub fn join(mut self) {
        let threads = std::mem::take(&mut self.threads);
        drop(self);
        for thread in threads {
            // The hook reported a panic; callers saw their queue end.
            let _ = thread.join();
        }
    }
}

/// A thread that owns graphs.
struct Worker<T> {
    thread: JoinHandle<()>,
    /// Receives its description once its graphs are open.
    opened: Receiver<Reply<Result<T, SessionError>>>,
}

/// A queue for jobs; several threads may share its receiver.
fn job_queue<J>(name: &'static str) -> (Sender<J>, Arc<Receiver<J>>) {
    let capacity = Capacity { items: MAX_QUEUED_JOBS, bytes: usize::MAX };
    let (jobs, queue) = bounded(name, capacity, Overflow::Block);
    (jobs, Arc::new(queue))
}

/// Starts the thread `name`: it opens its graphs, sends their description, and serves `queue`.
///
/// Each thread opens its own sessions, in parallel with the others; the runtime's threads inherit
/// its name.
fn spawn_worker<G, J: ByteSize + Send + 'static, T: Send + 'static>(
    name: &'static str,
    queue: Arc<Receiver<J>>,
    open: impl FnOnce() -> Result<G, SessionError> + Send + 'static,
    describe: impl FnOnce(&G) -> T + Send + 'static,
    serve: impl FnOnce(G, &Receiver<J>) + Send + 'static,
) -> Result<Worker<T>, std::io::Error> {
    let one = Capacity { items: 1, bytes: usize::MAX };
    let (ready, opened) = bounded("engine→start", one, Overflow::Block);
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || match open() {
        Ok(graphs) => {
            if ready.send(Reply(Ok(describe(&graphs)))).is_ok() {
                serve(graphs, &queue);
            }
        }
        // The starter may have stopped waiting.
        Err(e) => drop(ready.send(Reply(Err(e)))),
    })?;
    Ok(Worker { thread, opened })
}

/// A worker's description, once its graphs are open.
fn wait_until_open<T>(opened: &Receiver<Reply<Result<T, SessionError>>>) -> Result<T, EngineError> {
    let stopped = || std::io::Error::other("it ended while opening the models");
    Ok(opened.recv().ok_or_else(stopped)?.0?)
}

/// A package and how to run its graphs.
type PackageOptions<'a> = (&'a Package, &'a SessionOptions);

fn spawn_detector(
    (package, options): PackageOptions<'_>,
    stats: &Arc<InferenceStats>,
    queue: Arc<Receiver<DetectJob>>,
) -> Result<Worker<Provider>, EngineError> {
    let (package, options, counts) = (package.clone(), *options, Arc::clone(stats));
    let manifest = package.detector()?;
    let outputs = output_names(manifest);
    let (file, input) = (manifest.file.clone(), manifest.input.as_str().to_owned());
    let open = move || open(&package, &file, &options);
    let serve =
        move |graph, queue: &_| DetectorWorker { graph, input, outputs, counts }.serve(queue);
    Ok(spawn_worker("engine-detect", queue, open, |graph: &OpenGraph| graph.provider, serve)?)
}

fn spawn_speaker(
    (package, options): PackageOptions<'_>,
    stats: &Arc<InferenceStats>,
    queue: Arc<Receiver<Job>>,
) -> Result<Worker<()>, EngineError> {
    let (package, options, counts) = (package.clone(), *options, Arc::clone(stats));
    let open = move || AudioHeadGraphs::open(&package, &options);
    let serve = move |graphs, queue: &_| SpeakerWorker { graphs, counts }.serve(queue);
    Ok(spawn_worker("engine", queue, open, |_| (), serve)?)
}

fn spawn_encoder(
    (package, options): PackageOptions<'_>,
    stats: &Arc<InferenceStats>,
    queue: Arc<Receiver<FaceRequest>>,
) -> Result<Worker<(Provider, ModelShape)>, EngineError> {
    let (package, options, counts) = (package.clone(), *options, Arc::clone(stats));
    let open = move || FaceEncoder::open(&package, &options);
    let describe = |encoder: &FaceEncoder| (encoder.provider(), encoder.shape().clone());
    let serve = move |encoder, queue: &_| FaceWorker { encoder, counts }.serve(queue);
    Ok(spawn_worker("engine-face", queue, open, describe, serve)?)
}

/// A speaker model run by an [`Engine`].
#[derive(Clone)]
pub struct EngineSpeaker {
    faces: Sender<FaceRequest>,
    jobs: Sender<Job>,
    /// Whether the face encoder takes several tracks in one run.
    batched: bool,
    shape: ModelShape,
    package: String,
}

impl EngineSpeaker {
    fn stopped_error(&self, graph: &'static str) -> InferenceError {
        let reason = "the inference thread has stopped".to_owned();
        InferenceError { package: self.package.clone(), graph, reason }
    }

    /// Sends `jobs`, wrapped by `job`, and waits for the answers.
    fn ask<J, A>(
        &self,
        graph: &'static str,
        jobs: Vec<J>,
        job: impl FnOnce(Request<J, A>) -> Job,
    ) -> BatchResult<A> {
        let (answers, answer) = answers(None);
        let sent = self.jobs.send(job(Request { jobs, answers }));
        let reply = sent.ok().and_then(|()| answer.recv());
        reply.map_or_else(|| Err(self.stopped_error(graph)), |Reply(result)| result)
    }

    /// Sends faces as one batch and does not wait.
    fn start(&self, jobs: Vec<FaceJob>, notify: Option<&Notify>) -> StartedBatch {
        let (answers, answer) = answers(notify);
        let count = jobs.len();
        // If the threads have stopped, the reply queue ends.
        drop(self.faces.send(Request { jobs, answers }));
        let pending = Box::new(PendingReply { answer, stopped_error: self.stopped_error("face") });
        StartedBatch { jobs: count, pending }
    }
}

impl SpeakerModel for EngineSpeaker {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        let mut all = Vec::with_capacity(jobs.len());
        for mut started in self.start_faces(jobs, None)? {
            all.extend(started.pending.wait()?);
        }
        Ok(all)
    }

    fn start_faces(
        &mut self,
        jobs: Vec<FaceJob>,
        notify: Option<&Notify>,
    ) -> Result<Vec<StartedBatch>, InferenceError> {
        Ok(if self.batched {
            vec![self.start(jobs, notify)]
        } else {
            jobs.into_iter().map(|job| self.start(vec![job], notify)).collect()
        })
    }

    fn encode_audio(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
        let jobs = vec![AudioJob { rows, ticks }];
        single(self.ask("audio", jobs, Job::Audio)?).ok_or_else(|| self.stopped_error("audio"))
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        single(self.run_heads(vec![job])?).ok_or_else(|| self.stopped_error("head"))
    }

    fn run_heads(&mut self, jobs: Vec<HeadJob>) -> Result<Vec<HeadResult>, InferenceError> {
        self.ask("head", jobs, Job::Head)
    }

    fn run_cross_face(&mut self, job: CrossFaceJob) -> Result<Vec<f32>, InferenceError> {
        single(self.run_cross_faces(vec![job])?).ok_or_else(|| self.stopped_error("cross_face"))
    }

    fn run_cross_faces(
        &mut self,
        jobs: Vec<CrossFaceJob>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.ask("cross_face", jobs, Job::CrossFace)
    }
}

/// The answer to the only job.
fn single<A>(answers: Vec<A>) -> Option<A> {
    answers.into_iter().next()
}
