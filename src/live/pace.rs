//! How long this machine computes at its worst, measured before a stream starts.
//!
//! What is shown waits for its scores by a sum of ticks, and for what computing takes. The dearest
//! thing in a frame's way is the wide search for faces, once a second: 15 ms of one core on one
//! machine and 50 on another, which then was late every second with two thirds of its time to spare,
//! and gave up heatmaps for it.

use std::time::Instant;

use crate::core::picture::{Chroma, LumaRange, PictureView, Plane};
use crate::core::time::Span;
use crate::onnx::engine::Engine;
use crate::stages::detect::FaceDetector as _;
use crate::stages::detect::plan::PlanSettings;

/// Searches timed; the first one only warms up.
const SEARCHES: usize = 4;
/// Decoding and encoding go on beside a search, and scores follow it.
const BESIDE: i64 = 2;
/// What follows a search: crops, encoders, head, drawing.
const AFTER: Span = Span::from_ms(20);
/// A machine that takes longer than this cannot keep up by waiting.
const MOST: Span = Span::from_ms(400);

/// What computing takes for streams searched by `plan`; nothing where the engine cannot say, which
/// the stream itself will tell.
pub fn computing(engine: &Engine, plan: &PlanSettings) -> Span {
    let width = plan.wide_long_side_px as usize;
    let height = width * 9 / 16 / 2 * 2;
    let (luma, chroma) = (vec![90; width * height], vec![128; width * height / 4]);
    let colour = Plane { data: &chroma, stride: width / 2 };
    let picture = PictureView {
        width,
        height,
        luma: Plane { data: &luma, stride: width },
        chroma: Chroma::Planar { u: colour, v: colour },
        range: LumaRange::Limited,
        bt709: true,
    };
    let mut detector = engine.detector();
    let mut least = MOST;
    for search in 0..SEARCHES {
        let began = Instant::now();
        if detector.detect(&picture, plan.wide_long_side_px).is_err() {
            return Span::ZERO;
        }
        let took = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        if search > 0 {
            least = least.min(Span::from_ns(took));
        }
    }
    allowed(least)
}

/// What is allowed where a wide search takes `search`.
fn allowed(search: Span) -> Span {
    (Span::from_ns(search.ns().saturating_mul(BESIDE)) + AFTER).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_machine_is_given_time_and_a_hopeless_one_is_not_waited_for() {
        let ms = |search| allowed(Span::from_ms(search)).ns() / 1_000_000;
        assert_eq!([0, 15, 50, 190, 5_000].map(ms), [20, 50, 120, 400, 400]);
    }
}
