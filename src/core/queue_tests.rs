//! Queues: bounds and counts to the last byte, waiting and ending, and all of it against a model.
//! With many threads: `queue_load_tests.rs`.

use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::super::meter::QueueCounts;
use super::*;

/// An item of its own number and size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parcel {
    number: u64,
    bytes: usize,
}

impl ByteSize for Parcel {
    fn byte_size(&self) -> usize {
        self.bytes
    }
}

fn parcel(number: u64, bytes: usize) -> Parcel {
    Parcel { number, bytes }
}

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
fn an_unlimited_queue_holds_what_is_sent() {
    let (tx, rx) = bounded("a→b", cap(usize::MAX, usize::MAX), Overflow::Block);
    for n in 0..5_000 {
        tx.try_send(parcel(n, 1 << 20)).expect("there is always room");
    }
    assert_eq!(rx.meter().read().queued_bytes, 5_000 << 20);
    assert!(numbers(&rx).into_iter().eq(0..5_000));
    // Bounded by bytes alone.
    let (tx, _rx) = bounded("a→b", cap(usize::MAX, 1_000), Overflow::Block);
    assert_eq!((0..5_000).take_while(|&n| tx.try_send(parcel(n, 1)).is_ok()).count(), 1_000);
}

#[test]
fn the_oldest_make_room_and_are_counted() {
    let (tx, rx) = bounded("a→b", cap(4, 100), Overflow::DropOldest);
    for n in 0..4 {
        tx.send(parcel(n, 30)).expect("sent"); // the fourth would make 120 bytes
    }
    assert_eq!(rx.meter().read().dropped, 1);
    tx.send(parcel(4, 95)).expect("sent");
    let c = tx.meter().read();
    assert_eq!((c.sent, c.dropped, c.queued_items, c.queued_bytes), (5, 4, 1, 95));
    assert!(c.is_conserved());
    assert_eq!(numbers(&rx), [4]);
}

#[test]
fn a_waiting_sender_goes_on_when_there_is_enough_room() {
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
fn one_large_item_less_lets_all_small_ones_in() {
    let (tx, rx) = bounded("a→b", cap(10, 100), Overflow::Block);
    let meter = tx.meter();
    thread::scope(|s| {
        tx.send(parcel(0, 100)).expect("sent");
        for n in 1..4 {
            let tx = &tx;
            s.spawn(move || tx.send(parcel(n, 30)).expect("sent"));
        }
        until(|| meter.read().senders_waiting == 3);
        assert_eq!(rx.recv(), Some(parcel(0, 100)));
        until(|| meter.read().queued_bytes == 90);
    });
}

#[test]
fn waiting_senders_are_woken_when_the_receiver_goes() {
    // The first finds no room for an item, the second none for its bytes.
    for capacity in [cap(1, 100), cap(10, 1)] {
        let (tx, rx) = bounded("a→b", capacity, Overflow::Block);
        let meter = tx.meter();
        thread::scope(|s| {
            tx.send(parcel(0, 1)).expect("sent");
            let late: Vec<_> = (1..3)
                .map(|n| {
                    s.spawn({
                        let tx = tx.clone();
                        move || tx.send(parcel(n, 1))
                    })
                })
                .collect();
            until(|| meter.read().senders_waiting == 2);
            assert!(!tx.is_closed());
            drop(rx);
            for (n, late) in (1..).zip(late) {
                assert_eq!(late.join().expect("no panic"), Err(SendError(parcel(n, 1))));
            }
        });
        let c = meter.read();
        assert_eq!((c.sent, c.abandoned, c.queued_items, c.queued_bytes), (1, 1, 0, 0));
        assert!(c.is_conserved() && tx.is_closed());
        assert_eq!(tx.try_send(parcel(2, 1)), Err(TrySendError::Closed(parcel(2, 1))));
        drop(tx);
        assert_eq!(meter.read(), c, "a meter outlives both ends");
    }
}

#[test]
fn what_is_queued_is_dropped_with_the_receiver() {
    struct Held(Arc<()>);
    impl ByteSize for Held {
        fn byte_size(&self) -> usize {
            1
        }
    }
    let there = Arc::new(());
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let (tx, rx) = bounded("a→b", cap(4, 100), overflow);
        for _ in 0..3 {
            assert!(tx.send(Held(Arc::clone(&there))).is_ok());
        }
        drop(rx);
        assert_eq!(Arc::strong_count(&there), 1, "although the sender is still there");
        let returned = tx.send(Held(Arc::clone(&there))).expect_err("nobody receives");
        assert!(Arc::ptr_eq(&returned.0.0, &there));
    }
}

#[test]
fn the_receiver_gets_everything_and_then_the_end() {
    let (tx, rx) = bounded("a→b", cap(10, 100), Overflow::Block);
    let second = tx.clone();
    assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(NoItem::Empty));
    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(NoItem::Empty));
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
    assert_eq!(rx.recv_timeout(Duration::MAX), Err(NoItem::Ended));
    assert!(rx.meter().read().receive_wait.waits >= 1);
}

/// The queue as it should be, for one thread.
struct Model {
    capacity: Capacity,
    overflow: Overflow,
    queue: VecDeque<Parcel>,
    counts: QueueCounts,
}

impl Model {
    fn bytes(&self) -> usize {
        self.queue.iter().map(|p| p.bytes).sum()
    }

    fn has_room(&self, bytes: usize) -> bool {
        let alone = self.queue.is_empty();
        alone
            || self.queue.len() < self.capacity.items && self.bytes() + bytes <= self.capacity.bytes
    }

    /// Whether `parcel` is taken without waiting.
    fn send(&mut self, parcel: Parcel) -> bool {
        while !self.has_room(parcel.bytes) {
            if self.overflow == Overflow::Block {
                return false;
            }
            self.queue.pop_front();
            self.counts.dropped += 1;
        }
        self.queue.push_back(parcel);
        self.counts.sent += 1;
        self.counts.peak_items = self.counts.peak_items.max(self.queue.len());
        self.counts.peak_bytes = self.counts.peak_bytes.max(self.bytes());
        true
    }

    fn receive(&mut self) -> Option<Parcel> {
        let first = self.queue.pop_front();
        self.counts.received += u64::from(first.is_some());
        first
    }

    fn read(&self) -> QueueCounts {
        let (queued_items, queued_bytes) = (self.queue.len(), self.bytes());
        QueueCounts { queued_items, queued_bytes, ..self.counts }
    }
}

proptest! {
    #[test]
    fn a_queue_does_what_its_model_does(
        items in prop_oneof![1..6_usize, 250..260_usize, Just(usize::MAX)],
        bytes in prop_oneof![0..200_usize, Just(usize::MAX / 2)],
        drops in any::<bool>(),
        steps in prop::collection::vec(prop::option::weighted(0.6, 0..150_usize), 1..400),
    ) {
        let overflow = if drops { Overflow::DropOldest } else { Overflow::Block };
        let (tx, rx) = bounded("a→b", cap(items, bytes), overflow);
        let (meter, counts) = (tx.meter(), QueueCounts::default());
        let mut model = Model { capacity: cap(items, bytes), overflow, queue: VecDeque::new(), counts };
        for (number, step) in (0..).zip(&steps) {
            match *step {
                Some(bytes) => {
                    let expected = model.send(parcel(number, bytes));
                    let sent = tx.try_send(parcel(number, bytes));
                    let full = Err(TrySendError::Full(parcel(number, bytes)));
                    prop_assert_eq!(sent, if expected { Ok(()) } else { full });
                }
                None => prop_assert_eq!(rx.try_recv().ok(), model.receive()),
            }
            prop_assert_eq!(meter.read(), model.read());
            prop_assert!(meter.read().is_conserved());
        }
        let left = meter.read();
        drop(rx);
        let abandoned = left.queued_items as u64;
        prop_assert_eq!(
            meter.read(),
            QueueCounts { abandoned, queued_items: 0, queued_bytes: 0, ..left }
        );
    }
}
