//! Rates and latencies from the calls of a stretch of time.

use std::time::{Duration, Instant};

use serde::Serialize;

/// How long calls are made.
#[derive(Clone, Copy, Debug)]
pub struct MeasurementLength {
    /// At least so long,
    pub time: Duration,
    /// and at least so many calls.
    pub calls: usize,
}

impl MeasurementLength {
    /// Whether `calls` calls since `began` are enough.
    pub fn is_reached(&self, began: Instant, calls: usize) -> bool {
        calls >= self.calls && began.elapsed() >= self.time
    }
}

/// Face-frames a second, and how long a call took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Calls that were timed.
    pub calls: usize,
    /// Faces on frames that went through.
    pub face_frames: usize,
    /// Time on the clock.
    pub seconds: f64,
    /// Both in one.
    pub face_frames_per_second: f64,
    /// Half of the calls took no longer, in ms.
    pub p50_ms: f64,
    /// 95 of a hundred took no longer.
    pub p95_ms: f64,
    /// 99 of a hundred took no longer.
    pub p99_ms: f64,
}

impl Rate {
    /// From the calls' own times and what they came to together.
    pub fn new(mut calls: Vec<Duration>, face_frames: usize, time: Duration) -> Self {
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

/// The least of `sorted` that is no less than `share` of them; zero where there is none.
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
