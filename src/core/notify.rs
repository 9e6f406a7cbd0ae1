//! Waiting for the first of several things: queues, and notifications that carry no item.
//!
//! A stage that waits for its inputs while other work is under way must not sleep when that work is
//! done. The work's thread calls [`Notify::notify`]; the stage waits for all of it in [`wait_any`].

use std::fmt;
use std::time::Instant;

use crossbeam_channel as channel;
use crossbeam_channel::{Select, SelectedOperation};

use super::queue::{self, NoItem, Receiver};

/// Wakes a waiting thread without an item. All clones are the same notification.
///
/// Notifications do not add up: several before the first [`Self::take`] are one. None is lost: where
/// nobody waits, the next wait ends at once.
#[derive(Clone)]
pub struct Notify {
    sender: channel::Sender<()>,
    receiver: channel::Receiver<()>,
}

impl Default for Notify {
    fn default() -> Self {
        let (sender, receiver) = queue::ring(1);
        Self { sender, receiver }
    }
}

impl Notify {
    /// Wakes the waiting thread; where none waits, the next wait ends at once.
    pub fn notify(&self) {
        // A full channel holds a notification already.
        let _ = self.sender.try_send(());
    }

    /// Takes the notification, if there is one; says whether there was.
    ///
    /// Take it before looking at what it is about: a change after that notifies again.
    pub fn take(&self) -> bool {
        self.receiver.try_recv().is_ok()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notify")
    }
}

/// What [`wait_any`] can wait for: the receiver of a queue, or a [`Notify`].
pub trait Waitable {
    /// Whether it is ready without a wait.
    #[doc(hidden)]
    fn is_ready(&self) -> bool;

    /// Adds this to what `select` waits for.
    #[doc(hidden)]
    fn watch<'a>(&'a self, select: &mut Select<'a>);

    /// Completes the wait that has found this to be ready, and keeps what came for who tries it.
    #[doc(hidden)]
    fn complete(&self, operation: SelectedOperation<'_>);

    /// Counts a wait since `since` that has ended now.
    #[doc(hidden)]
    fn count_wait(&self, since: Instant);
}

impl Waitable for Notify {
    fn is_ready(&self) -> bool {
        !self.receiver.is_empty()
    }

    fn watch<'a>(&'a self, select: &mut Select<'a>) {
        select.recv(&self.receiver);
    }

    fn complete(&self, operation: SelectedOperation<'_>) {
        let _ = operation.recv(&self.receiver);
        self.notify();
    }

    fn count_wait(&self, _: Instant) {}
}

impl<T> Waitable for Receiver<T> {
    fn is_ready(&self) -> bool {
        self.has_item()
    }

    fn watch<'a>(&'a self, select: &mut Select<'a>) {
        select.recv(&self.items);
    }

    fn complete(&self, operation: SelectedOperation<'_>) {
        Self::complete(self, operation);
    }

    fn count_wait(&self, since: Instant) {
        self.gate.count_wait(since.elapsed());
    }
}

impl<T> Receiver<T> {
    /// The next item or a notification, whichever comes first; waits for it. An item takes the
    /// notification with it: after each call, look at what it is about.
    ///
    /// # Errors
    /// Where there is no item: [`NoItem::Empty`] says that there was a notification.
    pub fn recv_or_notified(&self, notify: &Notify) -> Result<T, NoItem> {
        let notified = notify.take();
        match self.try_recv() {
            Err(NoItem::Empty) if !notified => {}
            other => return other,
        }
        let since = Instant::now();
        let received = channel::select! {
            recv(self.items) -> received => received.map_err(|_| NoItem::Ended),
            recv(notify.receiver) -> _ => Err(NoItem::Empty),
        };
        self.after_wait(since, received)
    }
}

/// Waits until one of `sources` is ready, or until `deadline`. A queue is ready when it has an item,
/// and for good when its senders are gone; a [`Notify`] is ready until it is taken.
///
/// Gives the place in `sources` of one that is ready, and `None` at the deadline. It receives nothing:
/// try every source after each wait. Leave out a queue that has said [`NoItem::Ended`], or the next wait
/// ends at once. Without sources and deadline there is nothing to wait for: `None`.
///
/// A presenter that waits for evidence, frames or a stop, but no longer than until a frame is due:
///
/// ```
/// use std::time::{Duration, Instant};
/// use locutor::core::notify::{Notify, wait_any};
/// use locutor::core::queue::{ByteSize, Capacity, Overflow, bounded};
///
/// #[derive(Debug)]
/// struct Number(u64);
/// impl ByteSize for Number {
///     fn byte_size(&self) -> usize {
///         size_of::<Self>()
///     }
/// }
///
/// let capacity = Capacity { items: 4, bytes: usize::MAX };
/// let (to_presenter, evidence) = bounded("score→present", capacity, Overflow::DropOldest);
/// let (_frames_in, frames) = bounded::<Number>("source→present", capacity, Overflow::DropOldest);
/// let stop = Notify::default();
/// let due = Instant::now() + Duration::from_millis(10);
///
/// to_presenter.send(Number(1))?;
/// assert_eq!(wait_any(&[&evidence, &frames, &stop], Some(due)), Some(0));
/// // After each wait, everything is tried.
/// assert!(evidence.try_recv().is_ok() && frames.try_recv().is_err() && !stop.take());
///
/// stop.notify();
/// assert_eq!(wait_any(&[&evidence, &frames, &stop], Some(due)), Some(2));
/// assert!(stop.take());
/// assert_eq!(wait_any(&[&evidence, &frames, &stop], Some(due)), None, "a frame is due");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_any(sources: &[&dyn Waitable], deadline: Option<Instant>) -> Option<usize> {
    if let Some(ready) = sources.iter().position(|source| source.is_ready()) {
        return Some(ready);
    }
    let mut select = Select::new();
    for source in sources {
        source.watch(&mut select);
    }
    let since = Instant::now();
    // To select takes something out, which `complete` keeps. `Select::ready` would not, but gives up
    // the processor before it sleeps, like the channel's `recv` (see `Receiver::wait`).
    let selected = match deadline {
        Some(deadline) => select.select_deadline(deadline).ok(),
        None if sources.is_empty() => None,
        None => Some(select.select()),
    };
    let ready = selected.map(|operation| {
        let ready = operation.index();
        sources[ready].complete(operation);
        ready
    });
    for source in sources {
        source.count_wait(since);
    }
    ready
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
