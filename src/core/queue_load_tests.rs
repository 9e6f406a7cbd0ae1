//! Queues with many threads at both ends: nothing is lost, and every reading of the counts adds up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::super::meter::QueueCounts;
use super::*;

/// An item of its own sender, number and size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parcel {
    sender: usize,
    number: u64,
    bytes: usize,
}

impl ByteSize for Parcel {
    fn byte_size(&self) -> usize {
        self.bytes
    }
}

fn cap(items: usize, bytes: usize) -> Capacity {
    Capacity { items, bytes }
}

#[test]
fn many_senders_lose_nothing_and_keep_their_order() {
    let (tx, rx) = bounded("a→b", cap(4, 40), Overflow::Block);
    let meter = rx.meter();
    let mut got = vec![Vec::new(); 4];
    thread::scope(|s| {
        for sender in 0..4 {
            let tx = tx.clone();
            s.spawn(move || {
                for number in 0..2000_u64 {
                    let bytes = (number * 7 % 23) as usize;
                    tx.send(Parcel { sender, number, bytes }).expect("sent");
                }
            });
        }
        drop(tx);
        for p in rx {
            got[p.sender].push(p.number);
        }
    });
    assert!(got.iter().all(|g| g.iter().copied().eq(0..2000)));
    let c = meter.read();
    assert_eq!((c.sent, c.received, c.queued_items), (8000, 8000, 0));
    assert!(c.peak_items <= 4 && c.peak_bytes <= 40 && c.is_conserved());
}

/// Senders and receivers that share a queue all at once, while a fourth thread reads the counts.
fn crowd(capacity: Capacity, overflow: Overflow) -> (QueueCounts, Vec<Parcel>) {
    const EACH: u64 = 3_000;
    let (tx, rx) = bounded("a→b", capacity, overflow);
    let (meter, rx, done) = (tx.meter(), Arc::new(rx), AtomicBool::new(false));
    let mut got = Vec::new();
    thread::scope(|s| {
        for sender in 0..2 {
            let tx = tx.clone();
            s.spawn(move || {
                for number in 0..EACH {
                    let bytes = (number * 7 % 23) as usize;
                    tx.send(Parcel { sender, number, bytes }).expect("sent");
                }
            });
        }
        drop(tx);
        let workers = [0, 1].map(|_| {
            let rx = Arc::clone(&rx);
            s.spawn(move || std::iter::from_fn(|| rx.recv()).collect::<Vec<_>>())
        });
        s.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let c = meter.read();
                assert!(c.is_conserved(), "{c:?}");
                // What a worker is just receiving is counted, too.
                assert!(c.queued_items <= capacity.items.saturating_add(2), "{c:?}");
                thread::yield_now();
            }
        });
        for worker in workers {
            got.push(worker.join().expect("no panic"));
        }
        done.store(true, Ordering::Relaxed);
    });
    let in_order = |of: &[Parcel], sender| {
        of.iter().filter(|p| p.sender == sender).map(|p| p.number).is_sorted_by(|a, b| a < b)
    };
    assert!(got.iter().all(|of| in_order(of, 0) && in_order(of, 1)));
    let counts = meter.read();
    assert_eq!((counts.sent, counts.queued_items, counts.queued_bytes), (2 * EACH, 0, 0));
    (counts, got.concat())
}

#[test]
fn workers_share_a_queue_and_get_every_item_once() {
    for capacity in [cap(3, 40), cap(500, 40), cap(usize::MAX, 40)] {
        let (counts, mut got) = crowd(capacity, Overflow::Block);
        got.sort_by_key(|p| (p.sender, p.number));
        got.dedup();
        assert_eq!((counts.received, counts.dropped, got.len()), (6_000, 0, 6_000));
        assert!(counts.peak_items <= capacity.items && counts.peak_bytes <= 40, "{counts:?}");
    }
}

#[test]
fn what_live_senders_drop_is_counted_while_workers_receive() {
    for capacity in [cap(1, usize::MAX), cap(3, 40), cap(usize::MAX, 40)] {
        let (counts, mut got) = crowd(capacity, Overflow::DropOldest);
        got.sort_by_key(|p| (p.sender, p.number));
        got.dedup();
        assert_eq!(counts.received, got.len() as u64);
        assert_eq!(counts.received + counts.dropped, counts.sent);
        assert_eq!(counts.send_wait.waits, 0, "nobody waits");
    }
}

#[test]
fn nothing_is_lost_when_the_receiver_goes_amid_sending() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        for taken in [0, 1, 2, 5, 20] {
            let (tx, rx) = bounded("a→b", cap(3, 40), overflow);
            let meter = tx.meter();
            let sent: u64 = thread::scope(|s| {
                let sending = [0, 1].map(|sender| {
                    let tx = tx.clone();
                    let all = (0..).map(move |number| Parcel { sender, number, bytes: 9 });
                    s.spawn(move || all.map_while(|p| tx.send(p).ok()).count() as u64)
                });
                for _ in 0..taken {
                    rx.recv().expect("senders are there");
                }
                drop(rx);
                sending.map(|s| s.join().expect("no panic")).iter().sum()
            });
            let c = meter.read();
            assert_eq!((c.sent, c.received, c.queued_items, c.queued_bytes), (sent, taken, 0, 0));
            assert!(c.is_conserved(), "{c:?}");
        }
    }
}
