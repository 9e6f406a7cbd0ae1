//! How late things are, stage by stage: from a picture's capture to the end of a stage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::meters::{Meters, of};
use crate::core::time::Span;

/// The newest values kept for percentiles: at 25 a second, seven minutes.
const KEPT: usize = 10_000;

/// Latencies of one stream; clones are handles to the same.
#[derive(Clone)]
pub struct Latencies {
    stream: String,
    meters: Meters,
    newest: Arc<Mutex<BTreeMap<&'static str, Ring>>>,
}

#[derive(Default)]
struct Ring {
    values: Vec<f32>,
    next: usize,
}

/// The middle and the tail, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Half are no later.
    pub p50: f32,
    /// 95 of 100 are no later.
    pub p95: f32,
    /// 99 of 100 are no later.
    pub p99: f32,
    /// How many were measured.
    pub count: usize,
}

impl Latencies {
    /// Nothing measured yet.
    pub fn new(stream: &str, meters: Meters) -> Self {
        Self { stream: stream.to_owned(), meters, newest: Arc::default() }
    }

    /// Something left `stage` so late after its capture.
    pub fn add(&self, stage: &'static str, late: Span) {
        self.meters.latency.get_or_create(&of(&self.stream, stage)).observe(late.seconds());
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = newest.entry(stage).or_default();
        if ring.values.len() < KEPT {
            ring.values.push(late.seconds() as f32);
        } else {
            ring.values[ring.next] = late.seconds() as f32;
        }
        ring.next = (ring.next + 1) % KEPT;
    }

    /// Percentiles of the newest values, by stage.
    pub fn percentiles(&self) -> BTreeMap<&'static str, Percentiles> {
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
        let latencies = Latencies::new("a", Meters::new());
        for i in 0..=100 {
            latencies.add("score", Span::from_ms(i * 10));
        }
        let said = latencies.percentiles()["score"];
        assert!((said.p50 - 0.5).abs() < 1e-6 && (said.p95 - 0.95).abs() < 1e-6);
        for _ in 0..KEPT {
            latencies.add("score", Span::from_ms(7));
        }
        assert!((latencies.percentiles()["score"].p99 - 0.007).abs() < 1e-6);
    }
}
