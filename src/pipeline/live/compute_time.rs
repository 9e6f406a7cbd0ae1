//! The worst-case computing time on this machine, measured before a stream starts.
//!
//! A frame waits for its scores by a sum of ticks, plus the computing time. The most expensive step is
//! the wide search for faces, every second to fourth: 15 ms of one core on one machine and 50 ms on
//! another. Without this measurement the second machine was late at each search and disabled heatmaps,
//! although it was idle two thirds of the time. The frames that arrive during a search then have their
//! faces encoded one after the other, which takes a large speaker model as long again.

use std::time::Instant;

use crate::core::frame::{Chroma, ImageView, LumaRange, Plane};
use crate::core::time::{Span, Tick};
use crate::models::face_detector::{DetectError, FaceDetector as _};
use crate::models::speaker_model::{FaceJob, HeadJob, InferenceError, SpeakerModel as _};
use crate::onnx::engine::Engine;
use crate::stages::detect::plan::PlanSettings;
use crate::stages::score::budget::LIVE_CHUNK_TICKS;
use crate::stages::score::window::Window;

/// Calls timed; the first one only warms up.
const CALLS: usize = 4;
/// Allowance for decoding and encoding, which run at the same time.
const CONTENTION_FACTOR: i64 = 2;
/// Allowance for crops, audio and drawing.
const FIXED_COST: Span = Span::from_ms(20);
/// Number of faces assumed: two people and one more.
const FACE_COUNT: usize = 3;
/// A machine that takes longer than this cannot keep up by waiting.
const MAX_COMPUTE_TIME: Span = Span::from_ms(400);

/// Measured time of single steps.
#[derive(Clone, Copy)]
struct StepTimes {
    /// A wide search.
    search: Span,
    /// All faces of a frame through the encoder, per tick.
    faces: Span,
    /// Ticks that go through the encoder at the end of a hop.
    chunk_ticks: usize,
    /// The next windows of all faces through the head.
    heads: Span,
}

/// Computing time of streams that search by `plan` and score by `window`. Zero where the engine fails:
/// the stream itself will report that.
pub(crate) fn compute_time(engine: &Engine, plan: &PlanSettings, window: Window) -> Span {
    let steps = || {
        let search = search(engine, plan).ok()?;
        let chunk_ticks = window.hop.clamp(1, LIVE_CHUNK_TICKS);
        let (faces, heads) = (faces(engine, chunk_ticks).ok()?, heads(engine, window).ok()?);
        Some(StepTimes { search, faces, chunk_ticks, heads })
    };
    steps().map_or(Span::ZERO, allowance)
}

/// The shortest time of a call after the first one, at most [`MAX_COMPUTE_TIME`].
fn timed<E>(mut call: impl FnMut() -> Result<(), E>) -> Result<Span, E> {
    let mut fastest = MAX_COMPUTE_TIME;
    for i in 0..CALLS {
        let began = Instant::now();
        call()?;
        let took = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        if i > 0 {
            fastest = fastest.min(Span::from_ns(took));
        }
    }
    Ok(fastest)
}

fn search(engine: &Engine, plan: &PlanSettings) -> Result<Span, DetectError> {
    let width = plan.wide_long_side_px as usize;
    let height = width * 9 / 16 / 2 * 2;
    let (luma, chroma) = (vec![90; width * height], vec![128; width * height / 4]);
    let colour = Plane { data: &chroma, stride: width / 2 };
    let image = ImageView {
        width,
        height,
        luma: Plane { data: &luma, stride: width },
        chroma: Chroma::Planar { u: colour, v: colour },
        range: LumaRange::Limited,
        bt709: true,
    };
    let mut detector = engine.detector();
    timed(|| detector.detect(&image, plan.wide_long_side_px).map(drop))
}

fn faces(engine: &Engine, ticks: usize) -> Result<Span, InferenceError> {
    let mut speaker = engine.speaker();
    let shape = speaker.shape().clone();
    let job = || FaceJob {
        state: shape.fresh_face_state(),
        crops: vec![127; ticks * shape.crop_len()],
        valid: vec![1.0; ticks],
        contributions: false,
    };
    let all = timed(|| speaker.encode_faces((0..FACE_COUNT).map(|_| job()).collect()).map(drop))?;
    Ok(Span::from_ns(all.ns() / i64::try_from(ticks).unwrap_or(1).max(1)))
}

fn heads(engine: &Engine, window: Window) -> Result<Span, InferenceError> {
    let mut speaker = engine.speaker();
    let shape = speaker.shape().clone();
    // The shares of audio and face need two more rows.
    let (rows, ticks) = (3, shape.past_ticks + window.hop + window.lookahead);
    let values = rows * ticks * shape.embedding;
    let job = || HeadJob {
        rows,
        ticks,
        audio: vec![0.0; values],
        face: vec![0.0; values],
        forward: vec![0.0; rows * shape.forward_state],
    };
    timed(|| speaker.run_heads((0..FACE_COUNT).map(|_| job()).collect()).map(drop))
}

/// The time allowed for these steps.
fn allowance(StepTimes { search, faces, chunk_ticks, heads }: StepTimes) -> Span {
    // The ticks of the hop, and those that arrived during a search.
    let ticks = chunk_ticks as f64 + search.seconds() / Tick::SPAN.seconds();
    let encoding = Span::from_seconds(faces.seconds() * ticks);
    let total = search.ns().saturating_add(encoding.ns()).saturating_add(heads.ns());
    (Span::from_ns(total.saturating_mul(CONTENTION_FACTOR)) + FIXED_COST).min(MAX_COMPUTE_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_machine_gets_more_time_up_to_a_maximum() {
        let ms = |[search, faces, heads]: [i64; 3]| {
            let [search, faces, heads] = [search, faces, heads].map(Span::from_ms);
            allowance(StepTimes { search, faces, chunk_ticks: 2, heads }).ns() / 1_000_000
        };
        assert_eq!(
            [0, 15, 50, 190, 5_000].map(|search| ms([search, 0, 0])),
            [20, 50, 120, 400, 400]
        );
        assert_eq!(ms([40, 20, 5]), 20 + 2 * (40 + 3 * 20 + 5));
        assert_eq!(ms([0, 300, 0]), 400);
    }
}
