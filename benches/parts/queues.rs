//! Queues between threads: a thousand items a call.

use divan::Bencher;
use divan::counter::ItemsCount;
use locutor::core::queue::{ByteSize, Capacity, Overflow, bounded};

const ITEMS: usize = 1_000;
const CAPACITY: Capacity = Capacity { items: 8, bytes: 1 << 20 };

struct Item(usize);

impl ByteSize for Item {
    fn byte_size(&self) -> usize {
        size_of::<Self>()
    }
}

/// Send and receive on one thread: the lock alone.
#[divan::bench(max_time = 1)]
fn edge_one_thread(bencher: Bencher<'_, '_>) {
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
fn edge_two_threads(bencher: Bencher<'_, '_>) {
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
