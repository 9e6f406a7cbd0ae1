//! What the engine's threads for the speaker model do: jobs taken as they come, those of a kind that
//! wait together run together.
//!
//! On a GPU all that waits is taken before each run, so that batches grow with the load by
//! themselves: while one runs the next one gathers, and nobody waits for a batch to fill.

use std::collections::VecDeque;
use std::sync::Arc;

use super::answers::{Answers, Asked};
use super::face::FaceEncoder;
use super::speaker::{AudioJob, OtherGraphs};
use super::tally::{Graph, Tally};
use crate::core::queue::{ByteSize, Receiver};
use crate::models::speaker_model::{
    CrossFaceJob, FaceFeatures, FaceJob, HeadJob, HeadResult, InferenceError,
};

/// What the engine is asked, faces left out.
pub(super) enum Job {
    Audio(Asked<AudioJob, Vec<f32>>),
    Head(Asked<HeadJob, HeadResult>),
    Compete(Asked<CrossFaceJob, Vec<f32>>),
}

/// Faces of one caller.
pub(super) type Faces = Asked<FaceJob, FaceFeatures>;

impl ByteSize for Faces {
    fn byte_size(&self) -> usize {
        self.jobs.iter().map(|j| j.crops.len()).sum()
    }
}

impl ByteSize for Job {
    fn byte_size(&self) -> usize {
        match self {
            Self::Audio(asked) => asked.jobs.iter().map(audio_bytes).sum(),
            Self::Head(asked) => asked.jobs.iter().map(head_bytes).sum(),
            Self::Compete(asked) => asked.jobs.iter().map(compete_bytes).sum(),
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

fn compete_bytes(job: &CrossFaceJob) -> usize {
    size_of_val(job.score.as_slice()) * 3
}

/// The next job, and all others that wait where `most` of them may go together.
fn next<J: ByteSize>(queue: &Receiver<J>, waiting: &mut VecDeque<J>, most: usize) -> Option<J> {
    let job = waiting.pop_front().or_else(|| queue.recv())?;
    if most > 1 {
        while let Ok(job) = queue.try_recv() {
            waiting.push_back(job);
        }
    }
    Some(job)
}

/// What a thread for faces owns. Several share a queue on a CPU: one track's frames go through one
/// after the other, as each needs what the last one left, but those of two tracks need not.
pub(super) struct FaceWork {
    pub(super) encoder: FaceEncoder,
    pub(super) counts: Arc<Tally>,
}

impl FaceWork {
    /// Answers until nobody can ask any more.
    pub(super) fn serve(&mut self, queue: &Receiver<Faces>) {
        let (mut waiting, most) = (VecDeque::new(), self.encoder.jobs_at_once());
        while let Some(asked) = next(queue, &mut waiting, most) {
            let batch = Batch::gather(asked, &mut waiting, most, Ok);
            let (items, bytes) = (|job: &FaceJob| job.valid.len(), face_bytes);
            let encode = |jobs| self.encoder.encode(jobs);
            batch.run((&self.counts, Graph::Face), items, bytes, encode);
        }
    }
}

/// What the thread for audio, head and competition owns.
pub(super) struct Work {
    pub(super) graphs: OtherGraphs,
    pub(super) counts: Arc<Tally>,
}

impl Work {
    /// Answers until nobody can ask any more.
    pub(super) fn serve(&mut self, queue: &Receiver<Job>) {
        let (mut waiting, most) = (VecDeque::new(), self.graphs.jobs_at_once());
        while let Some(job) = next(queue, &mut waiting, most) {
            self.answer(job, &mut waiting);
        }
    }

    /// Answers `job`, together with those in `waiting` that can go with it.
    fn answer(&mut self, job: Job, waiting: &mut VecDeque<Job>) {
        let (counts, graphs) = (&self.counts, &mut self.graphs);
        let most = graphs.jobs_at_once();
        match job {
            Job::Audio(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Audio(asked) => Ok(asked),
                    other => Err(other),
                });
                let context = 2 * graphs.shape().audio_reach_ticks;
                let new = |job: &AudioJob| job.ticks.saturating_sub(context);
                let encode = |jobs| graphs.encode_audios(jobs);
                batch.run((counts, Graph::Audio), new, audio_bytes, encode);
            }
            Job::Head(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Head(asked) => Ok(asked),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &HeadJob| job.rows * job.ticks, head_bytes);
                batch.run((counts, Graph::Head), items, bytes, |jobs| graphs.run_heads(jobs));
            }
            Job::Compete(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Compete(asked) => Ok(asked),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &CrossFaceJob| job.score.len(), compete_bytes);
                batch.run((counts, Graph::Compete), items, bytes, |jobs| {
                    graphs.run_cross_faces(jobs)
                });
            }
        }
    }
}

/// Jobs of one or more callers that go through a graph together.
struct Batch<J, A> {
    jobs: Vec<J>,
    /// Who asked, and for how many of the jobs.
    asked: Vec<(usize, Answers<A>)>,
}

impl<J, A> Batch<J, A> {
    /// `first` and what waits of its kind, which `same` tells, while fewer than `most` are together.
    fn gather<W>(
        first: Asked<J, A>,
        waiting: &mut VecDeque<W>,
        most: usize,
        same: impl Fn(W) -> Result<Asked<J, A>, W>,
    ) -> Self {
        let mut batch = Self { asked: vec![(first.jobs.len(), first.answers)], jobs: first.jobs };
        for _ in 0..waiting.len() {
            let Some(job) = waiting.pop_front() else { break };
            if batch.jobs.len() >= most {
                waiting.push_back(job);
                continue;
            }
            match same(job) {
                Ok(Asked { jobs, answers }) => {
                    batch.asked.push((jobs.len(), answers));
                    batch.jobs.extend(jobs);
                }
                // To the end: after a whole turn all others lie as they lay.
                Err(other) => waiting.push_back(other),
            }
        }
        batch
    }

    /// Has `graph` answer, counts that, and gives everyone their own answers.
    fn run(
        self,
        (counts, graph): (&Tally, Graph),
        items: impl Fn(&J) -> usize,
        bytes: impl Fn(&J) -> usize,
        answer: impl FnOnce(Vec<J>) -> Result<Vec<A>, InferenceError>,
    ) {
        let items = self.jobs.iter().map(items).sum();
        let bytes = self.jobs.iter().map(bytes).sum();
        match counts.count(graph, items, bytes, || answer(self.jobs)) {
            Ok(mut all) => {
                for (count, answers) in self.asked {
                    let rest = all.split_off(count.min(all.len()));
                    answers.give(Ok(std::mem::replace(&mut all, rest)));
                }
            }
            Err(fault) => {
                for (_, answers) in self.asked {
                    answers.give(Err(fault.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::answers::{Reply, Said, answers};

    type Heads = Reply<Said<HeadResult>>;

    /// Jobs of so many ticks each, and where their answers come.
    fn heads(ticks: &[usize]) -> (Asked<HeadJob, HeadResult>, Receiver<Heads>) {
        let (answers, answer) = answers(None);
        let job = |&ticks: &usize| HeadJob {
            rows: 1,
            ticks,
            audio: Vec::new(),
            face: Vec::new(),
            forward: Vec::new(),
        };
        (Asked { jobs: ticks.iter().map(job).collect(), answers }, answer)
    }

    fn audio(ticks: usize) -> Job {
        let jobs = vec![AudioJob { rows: Vec::new(), ticks }];
        Job::Audio(Asked { jobs, answers: answers(None).0 })
    }

    fn batch(
        first: Asked<HeadJob, HeadResult>,
        waiting: &mut VecDeque<Job>,
        most: usize,
    ) -> Batch<HeadJob, HeadResult> {
        Batch::gather(first, waiting, most, |job| match job {
            Job::Head(asked) => Ok(asked),
            other => Err(other),
        })
    }

    #[test]
    fn what_waits_of_a_kind_goes_together_and_the_rest_keeps_its_order() {
        let (first, _a) = heads(&[1]);
        let (second, _b) = heads(&[2, 3]);
        let (third, _c) = heads(&[4]);
        let mut waiting =
            VecDeque::from([audio(1), Job::Head(second), audio(2), Job::Head(third), audio(3)]);
        let batch = batch(first, &mut waiting, 3);
        assert_eq!(batch.jobs.iter().map(|j| j.ticks).collect::<Vec<_>>(), [1, 2, 3]);
        let left = waiting.iter().map(|job| match job {
            Job::Audio(asked) => asked.jobs[0].ticks,
            Job::Head(asked) => 10 * asked.jobs[0].ticks,
            _ => 0,
        });
        assert_eq!(left.collect::<Vec<_>>(), [1, 2, 40, 3]);
    }

    #[test]
    fn everyone_gets_their_own_answers_or_the_fault() {
        let (counts, items) = (Tally::default(), |job: &HeadJob| job.ticks);
        let result =
            |ticks: usize| HeadResult { logits: vec![ticks as f32], forward: vec![], gates: None };
        let ((first, a), (second, b)) = (heads(&[1, 2]), heads(&[3]));
        let mut waiting = VecDeque::from([Job::Head(second)]);
        batch(first, &mut waiting, 9).run((&counts, Graph::Head), items, head_bytes, |jobs| {
            Ok(jobs.iter().map(|job| result(job.ticks)).collect())
        });
        let logits = |answer: Receiver<Heads>| -> Vec<f32> {
            let answers = answer.recv().expect("answered").0.expect("answers");
            answers.iter().flat_map(|r| r.logits.clone()).collect()
        };
        assert_eq!((logits(a), logits(b)), (vec![1.0, 2.0], vec![3.0]));
        let count = counts.read(Graph::Head);
        assert_eq!((count.calls, count.items), (1, 6));

        let ((first, a), (second, b)) = (heads(&[1]), heads(&[2]));
        let mut waiting = VecDeque::from([Job::Head(second)]);
        let fault = InferenceError { package: "p".into(), graph: "head", reason: "none".into() };
        let failed = |_| Err(fault);
        batch(first, &mut waiting, 9).run((&counts, Graph::Head), items, head_bytes, failed);
        for answer in [a, b] {
            let fault = answer.recv().expect("answered").0.expect_err("the fault");
            assert_eq!(fault.reason, "none");
        }
    }
}
