//! Waiting for several things: the first one wakes, none is missed.

use std::thread;
use std::time::Duration;

use super::super::queue::{ByteSize, Capacity, Overflow, Sender, bounded};
use super::*;

#[derive(Debug, PartialEq, Eq)]
struct Number(u64);

impl ByteSize for Number {
    fn byte_size(&self) -> usize {
        size_of::<Self>()
    }
}

fn numbers() -> (Sender<Number>, Receiver<Number>) {
    bounded("a→b", Capacity { items: 4, bytes: usize::MAX }, Overflow::Block)
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(5))
}

#[test]
fn a_notification_wakes_the_receiver_once_and_keeps_no_queue_open() {
    let ((tx, rx), notify) = (numbers(), Notify::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            notify.notify();
        });
        assert_eq!(rx.recv_or_notified(&notify), Err(NoItem::Empty), "woken with nothing to take");
    });
    // While nobody waits: the next wait ends at once, with an item where there is one.
    notify.notify();
    notify.clone().notify();
    assert_eq!(rx.recv_or_notified(&notify), Err(NoItem::Empty));
    notify.notify();
    tx.send(Number(1)).expect("there is room");
    assert_eq!(rx.recv_or_notified(&notify), Ok(Number(1)));
    assert!(!notify.take(), "several notifications are one");
    // It wakes nobody else.
    notify.notify();
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(NoItem::Empty));
    drop(tx);
    assert_eq!(rx.recv_or_notified(&notify), Err(NoItem::Ended));
    notify.notify();
    assert_eq!(rx.recv_or_notified(&notify), Err(NoItem::Ended));
}

#[test]
fn an_item_wakes_who_waits_for_a_notification_too() {
    let ((tx, rx), notify) = (numbers(), Notify::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            tx.send(Number(1)).expect("there is room");
        });
        assert_eq!(rx.recv_or_notified(&notify), Ok(Number(1)));
    });
    assert_eq!(rx.meter().read().received, 1);
}

#[test]
fn the_first_of_several_things_wakes() {
    let ((tx, first), (_other, second)) = (numbers(), numbers());
    let stop = Notify::default();
    assert_eq!(wait_any(&[&first, &second, &stop], soon()), None);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            tx.send(Number(1)).expect("there is room");
        });
        assert_eq!(wait_any(&[&second, &stop, &first], None), Some(2));
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            stop.notify();
        });
        assert_eq!(wait_any(&[&second, &stop], None), Some(1));
    });
    assert!(stop.take() && !stop.take());
    // Waiting took nothing out, and counted for each queue.
    assert_eq!(first.try_recv(), Ok(Number(1)));
    assert!(second.meter().read().receive_wait.waits >= 1);
    assert_eq!(wait_any(&[&first, &second, &stop], Some(Instant::now())), None);
    drop(tx);
    assert_eq!(wait_any(&[&second, &first], None), Some(1), "an ended queue is ready");
    assert_eq!(wait_any(&[], None), None, "nothing to wait for");
}

#[test]
fn no_item_is_missed_while_waiting_for_several_queues() {
    const EACH: u64 = 2_000;
    let [(a_in, a), (b_in, b)] = [numbers(), numbers()];
    let ended = Notify::default();
    let mut got = [Vec::new(), Vec::new()];
    thread::scope(|scope| {
        for (tx, odd) in [(&a_in, 0), (&b_in, 1)] {
            scope.spawn(move || {
                for n in 0..EACH {
                    tx.send(Number(2 * n + odd)).expect("there is room");
                }
            });
        }
        while got.iter().any(|of| (of.len() as u64) < EACH) {
            let deadline = Instant::now() + Duration::from_secs(10);
            assert!(wait_any(&[&a, &b, &ended], Some(deadline)).is_some(), "an item was missed");
            for (rx, of) in [&a, &b].into_iter().zip(&mut got) {
                of.extend(std::iter::from_fn(|| rx.try_recv().ok()).map(|n| n.0));
            }
        }
    });
    assert!(got[0].iter().copied().eq((0..EACH).map(|n| 2 * n)));
    assert!(got[1].iter().copied().eq((0..EACH).map(|n| 2 * n + 1)));
}
