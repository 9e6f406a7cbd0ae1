//! Sends frames from the source to the fast and the slow path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::timeline::{Timeline, TimelineCounts};
use crate::core::frame::Frame;
use crate::core::progress::Progress;
use crate::core::queue::Sender;
use crate::core::time::{Pts, Span};
use crate::stages::source::RawFrame;

/// What the source delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceCounts {
    /// Frames sent.
    pub frames: u64,
    /// Frames that the decoder marked as damaged.
    pub damaged: u64,
    /// Corrections to their times.
    pub timeline: TimelineCounts,
    /// The time of the last frame.
    pub last_pts: Option<Pts>,
    /// Whether it ended on request.
    pub stopped: bool,
}

/// How much may be in flight on the fast path: a number of frames, or a media time if that is more.
pub(crate) struct InFlightLimit<'a> {
    /// Frames.
    pub frames: usize,
    /// Media time.
    pub duration: Span,
    /// Frames that have left the fast path.
    pub progress: &'a Progress,
}

impl InFlightLimit<'_> {
    /// Waits until there is room for the frame at `pts`, after `sent_frames` frames, or until
    /// `is_over`.
    fn wait(&self, sent_frames: u64, pts: Pts, is_over: impl Fn() -> bool) {
        self.progress.wait_until(|progress| {
            let finished_frames = progress.frames.load(Ordering::Relaxed);
            let finished_pts = Pts::from_ns(progress.pts_ns.load(Ordering::Relaxed));
            let frames =
                usize::try_from(sent_frames.saturating_sub(finished_frames)).unwrap_or(usize::MAX);
            let is_full = frames >= self.frames
                && (finished_frames == 0 || (pts - finished_pts).abs() >= self.duration);
            !is_full || is_over()
        });
    }
}

/// Gives every frame its timeline position and sends it to the fast path (if any), then to the slow
/// path. Ends with the source, on `stop`, or when the receiver of a path has ended.
pub(crate) fn feed_frames(
    frames: impl Iterator<Item = RawFrame>,
    mut timeline: Timeline,
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
    in_flight_limit: Option<InFlightLimit<'_>>,
    stop: &AtomicBool,
) -> SourceCounts {
    let mut source_counts = SourceCounts::default();
    for raw in frames {
        if stop.load(Ordering::Relaxed) {
            source_counts.stopped = true;
            break;
        }
        let id = timeline.advance_to(raw.pts);
        if let Some(in_flight_limit) = &in_flight_limit {
            // A path that has ended never makes room again.
            let is_closed = || fast.as_ref().is_some_and(Sender::is_closed) || slow.is_closed();
            let is_over = || stop.load(Ordering::Relaxed) || is_closed();
            in_flight_limit.wait(source_counts.frames, id.pts, is_over);
        }
        let frame = Frame { id, duration: raw.duration, image: raw.image };
        let shared = Frame { id, duration: raw.duration, image: Arc::clone(&frame.image) };
        let fast_open = fast.as_ref().is_none_or(|queue| queue.send(shared).is_ok());
        if !fast_open || slow.send(frame).is_err() {
            break;
        }
        source_counts.frames += 1;
        source_counts.last_pts = Some(id.pts);
        source_counts.damaged += u64::from(raw.damaged);
    }
    source_counts.timeline = timeline.counts();
    source_counts
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
