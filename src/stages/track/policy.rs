//! The tracker's settings: when a track begins and ends, and how long a frame may be held.
//!
//! Limits are in media time and, where time alone is not sufficient (one frame per second, a
//! stopped clock), also in frames. The defaults suit faces in meetings with detection on every
//! fifth frame.

use crate::core::time::{Rate, Span};

/// How frames without detection get their boxes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BoxFill {
    /// Linear interpolation by time between the detections before and after the frame. Accurate,
    /// but frames are held until the second detection is known.
    #[default]
    Interpolate,
    /// Extrapolation from the last detection at constant velocity. No frame is held.
    Extrapolate,
}

/// The tracker's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Policy {
    /// How frames between detections get their boxes.
    pub box_fill: BoxFill,
    /// A confirmed face that is missed for no longer than this and then found again keeps its
    /// track. An unconfirmed one must be found a second time within it.
    pub max_missing: Span,
    /// A track also ends when no detection has run for longer than this, and for more frames than
    /// `max_detection_gap_frames`. Must be no less than the time between two detections, see
    /// [`Policy::with_detection_interval`].
    pub max_detection_gap: Span,
    /// See `max_detection_gap`: a source with few frames per second may go without detection for
    /// this many frames.
    pub max_detection_gap_frames: usize,
    /// No frame is held for more frames than this, whatever the times: bounds memory if a source's
    /// clock stops.
    pub max_held_frames: usize,
    /// A single detection with this confidence confirms a track.
    pub confirm_confidence: f32,
    /// A single detection with this confidence confirms a track that a cut or the end of the stream
    /// ends before the next detection.
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
    /// The policy for a detector that runs every `interval`: tracks survive at least 1.5 intervals,
    /// so that the regular wait for the next detection never ends one.
    #[must_use]
    pub fn with_detection_interval(mut self, interval: Span) -> Self {
        let enough = Span::from_ns(interval.ns().saturating_add(interval.ns() / 2));
        self.max_detection_gap = self.max_detection_gap.max(enough);
        self
    }

    /// The bound on held frames under this policy.
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

/// The bound on a tracker's held frames: at most `span` or `frames` before the newest frame, and
/// never more than `max_frames`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LagBound {
    /// Held frames are within this time of the newest one ...
    pub span: Span,
    /// ... or are no more than this many frames before it.
    pub frames: usize,
    /// No more frames than this are ever held.
    pub max_frames: usize,
}

impl LagBound {
    /// The most frames held at a constant rate, for a frame budget.
    pub fn frames_at(self, rate: Rate) -> usize {
        let in_span = self.span.ns() / rate.frame_span().ns().max(1);
        let in_span = usize::try_from(in_span).unwrap_or(usize::MAX);
        // One more: an unconfirmed track also holds the frame of its first detection.
        self.frames.max(in_span).saturating_add(1).min(self.max_frames)
    }
}
