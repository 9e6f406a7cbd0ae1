//! What a process reports about itself: metrics, status, latencies and heartbeats, and the clock that
//! they are measured by. Every stage may use it; it knows nothing of the stages.

pub mod clock;
pub mod latency;
pub mod metrics;
pub mod status;
