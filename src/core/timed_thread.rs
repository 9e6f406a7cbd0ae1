//! A thread that can be waited for with a timeout, which the standard library's cannot.

use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::queue::{ByteSize, Capacity, NoItem, Overflow, Receiver, Sender, bounded};

/// Nothing is ever sent: the queue ends with the thread that holds the sender.
struct Alive;

impl ByteSize for Alive {
    fn byte_size(&self) -> usize {
        0
    }
}

/// A thread at work. A dropped handle leaves it running.
pub(crate) struct TimedThread<T> {
    thread: JoinHandle<T>,
    ended: Receiver<Alive>,
}

impl<T: Send + 'static> TimedThread<T> {
    /// Starts a thread; the system shows the first fifteen characters of `name`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn spawn(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let name: String = name.chars().filter(|c| *c != '\0').take(15).collect();
        let one = Capacity { items: 1, bytes: usize::MAX };
        let (alive, ended) = bounded("thread→end", one, Overflow::Block);
        let work = move || {
            let _alive: Sender<Alive> = alive;
            work()
        };
        Ok(Self { thread: Builder::new().name(name).spawn(work)?, ended })
    }

    /// Whether the thread has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the thread has ended, at most `timeout`. `None` if it still runs, or has
    /// panicked.
    pub(crate) fn join_within(self, timeout: Duration) -> Option<T> {
        let ended = matches!(self.ended.recv_timeout(timeout), Err(NoItem::Ended));
        if ended { self.thread.join().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::signal::Signal;

    #[test]
    fn a_thread_is_waited_for_no_longer_than_its_timeout() {
        let quick = TimedThread::spawn("quick", || 7).expect("a thread");
        assert_eq!(quick.join_within(Duration::from_secs(60)), Some(7));
        let stop = Signal::default();
        let waits = stop.clone();
        let slow = TimedThread::spawn("slow", move || waits.wait_for_stop(Duration::from_secs(60)));
        assert_eq!(slow.expect("a thread").join_within(Duration::from_millis(1)), None);
        stop.stop();
        let panics = TimedThread::spawn("panics", || panic!("on purpose")).expect("a thread");
        assert!(panics.join_within(Duration::from_secs(60)).is_none());
    }
}
