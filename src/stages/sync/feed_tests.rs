//! Feeding frames: the limit of frames in flight holds, and no wait outlives its reason.

use std::thread;
use std::time::{Duration, Instant};

use super::super::timeline::JumpPolicy;
use super::*;
use crate::core::evidence::FrameEvidence;
use crate::core::frame::GreyImage;
use crate::core::queue::{Capacity, Overflow, Receiver, bounded};

const FRAMES: u64 = 12;
const IN_FLIGHT: usize = 3;

fn frames() -> impl Iterator<Item = RawFrame> {
    (0..FRAMES).map(|n| RawFrame {
        pts: Some(Pts::from_ns(i64::try_from(n).expect("few") * 40_000_000)),
        duration: None,
        image: Arc::new(GreyImage::new(8, 0)),
        damaged: n % 4 == 1,
    })
}

fn until(what: impl Fn() -> bool) {
    let since = Instant::now();
    while !what() {
        assert!(since.elapsed() < Duration::from_secs(10), "it never happened");
        thread::yield_now();
    }
}

/// Feeds [`FRAMES`] frames while `consume` has the receivers of both paths, and `stop`.
fn feed(
    progress: &Progress,
    consume: impl FnOnce(Receiver<Frame>, Receiver<Frame>, &AtomicBool),
) -> SourceCounts {
    let unlimited = Capacity { items: usize::MAX, bytes: usize::MAX };
    let (fast, fast_out) = bounded("source→overlay", unlimited, Overflow::Block);
    let (slow, slow_out) = bounded("source→detect", unlimited, Overflow::Block);
    let (timeline, stop) = (Timeline::new(JumpPolicy::default(), None), AtomicBool::new(false));
    let limit = InFlightLimit { frames: IN_FLIGHT, duration: Span::from_ms(1), progress };
    thread::scope(|scope| {
        let feeding =
            scope.spawn(|| feed_frames(frames(), timeline, Some(fast), slow, Some(limit), &stop));
        consume(fast_out, slow_out, &stop);
        feeding.join().expect("no panic")
    })
}

#[test]
fn frames_in_flight_wait_for_those_that_are_written() {
    let progress = Progress::default();
    let counts = feed(&progress, |fast, slow, _| {
        let sent = fast.meter();
        for written in 0..FRAMES {
            let most = FRAMES.min(written + IN_FLIGHT as u64);
            until(|| sent.read().sent == most);
            thread::sleep(Duration::from_millis(1));
            assert_eq!(sent.read().sent, most, "no more than {IN_FLIGHT} frames in flight");
            let frame = fast.recv().expect("a frame").id;
            progress.count_frame(&FrameEvidence { frame, faces: Vec::new(), floor: None });
        }
        assert_eq!(slow.count() as u64, FRAMES);
    });
    assert_eq!((counts.frames, counts.damaged, counts.stopped), (FRAMES, 3, false));
}

#[test]
fn a_stop_ends_the_wait() {
    let counts = feed(&Progress::default(), |fast, _slow, stop| {
        until(|| fast.meter().read().sent == IN_FLIGHT as u64);
        stop.store(true, Ordering::Relaxed);
        // Until the feeder has ended. A frame that waited already is sent, too.
        assert!(fast.count() <= IN_FLIGHT + 1);
    });
    assert!(counts.stopped);
}

#[test]
fn a_path_that_ends_ends_the_wait() {
    for fast_ends in [true, false] {
        let counts = feed(&Progress::default(), |fast, slow, _| {
            until(|| fast.meter().read().sent == IN_FLIGHT as u64);
            let (gone, _still_there) = if fast_ends { (fast, slow) } else { (slow, fast) };
            drop(gone);
            // The other path stays open until the feeder has ended.
            thread::sleep(Duration::from_millis(300));
        });
        assert_eq!(counts.frames, IN_FLIGHT as u64);
    }
}
