//! Latency by stage: from a frame's capture to the end of the stage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::time::Span;
use crate::telemetry::metrics::{Metrics, stage_labels};

/// Number of newest values kept for percentiles: about seven minutes at 25 per second.
const MAX_SAMPLES: usize = 10_000;

/// Latencies of one stream; clones are handles to the same.
#[derive(Clone)]
pub(crate) struct Latencies {
    stream: String,
    metrics: Metrics,
    newest: Arc<Mutex<BTreeMap<&'static str, RingBuffer>>>,
}

#[derive(Default)]
struct RingBuffer {
    values: Vec<f32>,
    next: usize,
}

/// Latency percentiles in seconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f32,
    /// 95th percentile.
    pub p95: f32,
    /// 99th percentile.
    pub p99: f32,
    /// Number of values.
    pub count: usize,
}

impl Latencies {
    /// Nothing measured yet.
    pub(crate) fn new(stream: &str, metrics: Metrics) -> Self {
        Self { stream: stream.to_owned(), metrics, newest: Arc::default() }
    }

    /// Adds the latency of an item that left `stage`.
    pub(crate) fn add(&self, stage: &'static str, late: Span) {
        self.metrics
            .latency
            .get_or_create(&stage_labels(&self.stream, stage))
            .observe(late.seconds());
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = newest.entry(stage).or_default();
        if ring.values.len() < MAX_SAMPLES {
            ring.values.push(late.seconds() as f32);
        } else {
            ring.values[ring.next] = late.seconds() as f32;
        }
        ring.next = (ring.next + 1) % MAX_SAMPLES;
    }

    /// Percentiles of the newest values, by stage.
    pub(crate) fn percentiles(&self) -> BTreeMap<&'static str, Percentiles> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.iter().filter_map(|(stage, ring)| Some((*stage, of_values(&ring.values)?))).collect()
    }
}

fn of_values(values: &[f32]) -> Option<Percentiles> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |share: f64| sorted[(share * last as f64).round() as usize];
    Some(Percentiles { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: sorted.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_newest_values() {
        let latencies = Latencies::new("a", Metrics::new());
        for i in 0..=100 {
            latencies.add("score", Span::from_ms(i * 10));
        }
        let score = latencies.percentiles()["score"];
        assert!((score.p50 - 0.5).abs() < 1e-6 && (score.p95 - 0.95).abs() < 1e-6);
        for _ in 0..MAX_SAMPLES {
            latencies.add("score", Span::from_ms(7));
        }
        assert!((latencies.percentiles()["score"].p99 - 0.007).abs() < 1e-6);
    }
}
