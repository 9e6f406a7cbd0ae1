//! Rates and latencies of timed calls.

use std::time::{Duration, Instant};

use serde::Serialize;

/// The minimum length of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasurementLength {
    /// Minimum duration.
    pub time: Duration,
    /// Minimum number of calls.
    pub calls: usize,
}

impl MeasurementLength {
    /// Whether `calls` calls since `began` are enough.
    pub(crate) fn is_reached(&self, began: Instant, calls: usize) -> bool {
        calls >= self.calls && began.elapsed() >= self.time
    }
}

/// Face-frames per second, and the latency of calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rate {
    /// Number of timed calls.
    pub calls: usize,
    /// Number of face-frames processed.
    pub face_frames: usize,
    /// Wall time.
    pub seconds: f64,
    /// The rate.
    pub face_frames_per_second: f64,
    /// Median latency of a call, in ms.
    pub p50_ms: f64,
    /// 95th percentile, in ms.
    pub p95_ms: f64,
    /// 99th percentile, in ms.
    pub p99_ms: f64,
}

impl Rate {
    /// From the calls' latencies and their totals.
    pub(crate) fn new(mut calls: Vec<Duration>, face_frames: usize, time: Duration) -> Self {
        calls.sort_unstable();
        let seconds = time.as_secs_f64();
        let at = |share| percentile(&calls, share).as_secs_f64() * 1e3;
        Self {
            face_frames,
            seconds,
            face_frames_per_second: face_frames as f64 / seconds.max(1e-9),
            p50_ms: at(0.50),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            calls: calls.len(),
        }
    }
}

/// The percentile `share` of `sorted` by nearest rank; zero if it is empty.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_calls_that_were_made() {
        let ms = Duration::from_millis;
        let hundred: Vec<_> = (1..=100).rev().map(ms).collect();
        let rate = Rate::new(hundred, 4_000, Duration::from_secs(2));
        assert_eq!((rate.p50_ms, rate.p95_ms, rate.p99_ms), (50.0, 95.0, 99.0));
        assert_eq!((rate.calls, rate.face_frames), (100, 4_000));
        assert!((rate.face_frames_per_second - 2_000.0).abs() < 1e-9);
        let rate = Rate::new(vec![ms(7), ms(3)], 2, ms(10));
        assert_eq!((rate.p50_ms, rate.p95_ms, rate.p99_ms), (3.0, 7.0, 7.0));
        let none = Rate::new(Vec::new(), 0, Duration::ZERO);
        assert_eq!((none.p99_ms, none.face_frames_per_second), (0.0, 0.0));
    }

    #[test]
    fn calls_go_on_until_both_are_reached() {
        let began = Instant::now();
        let length = |ms, calls| MeasurementLength { time: Duration::from_millis(ms), calls };
        assert!(length(0, 2).is_reached(began, 2) && !length(0, 2).is_reached(began, 1));
        assert!(!length(3_600_000, 2).is_reached(began, 9));
    }
}
