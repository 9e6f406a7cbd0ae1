//! A live source, which reconnects whenever it is lost.
//!
//! [`crate::core::backoff`] gives the wait before the next try. [`clock_mapper`] maps the source's
//! clock to the stream's clock, which never jumps. Frames and audio come from
//! `crate::stages::source::live::gst::intake`.

pub(crate) mod clock_mapper;
#[cfg(feature = "gst")]
pub(crate) mod gst;
pub(crate) mod settings;

/// Why a source was lost: a reason for metrics and a readable message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceLoss {
    /// The reason.
    pub reason: LossReason,
    /// A readable message without secrets.
    pub why: String,
}

/// The reasons that metrics count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LossReason {
    /// It cannot be reached.
    Unreachable,
    /// It refused the credentials.
    Refused,
    /// It sent no data until the timeout.
    Stalled,
    /// It ended.
    Ended,
    /// Its data cannot be decoded.
    Unreadable,
    /// Its streams changed.
    Changed,
    /// A stage of this program failed.
    Stage,
}

impl LossReason {
    /// The identifier in metrics and events.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Stalled => "stalled",
            Self::Ended => "ended",
            Self::Unreadable => "unreadable",
            Self::Changed => "changed",
            Self::Stage => "stage",
        }
    }
}
