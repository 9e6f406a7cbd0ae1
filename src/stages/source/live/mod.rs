//! A live source: what it takes to come back whenever it goes away.
//!
//! [`crate::core::backoff`] says how long to wait before the next try; [`anchor`] puts whatever clock a source
//! has on the stream's own, which never jumps; the frames and audio tracks themselves come from
//! `crate::stages::source::live::gst::intake`.

pub mod clock_mapper;
#[cfg(feature = "gst")]
pub mod gst;
pub mod settings;

/// Why a source was lost: a word for metrics, and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLoss {
    /// One of the words below.
    pub reason: LossReason,
    /// In words, without secrets.
    pub why: String,
}

/// Why, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossReason {
    /// It cannot be reached.
    Unreachable,
    /// It does not believe who asks.
    Refused,
    /// It said nothing for too long.
    Stalled,
    /// It ended.
    Ended,
    /// What it sends cannot be read.
    Unreadable,
    /// Its streams changed.
    Changed,
    /// A stage of this program failed.
    Stage,
}

impl LossReason {
    /// The word that metrics and events use.
    pub const fn as_str(self) -> &'static str {
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
