//! Pictures from the source onto both lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::RawPicture;
use crate::core::edge::Sender;
use crate::core::picture::Frame;
use crate::core::time::Pts;
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

/// Gives every picture its place and sends it down the fast lane (where there is one), then the
/// slow lane. Ends with the source, on `stop`, or when a lane has ended.
pub fn feed_pictures(
    pictures: impl Iterator<Item = RawPicture>,
    mut timeline: Timeline,
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
    stop: &AtomicBool,
) -> Fed {
    let mut fed = Fed::default();
    for raw in pictures {
        if stop.load(Ordering::Relaxed) {
            fed.stopped = true;
            break;
        }
        let id = timeline.advance_to(raw.pts);
        let frame = Frame { id, span: raw.span, picture: raw.picture };
        let shared = Frame { id, span: raw.span, picture: Arc::clone(&frame.picture) };
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
