//! Faces from frame to frame: one second of 25 frames a call, looked at on every fifth.

use divan::Bencher;
use locutor::stages::track::{Policy, Tracker};

use crate::kit::{P1080, faces, frame};

/// Tracks made, carried and let go, by the number of faces.
#[divan::bench(args = [1, 8, 64], max_time = 1)]
fn track_second(bencher: Bencher<'_, '_>, count: usize) {
    let scenes: Vec<_> = (0..250).map(|n| faces(count, P1080, n)).collect();
    let (mut tracker, mut seq) = (Tracker::new(Policy::default()), 0);
    bencher.bench_local(|| {
        let mut shown = 0;
        for _ in 0..25 {
            let seen = (seq % 5 == 0).then(|| scenes[seq as usize % scenes.len()].as_slice());
            shown += tracker.push(frame(seq), seen, false).len();
            seq += 1;
        }
        shown
    });
}
