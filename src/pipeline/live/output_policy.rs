//! When a live frame is shown: with its own scores, or immediately.

/// When a frame is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputPolicy {
    /// When its own scores are final: delayed by the lookahead.
    #[default]
    Delay,
    /// Immediately, with the newest boxes and scores.
    Latest,
}
