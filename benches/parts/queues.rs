//! Queues between threads: a thousand items a call. docs/decisions/0004-queues.md compares them.

use std::time::Instant;

use divan::Bencher;
use divan::counter::ItemsCount;
use locutor::core::notify::{Notify, wait_any};
use locutor::core::queue::{ByteSize, Capacity, NoItem, Overflow, bounded};

const ITEMS: usize = 1_000;
const CAPACITY: Capacity = Capacity { items: 8, bytes: 1 << 20 };

struct Item(usize);

impl ByteSize for Item {
    fn byte_size(&self) -> usize {
        size_of::<Self>()
    }
}

/// Send and receive on one thread: no thread waits or is woken.
#[divan::bench(max_time = 1)]
fn queue_one_thread(bencher: Bencher<'_, '_>) {
    let (sender, receiver) = bounded("bench", CAPACITY, Overflow::Block);
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        for item in 0..ITEMS {
            let sent = sender.send(Item(item));
            assert!(sent.is_ok() && receiver.recv().is_some_and(|got| got.0 == item));
        }
    });
}

/// From one thread to another that has nothing else to do, both waiting for each other.
#[divan::bench(max_time = 1)]
fn queue_two_threads(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        let (sender, receiver) = bounded::<Item>("bench", CAPACITY, Overflow::Block);
        let received = std::thread::Builder::new().name("bench".into()).spawn(move || {
            let mut sum = 0;
            while let Some(item) = receiver.recv() {
                sum += item.0;
            }
            sum
        });
        for item in 0..ITEMS {
            assert!(sender.send(Item(item)).is_ok());
        }
        drop(sender);
        let sum = received.expect("a thread").join().expect("no panic");
        assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
    });
}

/// Into a full queue that drops its oldest item each time.
#[divan::bench(max_time = 1)]
fn queue_drop_oldest(bencher: Bencher<'_, '_>) {
    let (sender, _receiver) = bounded("bench", CAPACITY, Overflow::DropOldest);
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        for item in 0..ITEMS {
            assert!(sender.send(Item(item)).is_ok());
        }
    });
}

/// Looking into an empty queue.
#[divan::bench(max_time = 1)]
fn queue_try_recv_empty(bencher: Bencher<'_, '_>) {
    let (_sender, receiver) = bounded::<Item>("bench", CAPACITY, Overflow::Block);
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        for _ in 0..ITEMS {
            assert_eq!(receiver.try_recv().err(), Some(NoItem::Empty));
        }
    });
}

/// Waiting for four queues and a notification of which one is ready, as the live presenter does.
#[divan::bench(max_time = 1)]
fn queue_wait_any(bencher: Bencher<'_, '_>) {
    let queues = [(); 4].map(|()| bounded::<Item>("bench", CAPACITY, Overflow::Block));
    let [(sender, a), (_b_sender, b), (_c_sender, c), (_d_sender, d)] = queues;
    let stop = Notify::default();
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        for item in 0..ITEMS {
            assert!(sender.send(Item(item)).is_ok());
            let ready = wait_any(&[&a, &b, &c, &d, &stop], Some(Instant::now()));
            assert!(ready == Some(0) && a.try_recv().is_ok());
        }
    });
}
