//! What happens to a live stream, for whoever writes it down.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::evidence::FrameEvidence;
use crate::stages::source::live::Loss;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happened<'a> {
    /// A frame's evidence is certain.
    Frame {
        /// The evidence.
        evidence: &'a FrameEvidence,
        /// When the frame was captured.
        utc: Timestamp,
    },
    /// The source is there.
    SourceBack {
        /// What its streams are stored as.
        codecs: &'a str,
        /// How long it was away; `None` the first time.
        away: Option<Duration>,
    },
    /// The source is lost.
    SourceAway {
        /// Why.
        loss: &'a Loss,
        /// When it is tried again.
        wait: Duration,
    },
    /// The load's level has changed.
    Load {
        /// The new level.
        level: u8,
    },
}

/// Someone who hears what happens. Must not wait.
pub trait Hears: Send + Sync {
    /// Hears it.
    fn hear(&self, happened: Happened<'_>);
}
