//! `locutor probe`: opens a source for a few seconds and measures it.
//!
//! Takes a source; gives its codecs, the frame size, the measured frame rate, the audio, the faces, and
//! the offset between audio and frames on arrival.

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

/// Maximum number of frames that are kept for face detection.
const MAX_FACE_FRAMES: usize = 8;
/// The long side at which frames are searched for faces.
const LONG_SIDE_PX: u32 = 640;

/// The result of a probe.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// The codecs of the streams.
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub size: Option<(usize, usize)>,
    /// Measured frames per second.
    pub fps: Option<f64>,
    /// Frames that the decoder marked as damaged.
    pub damaged: u64,
    /// Whether audio arrived.
    pub audio: bool,
    /// Audio's loudness: the root mean square of all samples, 0 to 1.
    pub loudness: Option<f64>,
    /// Seconds until the first frame.
    pub first_frame_seconds: Option<f64>,
    /// Audio time minus frame time on arrival, in seconds: the median.
    pub skew_seconds: Option<f64>,
    /// Number of faces in each searched frame.
    pub faces: Vec<usize>,
    /// The error that ended the probe, if any.
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

/// Probes `source` for `span`.
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
        error = error.or_else(|| graph.discovered().error);
        error = error.or_else(bus_error);
        if enough || error.is_some() || graph.discovered().ended || begun.elapsed() > timeout {
            break;
        }
        let left = first.map_or(timeout.saturating_sub(begun.elapsed()), |at| {
            span.saturating_sub(at.elapsed())
        });
        changed.wait(seen, left + Duration::from_millis(1));
    }
    let codecs = graph.discovered().codecs;
    graph.stop_within(Duration::from_secs(3));
    let state = std::mem::take(&mut *lock(&state));
    let mut findings = summarize(&state, begun);
    findings.codecs = codecs;
    let no_frame = || format!("no frame arrived within {} s", begun.elapsed().as_secs());
    findings.error = error.or_else(|| state.first.is_none().then(no_frame));
    findings.faces = faces(&state.face_frames)?;
    Ok(findings)
}

fn lock(state: &Mutex<ProbeState>) -> std::sync::MutexGuard<'_, ProbeState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taps(state: &Arc<Mutex<ProbeState>>, changed: &Signal) -> Taps {
    let (frames, audio) = (Arc::clone(state), Arc::clone(state));
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
        model_audio: Arc::new(move |block: AudioBlock| {
            let mut state = lock(&audio);
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
    let half: u32 = state.skews.values().sum::<u32>() / 2;
    let mut counted = 0;
    let skew = state.skews.iter().find(|(_, count)| {
        counted += **count;
        counted > half
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
