//! The arithmetic of edges, exactly; then what it promises under load and at the end.

use std::thread;

use proptest::prelude::*;

use super::*;

/// An item of a key and a size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parcel {
    number: u64,
    key: u64,
    bytes: usize,
}

impl ByteSize for Parcel {
    fn byte_size(&self) -> usize {
        self.bytes
    }
}

fn parcel(number: u64, bytes: usize) -> Parcel {
    Parcel { number, key: number % 3, bytes }
}

const KEY: Overflow<Parcel> = Overflow::ReplaceSame(|p| p.key);

fn cap(items: usize, bytes: usize) -> Capacity {
    Capacity { items, bytes }
}

fn numbers(rx: &Receiver<Parcel>) -> Vec<u64> {
    std::iter::from_fn(|| rx.try_recv().ok()).map(|p| p.number).collect()
}

fn until(what: impl Fn() -> bool) {
    let since = Instant::now();
    while !what() {
        assert!(since.elapsed() < Duration::from_secs(10), "it never happened");
        thread::yield_now();
    }
}

#[test]
fn bytes_are_counted_to_the_last_one() {
    let (tx, rx) = bounded("a→b", cap(10, 100), Overflow::Block);
    let meter = tx.meter();
    tx.try_send(parcel(0, 60)).expect("60 of 100");
    tx.try_send(parcel(1, 40)).expect("100 of 100");
    let empty = tx.try_send(parcel(2, 0));
    assert!(empty.is_ok(), "nothing more than nothing fits");
    assert_eq!(tx.try_send(parcel(3, 1)), Err(TrySendError::Full(parcel(3, 1))));
    assert_eq!(rx.recv(), Some(parcel(0, 60)));
    assert_eq!(tx.try_send(parcel(4, 61)), Err(TrySendError::Full(parcel(4, 61))));
    tx.try_send(parcel(5, 60)).expect("100 of 100 again");
    let c = meter.read();
    assert_eq!((c.sent, c.received, c.queued_items, c.queued_bytes), (4, 1, 3, 100));
    assert_eq!((c.peak_items, c.peak_bytes, meter.name()), (3, 100, "a→b"));
    assert_eq!(numbers(&rx), [1, 2, 5]);
}

#[test]
fn items_are_counted_too_and_one_giant_passes_alone() {
    let (tx, rx) = bounded("a→b", cap(2, 100), Overflow::Block);
    tx.try_send(parcel(0, 1000)).expect("alone");
    assert!(
        tx.try_send(parcel(1, 0)).is_err(),
        "beside the giant there is no room, even for nothing"
    );
    rx.recv().expect("the giant");
    tx.try_send(parcel(2, 1)).expect("one");
    tx.try_send(parcel(3, 1)).expect("two");
    assert!(tx.try_send(parcel(4, 1)).is_err(), "two items are all");
    let (tx, _rx) = bounded("a→b", cap(0, 0), Overflow::Block);
    tx.try_send(parcel(5, 1)).expect("no capacity at all still passes one by one");
    assert!(tx.try_send(parcel(6, 0)).is_err());
}

#[test]
fn the_oldest_make_room_and_are_counted() {
    let (tx, rx) = bounded("a→b", cap(4, 100), Overflow::DropOldest);
    for n in 0..4 {
        tx.send(parcel(n, 30)).expect("sent"); // the fourth would make 120 bytes
    }
    assert_eq!(rx.0.lock().counts.dropped, 1);
    tx.send(parcel(4, 95)).expect("sent");
    let c = tx.meter().read();
    assert_eq!((c.sent, c.dropped, c.queued_items, c.queued_bytes), (5, 4, 1, 95));
    assert!(c.is_conserved());
    assert_eq!(numbers(&rx), [4]);
}

#[test]
fn the_same_key_makes_room_first() {
    let (tx, rx) = bounded("a→b", cap(4, 1000), KEY);
    for n in [0, 1, 2, 4] {
        tx.send(parcel(n, 1)).expect("sent"); // keys 0 1 2 1
    }
    tx.send(parcel(7, 1)).expect("sent"); // key 1: takes the place of 1, not of 0
    tx.send(Parcel { key: 9, ..parcel(8, 1) }).expect("sent"); // no such key: 0 goes
    let c = tx.meter().read();
    assert_eq!((c.replaced, c.dropped), (1, 1));
    assert_eq!(numbers(&rx), [2, 4, 7, 8]);
}

#[test]
fn who_waits_for_room_gets_it_when_there_is_enough() {
    let (tx, rx) = bounded("a→b", cap(10, 100), Overflow::Block);
    let meter = tx.meter();
    thread::scope(|s| {
        tx.send(parcel(0, 50)).expect("sent");
        tx.send(parcel(1, 50)).expect("sent");
        let late = s.spawn(|| tx.send(parcel(2, 80)));
        until(|| meter.read().senders_waiting == 1);
        assert_eq!(rx.recv(), Some(parcel(0, 50)));
        // 50 bytes are free, and 80 are wanted: still waiting.
        assert_eq!(meter.read().sent, 2);
        assert_eq!(rx.recv(), Some(parcel(1, 50)));
        assert_eq!(rx.recv(), Some(parcel(2, 80)));
        late.join().expect("no panic").expect("sent");
    });
    let c = meter.read();
    assert_eq!((c.send_wait.waits, c.senders_waiting), (1, 0));
    assert!(c.send_wait.total > Duration::ZERO && c.send_wait.longest == c.send_wait.total);
}

#[test]
fn a_waiting_sender_is_woken_when_the_receiver_goes() {
    let (tx, rx) = bounded("a→b", cap(1, 100), Overflow::Block);
    let meter = tx.meter();
    thread::scope(|s| {
        tx.send(parcel(0, 1)).expect("sent");
        let late = s.spawn(|| tx.send(parcel(1, 1)));
        until(|| meter.read().senders_waiting == 1);
        drop(rx);
        assert_eq!(late.join().expect("no panic"), Err(SendError(parcel(1, 1))));
    });
    let c = meter.read();
    assert_eq!((c.sent, c.abandoned, c.queued_bytes), (1, 1, 0));
    assert!(c.is_conserved());
    assert_eq!(tx.try_send(parcel(2, 1)), Err(TrySendError::Closed(parcel(2, 1))));
}

#[test]
fn the_receiver_gets_everything_and_then_the_end() {
    let (tx, rx) = bounded("a→b", cap(10, 100), Overflow::Block);
    let second = tx.clone();
    assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(NoItem::Empty));
    tx.send(parcel(0, 1)).expect("sent");
    drop(tx);
    assert_eq!(rx.recv(), Some(parcel(0, 1)));
    assert_eq!(rx.try_recv(), Err(NoItem::Empty), "one sender is left");
    thread::scope(|s| {
        let waiting = s.spawn(|| rx.recv());
        thread::sleep(Duration::from_millis(5));
        drop(second);
        assert_eq!(waiting.join().expect("no panic"), None);
    });
    assert_eq!(rx.try_recv(), Err(NoItem::Ended));
    assert!(rx.meter().read().receive_wait.waits >= 1);
}

#[test]
fn many_senders_lose_nothing_and_keep_their_order() {
    let (tx, rx) = bounded("a→b", cap(4, 40), Overflow::Block);
    let meter = rx.meter();
    let mut got = vec![Vec::new(); 4];
    thread::scope(|s| {
        for key in 0..4 {
            let tx = tx.clone();
            s.spawn(move || {
                for number in 0..2000_u64 {
                    let bytes = (number * 7 % 23) as usize;
                    tx.send(Parcel { number, key, bytes }).expect("sent");
                }
            });
        }
        drop(tx);
        for p in rx {
            got[p.key as usize].push(p.number);
        }
    });
    assert!(got.iter().all(|g| g.iter().copied().eq(0..2000)));
    let c = meter.read();
    assert_eq!((c.sent, c.received, c.queued_items), (8000, 8000, 0));
    assert!(c.peak_items <= 4 && c.peak_bytes <= 40 && c.is_conserved());
}

proptest! {
    #[test]
    fn the_law_and_the_bounds_hold_at_every_step(
        items in 1..6_usize,
        bytes in 0..200_usize,
        policy in 0..3_usize,
        steps in prop::collection::vec(prop::option::of((0..4_u64, 0..150_usize)), 1..200),
    ) {
        let overflow = [Overflow::Block, Overflow::DropOldest, KEY][policy];
        let (tx, rx) = bounded("a→b", cap(items, bytes), overflow);
        let (meter, mut last) = (tx.meter(), None);
        let (mut taken, mut got) = (0, 0);
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Some((key, bytes)) => {
                    let sent = tx.try_send(Parcel { number: number as u64, key, bytes });
                    prop_assert!(policy == 0 || sent.is_ok(), "who may not wait is always taken");
                    taken += u64::from(sent.is_ok());
                }
                None => if let Ok(p) = rx.try_recv() {
                    prop_assert!(last.is_none_or(|l| l < p.number), "in order");
                    last = Some(p.number);
                    got += 1;
                }
            }
            let c = meter.read();
            prop_assert!(c.is_conserved());
            prop_assert_eq!((c.sent, c.received), (taken, got));
            prop_assert!(c.queued_items <= items);
            prop_assert!(c.queued_bytes <= bytes || c.queued_items == 1);
            prop_assert!(policy != 0 || c.dropped + c.replaced == 0);
        }
        drop(rx);
        prop_assert!(meter.read().is_conserved() && meter.read().queued_bytes == 0);
    }
}

#[test]
fn a_bell_wakes_the_receiver_once_and_keeps_no_edge_open() {
    let (tx, rx) = bounded("a→b", cap(4, usize::MAX), Overflow::Block);
    let notify = rx.notify();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            notify.notify();
        });
        assert!(matches!(rx.recv_or_notified(), Err(NoItem::Empty)), "woken with nothing to take");
    });
    // Rung while nobody waits: the next wait ends at once, with an item where there is one.
    notify.notify();
    assert!(matches!(rx.recv_or_notified(), Err(NoItem::Empty)));
    notify.notify();
    tx.send(parcel(1, 1)).expect("there is room");
    assert_eq!(rx.recv_or_notified().map(|p| p.number), Ok(1));
    // Others do not heed it.
    notify.notify();
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)).err(), Some(NoItem::Empty));
    drop(tx);
    assert_eq!(rx.recv_or_notified().err(), Some(NoItem::Ended));
    notify.notify();
    assert_eq!(rx.recv_or_notified().err(), Some(NoItem::Ended));
}
