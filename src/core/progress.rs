//! How far a run has come: written by the last stage, read by the display, and waited for by the
//! stage that feeds frames.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::evidence::FrameEvidence;
use super::signal::Signal;

/// How often a wait reads what cannot notify: a stop flag that a signal handler sets, a closed queue.
const FLAG_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of a run.
#[derive(Debug, Default)]
pub struct Progress {
    /// Frames written.
    pub frames: AtomicU64,
    /// Time of the last frame, in nanoseconds.
    pub pts_ns: AtomicI64,
    /// The highest person number so far.
    pub people: AtomicU64,
    /// Whether this is the second pass, which draws the scores.
    pub drawing: AtomicBool,
    /// Notified after every frame.
    changed: Signal,
}

impl Progress {
    /// Counts a frame as written, and wakes those that wait.
    pub fn count_frame(&self, evidence: &FrameEvidence) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.pts_ns.store(evidence.frame.pts.ns(), Ordering::Relaxed);
        let newest = evidence.faces.iter().map(|f| u64::from(f.track.0)).max().unwrap_or(0);
        self.people.fetch_max(newest, Ordering::Relaxed);
        self.changed.notify();
    }

    /// Waits until `is_enough`. It is called at once, after every frame, and ten times a second, so
    /// that it can read flags that do not notify.
    pub fn wait_until(&self, is_enough: impl Fn(&Self) -> bool) {
        loop {
            let seen = self.changed.seen();
            if is_enough(self) {
                return;
            }
            self.changed.wait(seen, FLAG_INTERVAL);
        }
    }
}
