//! Streams that share an engine, from frames in memory to verdicts with heatmaps.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rate::{MeasurementLength, Rate};
use crate::core::evidence::TrackId;
use crate::core::frame::{Chroma, Frame, Image, ImageView, LumaRange, Plane};
use crate::core::geometry::{Point, Rect};
use crate::core::time::{Epoch, FrameRef, Pts, Tick};
use crate::models::manifest::SpeakerManifest;
use crate::models::speaker_model::InferenceError;
use crate::onnx::engine::Engine;
use crate::pipeline::build;
use crate::pipeline::error::PipelineError;
use crate::pipeline::settings::Settings;
use crate::run::RunError;
use crate::stages::score::scorer::Scorer;
use crate::stages::track::{TrackedFace, TrackedFaces, TrackedFrame};

/// A frame's width and height.
const SIZE: (usize, usize) = (640, 360);
/// Audio samples per frame: 16 kHz at 25 frames a second.
const SAMPLES: usize = 640;
/// Warm-up hops beyond those that fill the head's past.
const WARM_UP: usize = 4;

/// A grey image with a pattern.
struct Pattern {
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

impl Pattern {
    fn new(seed: usize) -> Self {
        let (width, height) = SIZE;
        let value = |i: usize| {
            let (x, y) = ((i % width) as f32 / 23.0, (i / width + seed) as f32 / 17.0);
            (128.0 + 70.0 * x.sin() * y.cos()) as u8
        };
        Self {
            luma: (0..width * height).map(value).collect(),
            chroma: vec![128; width * height / 2],
        }
    }
}

impl Image for Pattern {
    fn view(&self) -> ImageView<'_> {
        let (width, height) = SIZE;
        ImageView {
            width,
            height,
            luma: Plane { data: &self.luma, stride: width },
            chroma: Chroma::Interleaved(Plane { data: &self.chroma, stride: width }),
            range: LumaRange::Limited,
            bt709: true,
        }
    }

    fn byte_size(&self) -> usize {
        self.luma.len() + self.chroma.len()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// `count` faces in a grid that fills the frame; they move a little from frame to frame.
fn faces(count: usize, seq: usize) -> TrackedFaces {
    let (width, height) = (SIZE.0 as f32, SIZE.1 as f32);
    let columns = (count as f32 * width / height).sqrt().ceil().max(1.0);
    let rows = (count as f32 / columns).ceil().max(1.0);
    let (across, down) = (width / columns, height / rows);
    let (half, sway) = (across.min(down) * 0.3, 2.0 * (seq as f32 / 9.0).sin());
    let face = |i: usize| {
        let (column, row) = (i as f32 % columns, (i as f32 / columns).floor());
        let (x, y) = ((column.floor() + 0.5) * across + sway, (row + 0.5) * down - sway);
        let at = |dx: f32, dy: f32| Point { x: x + dx * half, y: y + dy * half };
        TrackedFace {
            track: TrackId(u32::try_from(i + 1).unwrap_or(u32::MAX)),
            rect: Rect::new(x - half, y - half, x + half, y + half),
            landmarks: [at(-0.4, -0.3), at(0.4, -0.3), at(0.0, 0.0), at(-0.3, 0.4), at(0.3, 0.4)],
            detected: true,
        }
    };
    (0..count).map(face).collect()
}

/// Counts of scores and heatmaps.
#[derive(Clone, Copy, Debug, Default)]
struct VerdictCounts {
    scores: usize,
    heatmaps: usize,
}

/// An endless stream with faces.
struct Stream {
    scorer: Scorer,
    images: [Arc<dyn Image>; 2],
    faces: usize,
    audio: Vec<i16>,
    seq: usize,
}

impl Stream {
    fn new(
        engine: &Engine,
        settings: &Settings,
        faces: usize,
        images: &[Arc<dyn Image>; 2],
    ) -> Self {
        let (scorer, _) = build::scoring(settings, engine, true, Tick(0));
        let tone = |i: usize| ((i * i) as f32 / 40_000.0).sin() * 6_000.0;
        Self {
            scorer,
            images: images.clone(),
            faces,
            audio: (0..SAMPLES).map(|i| tone(i) as i16).collect(),
            seq: 0,
        }
    }

    /// Pushes the next `frames_per_call` frames with their audio, and counts the new verdicts.
    fn hop(&mut self, frames_per_call: usize) -> Result<VerdictCounts, InferenceError> {
        for _ in 0..frames_per_call {
            let ns = i64::try_from(self.seq).unwrap_or(0) * Tick::SPAN.ns();
            let id = FrameRef { epoch: Epoch(0), seq: self.seq as u64, pts: Pts::from_ns(ns) };
            let tracked =
                TrackedFrame { frame: id, faces: faces(self.faces, self.seq), ended: Vec::new() };
            let image = Arc::clone(&self.images[self.seq % 2]);
            self.scorer.audio_encoder().push(Some(id.pts), &self.audio);
            self.scorer.push(&Frame { id, duration: None, image }, &tracked);
            self.seq += 1;
        }
        let mut found = VerdictCounts::default();
        for verdict in self.scorer.advance()?.iter().flat_map(|news| &news.verdicts) {
            found.scores += usize::from(verdict.p.is_ok());
            found.heatmaps += usize::from(verdict.heat.is_some());
        }
        Ok(found)
    }
}

/// One stream's part of the measurement.
#[derive(Default)]
struct StreamResult {
    calls: Vec<Duration>,
    verdicts: VerdictCounts,
}

/// Runs `streams` streams with `faces` faces in all on one `engine`; gives the rate and the number
/// of heatmaps. A call is `frames_per_call` frames of one stream.
///
/// # Errors
/// If the model fails or a thread cannot be started.
pub(crate) fn rate(
    engine: &Engine,
    (settings, manifest): (&Settings, &SpeakerManifest),
    (faces, streams): (usize, usize),
    frames_per_call: usize,
    length: MeasurementLength,
) -> Result<(Rate, usize), RunError> {
    let reach = manifest.head.past_ticks
        + manifest.lookahead_ticks.live
        + manifest.face.delay_ticks
        + manifest.audio.reach_ticks;
    let warm_up = reach.div_ceil(frames_per_call) + WARM_UP;
    let images: [Arc<dyn Image>; 2] = [Arc::new(Pattern::new(0)), Arc::new(Pattern::new(9))];
    let own = |i: usize| faces / streams + usize::from(i < faces % streams);
    let all = (0..streams).map(|i| Stream::new(engine, settings, own(i), &images));
    // Warm up all streams before the measurement starts.
    let warm = for_each_stream(all.collect(), |mut stream: Stream| {
        (0..warm_up).try_for_each(|_| stream.hop(frames_per_call).map(drop))?;
        Ok(stream)
    })?;
    let began = Instant::now();
    let done = for_each_stream(warm, |stream| run(stream, frames_per_call, length))?;
    let time = began.elapsed();
    let scores = done.iter().map(|stream| stream.verdicts.scores).sum();
    let heatmaps = done.iter().map(|stream| stream.verdicts.heatmaps).sum();
    let calls = done.into_iter().flat_map(|stream| stream.calls).collect();
    Ok((Rate::new(calls, scores, time), heatmaps))
}

/// Runs `work` on all streams at once, each on its own thread.
fn for_each_stream<T: Send>(
    streams: Vec<Stream>,
    work: impl Fn(Stream) -> Result<T, InferenceError> + Sync,
) -> Result<Vec<T>, RunError> {
    let work = &work;
    std::thread::scope(|scope| {
        let start = |stream| {
            let thread = std::thread::Builder::new().name("score".into());
            thread.spawn_scoped(scope, move || work(stream))
        };
        let threads: Vec<_> = streams.into_iter().map(start).collect::<Result<_, _>>()?;
        let ended = threads.into_iter().map(|thread| {
            Ok(thread.join().map_err(|_| PipelineError::Panicked { stage: "score" })??)
        });
        ended.collect()
    })
}

fn run(
    mut stream: Stream,
    frames_per_call: usize,
    length: MeasurementLength,
) -> Result<StreamResult, InferenceError> {
    let (began, mut done) = (Instant::now(), StreamResult::default());
    while !length.is_reached(began, done.calls.len()) {
        let one = Instant::now();
        let found = stream.hop(frames_per_call)?;
        done.calls.push(one.elapsed());
        done.verdicts.scores += found.scores;
        done.verdicts.heatmaps += found.heatmaps;
    }
    Ok(done)
}
