//! Metrics, status, latencies, heartbeats and the stream clock. Every stage may use this module; it
//! depends on no stage.

pub(crate) mod clock;
pub(crate) mod latency;
pub mod metrics;
pub mod status;
