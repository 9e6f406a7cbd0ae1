//! What is at an address: opened for a few seconds, looked at, listened to, and let go.
//!
//! Takes a source; gives what its streams are stored as, the frames' size and rate as measured, the
//! audio, the faces, and how far audio and frame lie apart when they arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::core::frame::Image;
use crate::core::signal::Signal;
use crate::core::time::Pts;
use crate::models::face_detector::FaceDetector;
use crate::models::registry::{Role, find};
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::run::RunError;
use crate::stages::source::live::gst::intake::{Taps, build};
use crate::stages::source::live::settings::SourceSettings;
use crate::stages::source::{AudioBlock, RawFrame};

/// Frames that are kept to look for faces in.
const MAX_FACE_FRAMES: usize = 8;
/// The long side that faces are looked for at.
const LONG_SIDE_PX: u32 = 640;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// What the streams are stored as.
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub size: Option<(usize, usize)>,
    /// Frames a second, as they came.
    pub fps: Option<f64>,
    /// Frames that the decoder called damaged.
    pub damaged: u64,
    /// Whether audio came.
    pub audio: bool,
    /// Audio's loudness: the root mean square of all samples, 0 to 1.
    pub loudness: Option<f64>,
    /// Seconds until the first frame.
    pub first_frame_seconds: Option<f64>,
    /// By how much audio's times run ahead of the frame's when both arrive, in seconds: the middle
    /// value.
    pub skew_seconds: Option<f64>,
    /// Faces in each frame that was looked at.
    pub faces: Vec<usize>,
    /// What ended it, where something did.
    pub error: Option<String>,
}

#[derive(Default)]
struct ProbeState {
    first: Option<Instant>,
    times: Vec<Pts>,
    face_frames: Vec<Arc<dyn Image>>,
    size: Option<(usize, usize)>,
    damaged: u64,
    audio: Option<Pts>,
    skews: BTreeMap<i64, u32>,
    squares: f64,
    samples: u64,
}

/// Looks at `source` for `span`.
///
/// # Errors
/// Where an element or a model is missing.
pub(crate) fn probe(source: &SourceSettings, span: Duration) -> Result<Findings, RunError> {
    crate::gst::start()?;
    let begun = Instant::now();
    let state: Arc<Mutex<ProbeState>> = Arc::default();
    let changed = Signal::default();
    let graph = build(source, taps(&state, &changed))?;
    let refused = graph.play().err();
    let bus_error = || {
        graph.bus.log().error.map(|f| {
            f.source_error(&source.uri, source.login.is_some(), source.tls_ca_file.as_deref())
        })
    };
    let mut error = bus_error().or(refused);
    let timeout = source.stall_timeout + span;
    loop {
        let seen = changed.seen();
        let first = lock(&state).first;
        let enough = first.is_some_and(|at| at.elapsed() >= span);
        error = error.or_else(|| graph.shown().error);
        error = error.or_else(bus_error);
        if enough || error.is_some() || graph.shown().ended || begun.elapsed() > timeout {
            break;
        }
        let left = first.map_or(timeout.saturating_sub(begun.elapsed()), |at| {
            span.saturating_sub(at.elapsed())
        });
        changed.wait(seen, left + Duration::from_millis(1));
    }
    let codecs = graph.shown().codecs;
    graph.stop_within(Duration::from_secs(3));
    let state = std::mem::take(&mut *lock(&state));
    let mut findings = summarize(&state, begun);
    findings.codecs = codecs;
    let nothing = || format!("no frame came within {} s", begun.elapsed().as_secs());
    findings.error = error.or_else(|| state.first.is_none().then(nothing));
    findings.faces = faces(&state.face_frames)?;
    Ok(findings)
}

fn lock(state: &Mutex<ProbeState>) -> std::sync::MutexGuard<'_, ProbeState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taps(state: &Arc<Mutex<ProbeState>>, changed: &Signal) -> Taps {
    let (frames, heard) = (Arc::clone(state), Arc::clone(state));
    let (changed, first_frame) = (changed.clone(), changed.clone());
    Taps {
        changed,
        image: Arc::new(move |raw: RawFrame| {
            let mut state = lock(&frames);
            if state.first.is_none() {
                state.first = Some(Instant::now());
                first_frame.notify();
            }
            let view = raw.image.view();
            state.size = Some((view.width, view.height));
            state.damaged += u64::from(raw.damaged);
            if let Some(pts) = raw.pts {
                if let Some(audio) = state.audio {
                    *state.skews.entry((audio - pts).ns() / 1_000_000).or_default() += 1;
                }
                state.times.push(pts);
            }
            if state.times.len() % 12 == 1 && state.face_frames.len() < MAX_FACE_FRAMES {
                state.face_frames.push(raw.image);
            }
        }),
        heard: Arc::new(move |block: AudioBlock| {
            let mut state = lock(&heard);
            let squares = |s: &i16| (f64::from(*s) / 32_768.0).powi(2);
            state.squares += block.samples.iter().map(squares).sum::<f64>();
            state.samples += block.samples.len() as u64;
            state.audio = block.pts.or(state.audio);
        }),
        audio: Arc::new(|_| {}),
    }
}

fn summarize(state: &ProbeState, begun: Instant) -> Findings {
    let span = state.times.first().zip(state.times.last()).map(|(a, b)| (*b - *a).seconds());
    let steps = state.times.len().saturating_sub(1) as f64;
    let middle: u32 = state.skews.values().sum::<u32>() / 2;
    let mut counted = 0;
    let skew = state.skews.iter().find(|(_, count)| {
        counted += **count;
        counted > middle
    });
    Findings {
        size: state.size,
        fps: span.filter(|s| *s > 0.0).map(|span| steps / span),
        damaged: state.damaged,
        audio: state.samples > 0,
        loudness: (state.samples > 0).then(|| (state.squares / state.samples as f64).sqrt()),
        first_frame_seconds: state.first.map(|at| (at - begun).as_secs_f64()),
        skew_seconds: skew.map(|(ms, _)| *ms as f64 / 1_000.0),
        ..Findings::default()
    }
}

fn faces(frames: &[Arc<dyn Image>]) -> Result<Vec<usize>, RunError> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let (speaker, detector) = (find(Role::Speaker, None)?, find(Role::Detector, None)?);
    let options = SessionOptions { device: "auto".parse().unwrap_or_default(), intra_threads: 1 };
    let engine = Engine::start(&detector, &speaker, &options)?;
    let mut face_detector = engine.detector();
    frames
        .iter()
        .map(|image| Ok(face_detector.detect(&image.view(), LONG_SIDE_PX)?.len()))
        .collect()
}
