//! Requests to the engine, and the way back of their answers.

use crate::core::notify::Notify;
use crate::core::queue::{ByteSize, Capacity, NoItem, Overflow, Receiver, Sender, bounded};
use crate::models::speaker_model::{FaceFeatures, InferenceError, PendingFeatures};

/// An answer. Its size does not matter, as each queue carries one.
pub(super) struct Reply<T>(pub(super) T);

impl<T> ByteSize for Reply<T> {
    fn byte_size(&self) -> usize {
        0
    }
}

/// What the model says to some jobs, or why it fails.
pub(super) type BatchResult<A> = Result<Vec<A>, InferenceError>;

/// Jobs of one caller, answered all at once.
pub(super) struct Request<J, A> {
    pub(super) jobs: Vec<J>,
    pub(super) answers: Answers<A>,
}

/// Where the answers to some jobs go. Notifies when they are there, or never will be.
pub(super) struct Answers<A> {
    reply: Option<Sender<Reply<BatchResult<A>>>>,
    notify: Option<Notify>,
}

impl<A> Answers<A> {
    /// Gives the answers. That nobody waits for them any more is no fault.
    pub(super) fn give(self, said: BatchResult<A>) {
        if let Some(reply) = &self.reply {
            let _ = reply.send(Reply(said));
        }
    }
}

impl<A> Drop for Answers<A> {
    fn drop(&mut self) {
        // The queue has to end before the notified thread looks.
        drop(self.reply.take());
        if let Some(notify) = &self.notify {
            notify.notify();
        }
    }
}

/// Where answers go, and where they come.
pub(super) fn answers<A>(notify: Option<&Notify>) -> (Answers<A>, Receiver<Reply<BatchResult<A>>>) {
    let one = Capacity { items: 1, bytes: usize::MAX };
    let (reply, answer) = bounded("engine→stage", one, Overflow::Block);
    (Answers { reply: Some(reply), notify: notify.cloned() }, answer)
}

/// Face features that a worker of the engine has been asked for.
pub(super) struct PendingReply {
    pub(super) answer: Receiver<Reply<BatchResult<FaceFeatures>>>,
    /// What is said where the worker is gone.
    pub(super) stopped_error: InferenceError,
}

impl PendingFeatures for PendingReply {
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, InferenceError>> {
        match self.answer.try_recv() {
            Ok(Reply(said)) => Some(said),
            Err(NoItem::Empty) => None,
            Err(NoItem::Ended) => Some(Err(self.stopped_error.clone())),
        }
    }

    fn wait(&mut self) -> Result<Vec<FaceFeatures>, InferenceError> {
        self.answer.recv().map_or_else(|| Err(self.stopped_error.clone()), |Reply(said)| said)
    }
}
