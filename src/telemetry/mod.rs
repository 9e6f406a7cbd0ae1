//! What a process reports about itself: metrics, status, latencies and heartbeats, and the clock that
//! they are measured by. Every stage may use it; it knows nothing of the stages.

pub(crate) mod clock;
pub(crate) mod latency;
pub mod metrics;
pub mod status;
