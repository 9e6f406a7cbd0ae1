//! Frames from the source onto both lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::RawFrame;
use crate::core::frame::Frame;
use crate::core::queue::Sender;
use crate::core::time::{Pts, Span};
use crate::stages::sink::stage::Progress;
use crate::stages::sync::timeline::{Timeline, TimelineCounts};

/// What the source gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fed {
    /// Frames handed on.
    pub frames: u64,
    /// Frames that the decoder called damaged.
    pub damaged: u64,
    /// What had to be done to their times.
    pub timeline: TimelineCounts,
    /// The time of the last frame.
    pub last_pts: Option<Pts>,
    /// Whether it ended because it was told to.
    pub stopped: bool,
}

/// How much may be on the fast lane: so many frames, or so much media time where that is more.
pub struct Hold<'a> {
    /// Frames.
    pub frames: usize,
    /// Media time.
    pub span: Span,
    /// What has left the lane.
    pub progress: &'a Progress,
}

/// How often a full lane is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(8);

impl Hold<'_> {
    /// Waits until the frame at `pts`, before which `fed` frames went, has room.
    fn wait(&self, fed: u64, pts: Pts, stop: &AtomicBool) {
        let full = || {
            let left = self.progress.frames.load(Ordering::Relaxed);
            let at = Pts::from_ns(self.progress.pts_ns.load(Ordering::Relaxed));
            let frames = usize::try_from(fed.saturating_sub(left)).unwrap_or(usize::MAX);
            frames >= self.frames && (left == 0 || (pts - at).abs() >= self.span)
        };
        while full() && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Gives every frame its place and sends it down the fast lane (where there is one), then the
/// slow lane. Ends with the source, on `stop`, or when a lane has ended.
pub fn feed_frames(
    frames: impl Iterator<Item = RawFrame>,
    mut timeline: Timeline,
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
    hold: Option<Hold<'_>>,
    stop: &AtomicBool,
) -> Fed {
    let mut fed = Fed::default();
    for raw in frames {
        if stop.load(Ordering::Relaxed) {
            fed.stopped = true;
            break;
        }
        let id = timeline.advance_to(raw.pts);
        if let Some(hold) = &hold {
            hold.wait(fed.frames, id.pts, stop);
        }
        let frame = Frame { id, span: raw.span, image: raw.image };
        let shared = Frame { id, span: raw.span, image: Arc::clone(&frame.image) };
        let kept = fast.as_ref().is_none_or(|lane| lane.send(shared).is_ok());
        if !kept || slow.send(frame).is_err() {
            break;
        }
        fed.frames += 1;
        fed.last_pts = Some(id.pts);
        fed.damaged += u64::from(raw.damaged);
    }
    fed.timeline = timeline.counts();
    fed
}
