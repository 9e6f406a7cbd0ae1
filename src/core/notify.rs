//! Waiting for the first of several things: queues, and notifications that carry no item.
//!
//! A stage that waits for its inputs while other work is under way must not sleep when that work is
//! done. The work's thread calls [`Notify::notify`]; the stage waits for all of it in [`wait_any`].

use std::fmt;
use std::time::Instant;

use crossbeam_channel as channel;
use crossbeam_channel::Select;

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
    /// Adds this to what `select` waits for.
    #[doc(hidden)]
    fn watch<'a>(&'a self, select: &mut Select<'a>);

    /// Counts a wait since `since` that has ended now.
    #[doc(hidden)]
    fn count_wait(&self, since: Instant) {
        let _ = since;
    }
}

impl Waitable for Notify {
    fn watch<'a>(&'a self, select: &mut Select<'a>) {
        select.recv(&self.receiver);
    }
}

impl<T> Waitable for Receiver<T> {
    fn watch<'a>(&'a self, select: &mut Select<'a>) {
        select.recv(&self.items);
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
/// Gives the place in `sources` of one that is ready, at random where several are, and `None` at the
/// deadline. It takes nothing out: after each wait, try every source. Leave out a queue that has said
/// [`NoItem::Ended`], or the next wait ends at once. Without sources and deadline there is
/// nothing to wait for: `None`.
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
    let mut select = Select::new();
    for source in sources {
        source.watch(&mut select);
    }
    if let Ok(ready) = select.try_ready() {
        return Some(ready);
    }
    let since = Instant::now();
    let ready = match deadline {
        Some(deadline) => select.ready_deadline(deadline).ok(),
        None if sources.is_empty() => None,
        None => Some(select.ready()),
    };
    for source in sources {
        source.count_wait(since);
    }
    ready
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
