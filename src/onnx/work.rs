//! What the engine's thread for the speaker model does: jobs taken as they come, those of a kind that wait together run
//! together.
//!
//! On a GPU all that waits is taken before each run, so that batches grow with the load by
//! themselves: while one runs the next one gathers, and nobody waits for a batch to fill.

use std::collections::VecDeque;
use std::sync::Arc;

use super::speaker::{SoundJob, SpeakerGraphs};
use super::tally::{Graph, Tally};
use crate::core::edge::{ByteSize, Receiver, Sender};
use crate::stages::score::model::{
    CompeteJob, FaceFeatures, FaceJob, HeadJob, HeadResult, ModelFault,
};

/// What the engine is asked.
pub(super) enum Job {
    Faces(Asked<FaceJob, FaceFeatures>),
    Sound(Asked<SoundJob, Vec<f32>>),
    Head(Asked<HeadJob, HeadResult>),
    Compete(Asked<CompeteJob, Vec<f32>>),
}

/// Where the answers to some jobs go.
pub(super) type Answers<A> = Sender<Reply<Result<Vec<A>, ModelFault>>>;

/// Jobs of one caller, answered all at once.
pub(super) struct Asked<J, A> {
    pub(super) jobs: Vec<J>,
    pub(super) reply: Answers<A>,
}

/// An answer; its size does not matter, as each edge carries one.
pub(super) struct Reply<T>(pub(super) T);

impl<T> ByteSize for Reply<T> {
    fn byte_size(&self) -> usize {
        0
    }
}

impl ByteSize for Job {
    fn byte_size(&self) -> usize {
        match self {
            Self::Faces(asked) => asked.jobs.iter().map(|j| j.crops.len()).sum(),
            Self::Sound(asked) => asked.jobs.iter().map(sound_bytes).sum(),
            Self::Head(asked) => asked.jobs.iter().map(head_bytes).sum(),
            Self::Compete(asked) => asked.jobs.iter().map(compete_bytes).sum(),
        }
    }
}

fn face_bytes(job: &FaceJob) -> usize {
    job.crops.len() * size_of::<f32>()
}

fn sound_bytes(job: &SoundJob) -> usize {
    size_of_val(job.rows.as_slice())
}

fn head_bytes(job: &HeadJob) -> usize {
    size_of_val(job.audio.as_slice()) * 2
}

fn compete_bytes(job: &CompeteJob) -> usize {
    size_of_val(job.score.as_slice()) * 3
}

/// What the thread owns.
pub(super) struct Work {
    pub(super) graphs: SpeakerGraphs,
    pub(super) counts: Arc<Tally>,
}

impl Work {
    /// Answers until nobody can ask any more.
    pub(super) fn serve(&mut self, queue: &Receiver<Job>) {
        let mut waiting = VecDeque::new();
        while let Some(job) = waiting.pop_front().or_else(|| queue.recv()) {
            if self.graphs.jobs_at_once() > 1 {
                while let Ok(job) = queue.try_recv() {
                    waiting.push_back(job);
                }
            }
            self.answer(job, &mut waiting);
        }
    }

    /// Answers `job`, together with those in `waiting` that can go with it.
    fn answer(&mut self, job: Job, waiting: &mut VecDeque<Job>) {
        let (counts, graphs) = (&self.counts, &mut self.graphs);
        let most = graphs.jobs_at_once();
        match job {
            Job::Sound(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Sound(asked) => Ok(asked),
                    other => Err(other),
                });
                let context = 2 * graphs.shape().audio_reach_ticks;
                let new = |job: &SoundJob| job.ticks.saturating_sub(context);
                let encode = |jobs| graphs.encode_sounds(jobs);
                batch.run((counts, Graph::Sound), new, sound_bytes, encode);
            }
            Job::Faces(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Faces(asked) => Ok(asked),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &FaceJob| job.valid.len(), face_bytes);
                batch.run((counts, Graph::Face), items, bytes, |jobs| graphs.encode_faces(jobs));
            }
            Job::Head(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Head(asked) => Ok(asked),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &HeadJob| job.rows * job.ticks, head_bytes);
                batch.run((counts, Graph::Head), items, bytes, |jobs| graphs.judge_all(jobs));
            }
            Job::Compete(asked) => {
                let batch = Batch::gather(asked, waiting, most, |job| match job {
                    Job::Compete(asked) => Ok(asked),
                    other => Err(other),
                });
                let (items, bytes) = (|job: &CompeteJob| job.score.len(), compete_bytes);
                batch.run((counts, Graph::Compete), items, bytes, |jobs| graphs.compete_all(jobs));
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
    fn gather(
        first: Asked<J, A>,
        waiting: &mut VecDeque<Job>,
        most: usize,
        same: impl Fn(Job) -> Result<Asked<J, A>, Job>,
    ) -> Self {
        let mut batch = Self { asked: vec![(first.jobs.len(), first.reply)], jobs: first.jobs };
        for _ in 0..waiting.len() {
            let Some(job) = waiting.pop_front() else { break };
            if batch.jobs.len() >= most {
                waiting.push_back(job);
                continue;
            }
            match same(job) {
                Ok(Asked { jobs, reply }) => {
                    batch.asked.push((jobs.len(), reply));
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
        answer: impl FnOnce(Vec<J>) -> Result<Vec<A>, ModelFault>,
    ) {
        let items = self.jobs.iter().map(items).sum();
        let bytes = self.jobs.iter().map(bytes).sum();
        match counts.count(graph, items, bytes, || answer(self.jobs)) {
            Ok(mut answers) => {
                for (count, reply) in self.asked {
                    let rest = answers.split_off(count.min(answers.len()));
                    let own = std::mem::replace(&mut answers, rest);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::edge::{Capacity, WhenFull, edge};

    type Heads = Reply<Result<Vec<HeadResult>, ModelFault>>;

    /// Jobs of so many ticks each, and where their answers come.
    fn heads(ticks: &[usize]) -> (Asked<HeadJob, HeadResult>, Receiver<Heads>) {
        let one = Capacity { items: 1, bytes: usize::MAX };
        let (reply, answer) = edge("engine→test", one, WhenFull::Block);
        let job = |&ticks: &usize| HeadJob {
            rows: 1,
            ticks,
            audio: Vec::new(),
            face: Vec::new(),
            forward: Vec::new(),
        };
        (Asked { jobs: ticks.iter().map(job).collect(), reply }, answer)
    }

    fn sound(ticks: usize) -> Job {
        let one = Capacity { items: 1, bytes: usize::MAX };
        let (reply, _) = edge("engine→test", one, WhenFull::Block);
        Job::Sound(Asked { jobs: vec![SoundJob { rows: Vec::new(), ticks }], reply })
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
            VecDeque::from([sound(1), Job::Head(second), sound(2), Job::Head(third), sound(3)]);
        let batch = batch(first, &mut waiting, 3);
        assert_eq!(batch.jobs.iter().map(|j| j.ticks).collect::<Vec<_>>(), [1, 2, 3]);
        let left = waiting.iter().map(|job| match job {
            Job::Sound(asked) => asked.jobs[0].ticks,
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
        let fault = ModelFault { package: "p".into(), graph: "head", reason: "none".into() };
        let failed = |_| Err(fault);
        batch(first, &mut waiting, 9).run((&counts, Graph::Head), items, head_bytes, failed);
        for answer in [a, b] {
            let fault = answer.recv().expect("answered").0.expect_err("the fault");
            assert_eq!(fault.reason, "none");
        }
    }
}
