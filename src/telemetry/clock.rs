//! The clock of a live stream: nanoseconds since it started. It never jumps, whatever the source or the
//! wall clock does.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::core::time::Pts;

/// A stream's clock; copies are the same clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamClock {
    start: Instant,
}

impl StreamClock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The current time.
    pub(crate) fn now(self) -> Pts {
        Pts::from_ns(i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }

    /// The wall-clock time at `at`, by the current wall clock. A step of the wall clock changes this, but
    /// not the stream clock.
    pub(crate) fn utc(self, at: Pts) -> Timestamp {
        let ago = SignedDuration::from_nanos((self.now() - at).ns());
        Timestamp::now().checked_sub(ago).unwrap_or_else(|_| Timestamp::now())
    }
}
