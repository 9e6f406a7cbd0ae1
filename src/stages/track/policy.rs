//! What the tracker is told: when a track is born, when it dies, how long a frame may be held.
//!
//! Every limit is in media time and, where time alone says nothing (one frame a second, a stuck
//! clock), in frames as well. The defaults fit faces in meetings at a detection every fifth frame.

use crate::core::time::{Rate, Span};

/// How boxes come about in the frames on which no detection ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BoxFill {
    /// Between the two detections around the frame, linearly by time. True boxes; frames are held
    /// until the second detection is known.
    #[default]
    Interpolate,
    /// Carried on from the last detection at constant velocity. Nothing is held.
    Extrapolate,
}

/// The tracker's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Policy {
    /// How frames between detections get their boxes.
    pub box_fill: BoxFill,
    /// A confirmed face that detection misses for no longer than this and then finds again is the
    /// same track. An unconfirmed one must be found a second time within it.
    pub max_missing: Span,
    /// A track also ends when no detection has run for longer than this, and for more frames than
    /// `max_detection_gap_frames`. Must be no less than the time between two detections, see
    /// [`Policy::with_detection_interval`].
    pub max_detection_gap: Span,
    /// See `max_detection_gap`: a source of few frames a second may be blind for this many frames.
    pub max_detection_gap_frames: usize,
    /// No frame is held for more frames than this, whatever their times say: bounds memory where a
    /// source's clock stands still.
    pub max_held_frames: usize,
    /// One detection as sure as this confirms a track by itself.
    pub confirm_confidence: f32,
    /// One detection as good as this confirms a track that a cut or the end cuts short before
    /// detection ran again.
    pub short_track_confidence: f32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            box_fill: BoxFill::Interpolate,
            max_missing: Span::from_ms(500),
            max_detection_gap: Span::from_ms(500),
            max_detection_gap_frames: 8,
            max_held_frames: 240,
            confirm_confidence: 0.9,
            short_track_confidence: 0.7,
        }
    }
}

impl Policy {
    /// The policy for a detector that runs every `interval`: tracks survive at least one and a half
    /// of it, so that an ordinary wait for the next detection never ends one.
    #[must_use]
    pub fn with_detection_interval(mut self, interval: Span) -> Self {
        let enough = Span::from_ns(interval.ns().saturating_add(interval.ns() / 2));
        self.max_detection_gap = self.max_detection_gap.max(enough);
        self
    }

    /// What may be held back at most under this policy.
    pub fn max_lag(&self) -> LagBound {
        match self.box_fill {
            BoxFill::Extrapolate => LagBound { span: Span::ZERO, frames: 0, max_frames: 0 },
            BoxFill::Interpolate => LagBound {
                span: self.max_detection_gap.max(self.max_missing),
                frames: self.max_detection_gap_frames,
                max_frames: self.max_held_frames,
            },
        }
    }
}

/// The frames that a tracker may hold: those no older than `span` before the newest frame, or no
/// more than `frames` before it, and never more than `max_frames`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LagBound {
    /// Held frames lie within this time of the newest one ...
    pub span: Span,
    /// ... or are no more than this many frames before it.
    pub frames: usize,
    /// No more frames than this are ever held.
    pub max_frames: usize,
}

impl LagBound {
    /// The most frames held at a constant rate: what a frame budget has to count with.
    pub fn frames_at(self, rate: Rate) -> usize {
        let in_span = self.span.ns() / rate.frame_span().ns().max(1);
        let in_span = usize::try_from(in_span).unwrap_or(usize::MAX);
        // One more: an unconfirmed track holds the frame of its first detection, too.
        self.frames.max(in_span).saturating_add(1).min(self.max_frames)
    }
}
