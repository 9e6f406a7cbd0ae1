//! The engine's worker threads for the speaker model: waiting jobs of one kind run as a batch.
//!
//! On a GPU a worker takes all waiting jobs before each run, so batches grow with the load: while
//! one batch runs the next one gathers. No job waits for a batch to fill.

use std::collections::VecDeque;
use std::sync::Arc;

use super::answers::{Answers, Request};
use super::face::FaceEncoder;
use super::speaker::{AudioHeadGraphs, AudioJob};
use super::stats::{GraphKind, InferenceStats};
use crate::core::queue::{ByteSize, Receiver};
use crate::models::speaker_model::{
    CrossFaceJob, FaceFeatures, FaceJob, HeadJob, HeadResult, InferenceError,
};

/// A request to the engine, other than faces.
pub(super) enum Job {
    Audio(Request<AudioJob, Vec<f32>>),
    Head(Request<HeadJob, HeadResult>),
    CrossFace(Request<CrossFaceJob, Vec<f32>>),
}

/// Faces to encode for one caller.
pub(super) type FaceRequest = Request<FaceJob, FaceFeatures>;

impl ByteSize for FaceRequest {
    fn byte_size(&self) -> usize {
        self.jobs.iter().map(|j| j.crops.len()).sum()
    }
}

impl ByteSize for Job {
    fn byte_size(&self) -> usize {
        match self {
            Self::Audio(request) => request.jobs.iter().map(audio_bytes).sum(),
            Self::Head(request) => request.jobs.iter().map(head_bytes).sum(),
            Self::CrossFace(request) => request.jobs.iter().map(cross_face_bytes).sum(),
        }
    }
}

fn face_bytes(job: &FaceJob) -> usize {
    job.crops.len() * size_of::<f32>()
}

fn audio_bytes(job: &AudioJob) -> usize {
    size_of_val(job.rows.as_slice())
}

fn head_bytes(job: &HeadJob) -> usize {
    size_of_val(job.audio.as_slice()) * 2
}

fn cross_face_bytes(job: &CrossFaceJob) -> usize {
    size_of_val(job.score.as_slice()) * 3
}

/// The next job; also moves all queued jobs to `waiting` if batches are allowed.
fn next<J: ByteSize>(
    queue: &Receiver<J>,
    waiting: &mut VecDeque<J>,
    max_batch_size: usize,
) -> Option<J> {
    let job = waiting.pop_front().or_else(|| queue.recv())?;
    if max_batch_size > 1 {
        while let Ok(job) = queue.try_recv() {
            waiting.push_back(job);
        }
    }
    Some(job)
}

/// A face encoder thread. On a CPU several share a queue: one track's frames are encoded in
/// sequence, as each needs the previous state, but different tracks are encoded in parallel.
pub(super) struct FaceWorker {
    pub(super) encoder: FaceEncoder,
    pub(super) counts: Arc<InferenceStats>,
}

impl FaceWorker {
    /// Serves jobs until the queue ends.
    pub(super) fn serve(&mut self, queue: &Receiver<FaceRequest>) {
        let (mut waiting, max_batch_size) = (VecDeque::new(), self.encoder.max_batch_size());
        while let Some(request) = next(queue, &mut waiting, max_batch_size) {
            let batch = Batch::gather(request, &mut waiting, max_batch_size, Ok);
            let (items, bytes) = (|job: &FaceJob| job.valid.len(), face_bytes);
            let encode = |jobs| self.encoder.encode(jobs);
            batch.run((&self.counts, GraphKind::Face), items, bytes, encode);
        }
    }
}

/// The thread for audio encoder, head and cross-face rescoring.
pub(super) struct SpeakerWorker {
    pub(super) graphs: AudioHeadGraphs,
    pub(super) counts: Arc<InferenceStats>,
}

impl SpeakerWorker {
    /// Serves jobs until the queue ends.
    pub(super) fn serve(&mut self, queue: &Receiver<Job>) {
        let (mut waiting, max_batch_size) = (VecDeque::new(), self.graphs.max_batch_size());
        while let Some(job) = next(queue, &mut waiting, max_batch_size) {
            self.answer(job, &mut waiting);
        }
    }

    /// Runs `job`, batched with the `waiting` jobs of its kind.
    fn answer(&mut self, job: Job, waiting: &mut VecDeque<Job>) {
        let (counts, graphs) = (&self.counts, &mut self.graphs);
        let max_batch_size = graphs.max_batch_size();
        match job {
            Job::Audio(request) => {
                let batch = Batch::gather(request, waiting, max_batch_size, |job| match job {
                    Job::Audio(request) => Ok(request),
                    other => Err(other),
                });
                let context = 2 * graphs.shape().audio_reach_ticks;
                let new = |job: &AudioJob| job.ticks.saturating_sub(context);
                let encode = |jobs| graphs.encode_audios(jobs);
                batch.run((counts, GraphKind::Audio), new, audio_bytes, encode);
            }
            Job::Head(request) => {
                let batch = Batch::gather(request, waiting, max_batch_size, |job| match job {
                    Job::Head(request) => Ok(request),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &HeadJob| job.rows * job.ticks, head_bytes);
                batch.run((counts, GraphKind::Head), items, bytes, |jobs| graphs.run_heads(jobs));
            }
            Job::CrossFace(request) => {
                let batch = Batch::gather(request, waiting, max_batch_size, |job| match job {
                    Job::CrossFace(request) => Ok(request),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &CrossFaceJob| job.score.len(), cross_face_bytes);
                batch.run((counts, GraphKind::CrossFace), items, bytes, |jobs| {
                    graphs.run_cross_faces(jobs)
                });
            }
        }
    }
}

/// Jobs of one or more callers that run together.
struct Batch<J, A> {
    jobs: Vec<J>,
    /// Each caller's number of jobs, and where its answers go.
    callers: Vec<(usize, Answers<A>)>,
}

impl<J, A> Batch<J, A> {
    /// `first` and the waiting jobs of its kind, as `same` decides, up to `max_batch_size`.
    fn gather<W>(
        first: Request<J, A>,
        waiting: &mut VecDeque<W>,
        max_batch_size: usize,
        same: impl Fn(W) -> Result<Request<J, A>, W>,
    ) -> Self {
        let mut batch = Self { callers: vec![(first.jobs.len(), first.answers)], jobs: first.jobs };
        for _ in 0..waiting.len() {
            let Some(job) = waiting.pop_front() else { break };
            if batch.jobs.len() >= max_batch_size {
                waiting.push_back(job);
                continue;
            }
            match same(job) {
                Ok(Request { jobs, answers }) => {
                    batch.callers.push((jobs.len(), answers));
                    batch.jobs.extend(jobs);
                }
                // To the back: after a full rotation the order of the others is unchanged.
                Err(other) => waiting.push_back(other),
            }
        }
        batch
    }

    /// Runs `graph`, counts the call, and sends each caller its answers.
    fn run(
        self,
        (counts, graph): (&InferenceStats, GraphKind),
        items: impl Fn(&J) -> usize,
        bytes: impl Fn(&J) -> usize,
        answer: impl FnOnce(Vec<J>) -> Result<Vec<A>, InferenceError>,
    ) {
        let items = self.jobs.iter().map(items).sum();
        let bytes = self.jobs.iter().map(bytes).sum();
        match counts.count(graph, items, bytes, || answer(self.jobs)) {
            Ok(mut all) => {
                for (count, answers) in self.callers {
                    let rest = all.split_off(count.min(all.len()));
                    answers.give(Ok(std::mem::replace(&mut all, rest)));
                }
            }
            Err(error) => {
                for (_, answers) in self.callers {
                    answers.give(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::answers::{BatchResult, Reply, answers};

    type Heads = Reply<BatchResult<HeadResult>>;

    /// Jobs of these numbers of ticks, and the receiver of their answers.
    fn heads(ticks: &[usize]) -> (Request<HeadJob, HeadResult>, Receiver<Heads>) {
        let (answers, answer) = answers(None);
        let job = |&ticks: &usize| HeadJob {
            rows: 1,
            ticks,
            audio: Vec::new(),
            face: Vec::new(),
            forward: Vec::new(),
        };
        (Request { jobs: ticks.iter().map(job).collect(), answers }, answer)
    }

    fn audio(ticks: usize) -> Job {
        let jobs = vec![AudioJob { rows: Vec::new(), ticks }];
        Job::Audio(Request { jobs, answers: answers(None).0 })
    }

    fn batch(
        first: Request<HeadJob, HeadResult>,
        waiting: &mut VecDeque<Job>,
        max_batch_size: usize,
    ) -> Batch<HeadJob, HeadResult> {
        Batch::gather(first, waiting, max_batch_size, |job| match job {
            Job::Head(request) => Ok(request),
            other => Err(other),
        })
    }

    #[test]
    fn waiting_jobs_of_a_kind_are_batched_and_the_others_keep_their_order() {
        let (first, _a) = heads(&[1]);
        let (second, _b) = heads(&[2, 3]);
        let (third, _c) = heads(&[4]);
        let mut waiting =
            VecDeque::from([audio(1), Job::Head(second), audio(2), Job::Head(third), audio(3)]);
        let batch = batch(first, &mut waiting, 3);
        assert_eq!(batch.jobs.iter().map(|j| j.ticks).collect::<Vec<_>>(), [1, 2, 3]);
        let left = waiting.iter().map(|job| match job {
            Job::Audio(request) => request.jobs[0].ticks,
            Job::Head(request) => 10 * request.jobs[0].ticks,
            _ => 0,
        });
        assert_eq!(left.collect::<Vec<_>>(), [1, 2, 40, 3]);
    }

    #[test]
    fn each_caller_gets_its_own_answers_or_the_error() {
        let (counts, items) = (InferenceStats::default(), |job: &HeadJob| job.ticks);
        let result =
            |ticks: usize| HeadResult { logits: vec![ticks as f32], forward: vec![], gates: None };
        let ((first, a), (second, b)) = (heads(&[1, 2]), heads(&[3]));
        let mut waiting = VecDeque::from([Job::Head(second)]);
        batch(first, &mut waiting, 9).run((&counts, GraphKind::Head), items, head_bytes, |jobs| {
            Ok(jobs.iter().map(|job| result(job.ticks)).collect())
        });
        let logits = |answer: Receiver<Heads>| -> Vec<f32> {
            let answers = answer.recv().expect("answered").0.expect("answers");
            answers.iter().flat_map(|r| r.logits.clone()).collect()
        };
        assert_eq!((logits(a), logits(b)), (vec![1.0, 2.0], vec![3.0]));
        let count = counts.read(GraphKind::Head);
        assert_eq!((count.calls, count.items), (1, 6));

        let ((first, a), (second, b)) = (heads(&[1]), heads(&[2]));
        let mut waiting = VecDeque::from([Job::Head(second)]);
        let error = InferenceError { package: "p".into(), graph: "head", reason: "none".into() };
        let failed = |_| Err(error);
        batch(first, &mut waiting, 9).run((&counts, GraphKind::Head), items, head_bytes, failed);
        for answer in [a, b] {
            let error = answer.recv().expect("answered").0.expect_err("the error");
            assert_eq!(error.reason, "none");
        }
    }
}
