//! The inference engine: threads that own the sessions of a device, shared by everyone who asks. One
//! has the detector's, one those of the speaker model, and one or more a face encoder each.
//!
//! Takes jobs by bounded edges; answers each on an edge of its own. There is no lock around a
//! model: `Session::run` takes `&mut self`, so the owner is a thread. The handles are cheap to
//! clone and implement the stages' traits.
//!
//! On a GPU the jobs of several tracks and streams that wait at the same time go through a graph in
//! one run.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::answers::{Asked, OnItsWay, Reply, Said, answers};
use super::face::FaceEncoder;
use super::find::{EngineDetector, Finder, Search, output_names};
use super::session::{OpenGraph, Provider, SessionError, SessionOptions, open};
use super::speaker::{AudioJob, OtherGraphs};
use super::tally::Tally;
use super::work::{FaceWork, Faces, Job, Work};
use crate::core::notify::Notify;
use crate::core::queue::{ByteSize, Capacity, Overflow, Receiver, Sender, bounded};
use crate::models::device::Device;
use crate::models::manifest::DetectorManifest;
use crate::models::speaker_model::{
    CrossFaceJob, FaceFeatures, FaceJob, HeadJob, HeadResult, InferenceError, ModelShape,
    SpeakerModel, StartedBatch,
};
use crate::models::{ModelError, Package};

/// Jobs that may wait; who has one more waits with it. A GPU takes those of all streams at once.
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
    faces: Sender<Faces>,
    jobs: Sender<Job>,
    detector: DetectorManifest,
    finds_on: Provider,
    shape: ModelShape,
    speaker_name: String,
    provider: Provider,
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens the graphs of both packages and starts the threads, one of them for faces.
    ///
    /// # Errors
    /// Where a package, a graph, the device or the runtime is not what is needed.
    pub fn start(
        detector: &Package,
        speaker: &Package,
        options: &SessionOptions,
    ) -> Result<Self, EngineError> {
        Self::with_encoders(detector, speaker, options, 1)
    }

    /// The same with `encoders` threads for faces, each with a session of its own: on a CPU as many
    /// tracks are encoded at once. On a GPU one is enough.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_encoders(
        detector: &Package,
        speaker: &Package,
        options: &SessionOptions,
        encoders: usize,
    ) -> Result<Self, EngineError> {
        let tally = Arc::<Tally>::default();
        let (searches, queue) = job_queue("stages→engine-find");
        let finder = finder((detector, options), &tally, queue)?;
        let (jobs, queue) = job_queue("stages→engine");
        let worker = worker((speaker, options), &tally, queue)?;
        let (faces, queue) = job_queue("stages→engine-face");
        let encoder = |options| encoder((speaker, options), &tally, Arc::clone(&queue));
        let first = encoder(options)?;
        let mut threads = vec![finder.thread, worker.thread, first.thread];
        let finds_on = opened(&finder.opened)?;
        opened(&worker.opened)?;
        let (provider, shape) = opened(&first.opened)?;
        let more = if provider == Provider::Cpu { encoders.saturating_sub(1) } else { 0 };
        // All on what the first one came to: `auto` might choose anew.
        let options = &SessionOptions { device: Device::Cpu, ..*options };
        for one in (0..more).map(|_| encoder(options)).collect::<Result<Vec<_>, _>>()? {
            opened(&one.opened)?;
            threads.push(one.thread);
        }
        Ok(Self {
            searches,
            faces,
            jobs,
            detector: detector.detector()?.clone(),
            finds_on,
            shape,
            speaker_name: speaker.manifest().common.name.clone(),
            provider,
            tally,
            threads,
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
        EngineDetector::new(self.searches.clone(), self.detector.clone(), self.finds_on)
    }

    /// A speaker model that asks this engine.
    pub fn speaker(&self) -> EngineSpeaker {
        EngineSpeaker {
            faces: self.faces.clone(),
            jobs: self.jobs.clone(),
            at_once: self.provider != Provider::Cpu,
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
struct Owner<T> {
    thread: JoinHandle<()>,
    /// What it says once its graphs are open.
    opened: Receiver<Reply<Result<T, SessionError>>>,
}

/// An edge for jobs, whose receiving end several threads may share.
fn job_queue<J>(name: &'static str) -> (Sender<J>, Arc<Receiver<J>>) {
    let capacity = Capacity { items: JOBS_WAITING, bytes: usize::MAX };
    let (jobs, queue) = bounded(name, capacity, Overflow::Block);
    (jobs, Arc::new(queue))
}

/// Starts the thread `name` that owns what `open` gives, says what `tell` knows of it, and lets
/// `serve` answer what comes by `queue`.
///
/// Sessions are opened where they are used, so that the runtime's own threads take that thread's
/// name and show up under it; all kinds side by side.
fn owner<G, J: ByteSize + Send + 'static, T: Send + 'static>(
    name: &'static str,
    queue: Arc<Receiver<J>>,
    open: impl FnOnce() -> Result<G, SessionError> + Send + 'static,
    tell: impl FnOnce(&G) -> T + Send + 'static,
    serve: impl FnOnce(G, &Receiver<J>) + Send + 'static,
) -> Result<Owner<T>, std::io::Error> {
    let one = Capacity { items: 1, bytes: usize::MAX };
    let (ready, opened) = bounded("engine→start", one, Overflow::Block);
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || match open() {
        Ok(graphs) => {
            if ready.send(Reply(Ok(tell(&graphs)))).is_ok() {
                serve(graphs, &queue);
            }
        }
        // Where the starter is gone there is nobody to tell.
        Err(e) => drop(ready.send(Reply(Err(e)))),
    })?;
    Ok(Owner { thread, opened })
}

/// What an owner says once its graphs are open.
fn opened<T>(told: &Receiver<Reply<Result<T, SessionError>>>) -> Result<T, EngineError> {
    let gone = || std::io::Error::other("it ended while opening the models");
    Ok(told.recv().ok_or_else(gone)?.0?)
}

/// A package whose graphs are run in a certain way.
type Run<'a> = (&'a Package, &'a SessionOptions);

fn finder(
    (package, options): Run<'_>,
    tally: &Arc<Tally>,
    queue: Arc<Receiver<Search>>,
) -> Result<Owner<Provider>, EngineError> {
    let (package, options, counts) = (package.clone(), *options, Arc::clone(tally));
    let manifest = package.detector()?;
    let outputs = output_names(manifest);
    let (file, input) = (manifest.file.clone(), manifest.input.as_str().to_owned());
    let open = move || open(&package, &file, &options);
    let serve = move |graph, queue: &_| Finder { graph, input, outputs, counts }.serve(queue);
    Ok(owner("engine-find", queue, open, |graph: &OpenGraph| graph.provider, serve)?)
}

fn worker(
    (package, options): Run<'_>,
    tally: &Arc<Tally>,
    queue: Arc<Receiver<Job>>,
) -> Result<Owner<()>, EngineError> {
    let (package, options, counts) = (package.clone(), *options, Arc::clone(tally));
    let open = move || OtherGraphs::open(&package, &options);
    let serve = move |graphs, queue: &_| Work { graphs, counts }.serve(queue);
    Ok(owner("engine", queue, open, |_| (), serve)?)
}

fn encoder(
    (package, options): Run<'_>,
    tally: &Arc<Tally>,
    queue: Arc<Receiver<Faces>>,
) -> Result<Owner<(Provider, ModelShape)>, EngineError> {
    let (package, options, counts) = (package.clone(), *options, Arc::clone(tally));
    let open = move || FaceEncoder::open(&package, &options);
    let tell = |encoder: &FaceEncoder| (encoder.provider(), encoder.shape().clone());
    let serve = move |encoder, queue: &_| FaceWork { encoder, counts }.serve(queue);
    Ok(owner("engine-face", queue, open, tell, serve)?)
}

/// A speaker model run by an [`Engine`].
#[derive(Clone)]
pub struct EngineSpeaker {
    faces: Sender<Faces>,
    jobs: Sender<Job>,
    /// Whether several tracks go through the face encoder together.
    at_once: bool,
    shape: ModelShape,
    package: String,
}

impl EngineSpeaker {
    fn gone(&self, graph: &'static str) -> InferenceError {
        let reason = "the inference thread has stopped".to_owned();
        InferenceError { package: self.package.clone(), graph, reason }
    }

    /// Sends `jobs`, as what `job` makes of them, and waits for the answers.
    fn ask<J, A>(
        &self,
        graph: &'static str,
        jobs: Vec<J>,
        job: impl FnOnce(Asked<J, A>) -> Job,
    ) -> Said<A> {
        let (answers, answer) = answers(None);
        let sent = self.jobs.send(job(Asked { jobs, answers }));
        let said = sent.ok().and_then(|()| answer.recv());
        said.map_or_else(|| Err(self.gone(graph)), |Reply(said)| said)
    }

    /// Sends faces that go through the encoder together where it can do that.
    fn start(&self, jobs: Vec<FaceJob>, notify: Option<&Notify>) -> StartedBatch {
        let (answers, answer) = answers(notify);
        let count = jobs.len();
        // Where the threads are gone the answer's edge ends, and that is found there.
        drop(self.faces.send(Asked { jobs, answers }));
        let pending = Box::new(OnItsWay { answer, gone: self.gone("face") });
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
        Ok(if self.at_once {
            vec![self.start(jobs, notify)]
        } else {
            jobs.into_iter().map(|job| self.start(vec![job], notify)).collect()
        })
    }

    fn encode_audio(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
        let jobs = vec![AudioJob { rows, ticks }];
        only(self.ask("audio", jobs, Job::Audio)?).ok_or_else(|| self.gone("audio"))
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        only(self.run_heads(vec![job])?).ok_or_else(|| self.gone("head"))
    }

    fn run_heads(&mut self, jobs: Vec<HeadJob>) -> Result<Vec<HeadResult>, InferenceError> {
        self.ask("head", jobs, Job::Head)
    }

    fn run_cross_face(&mut self, job: CrossFaceJob) -> Result<Vec<f32>, InferenceError> {
        only(self.run_cross_faces(vec![job])?).ok_or_else(|| self.gone("compete"))
    }

    fn run_cross_faces(
        &mut self,
        jobs: Vec<CrossFaceJob>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        self.ask("compete", jobs, Job::Compete)
    }
}

/// The answer to the only job.
fn only<A>(answers: Vec<A>) -> Option<A> {
    answers.into_iter().next()
}
