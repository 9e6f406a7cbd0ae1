//! What is at an address: opened for a few seconds, looked at, listened to, and let go.
//!
//! Takes a source; gives what its streams are stored as, the pictures' size and rate as measured, the
//! sound, the faces, and how far sound and picture lie apart when they arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::camera::Source;
use crate::core::picture::Picture;
use crate::core::time::Pts;
use crate::gst::live_intake::{Taps, build};
use crate::models::shelf::{Role, find};
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::run::RunError;
use crate::stages::detect::FaceDetector;
use crate::stages::source::{RawPicture, SoundBlock};

/// Pictures that are kept to look for faces in.
const LOOKED_AT: usize = 8;
/// The long side that faces are looked for at.
const LONG_SIDE_PX: u32 = 640;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// What the streams are stored as.
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub size: Option<(usize, usize)>,
    /// Pictures a second, as they came.
    pub fps: Option<f64>,
    /// Pictures that the decoder called damaged.
    pub damaged: u64,
    /// Whether sound came.
    pub sound: bool,
    /// Sound's loudness: the root mean square of all samples, 0 to 1.
    pub loudness: Option<f64>,
    /// Seconds until the first picture.
    pub first_picture_seconds: Option<f64>,
    /// By how much sound's times run ahead of the picture's when both arrive, in seconds: the middle
    /// value.
    pub skew_seconds: Option<f64>,
    /// Faces in each picture that was looked at.
    pub faces: Vec<usize>,
    /// What ended it, where something did.
    pub trouble: Option<String>,
}

#[derive(Default)]
struct Seen {
    first: Option<Instant>,
    times: Vec<Pts>,
    kept: Vec<Arc<dyn Picture>>,
    size: Option<(usize, usize)>,
    damaged: u64,
    sound: Option<Pts>,
    skews: BTreeMap<i64, u32>,
    squares: f64,
    samples: u64,
}

/// Looks at `source` for `span`.
///
/// # Errors
/// Where an element or a model is missing.
pub fn probe(source: &Source, span: Duration) -> Result<Findings, RunError> {
    crate::gst::start().map_err(|e| RunError::Setting(e.to_string()))?;
    let begun = Instant::now();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let graph = build(source, taps(&seen)).map_err(RunError::Element)?;
    let refused = graph.play().err();
    let spoken = || graph.bus.spoken().error.map(|f| f.of_source(source));
    let mut trouble = spoken().or(refused);
    let patience = source.stall_after + span;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let first = lock(&seen).first;
        let enough = first.is_some_and(|at| at.elapsed() >= span);
        trouble = trouble.or_else(|| graph.shown().error);
        trouble = trouble.or_else(spoken);
        if enough || trouble.is_some() || graph.shown().ended || begun.elapsed() > patience {
            break;
        }
    }
    let codecs = graph.shown().codecs;
    graph.stop_within(Duration::from_secs(3));
    let seen = std::mem::take(&mut *lock(&seen));
    let mut findings = told(&seen, begun);
    findings.codecs = codecs;
    let nothing = || format!("no picture came within {} s", begun.elapsed().as_secs());
    findings.trouble = trouble.or_else(|| seen.first.is_none().then(nothing));
    findings.faces = faces(&seen.kept)?;
    Ok(findings)
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taps(seen: &Arc<Mutex<Seen>>) -> Taps {
    let (pictures, heard) = (Arc::clone(seen), Arc::clone(seen));
    Taps {
        picture: Arc::new(move |raw: RawPicture| {
            let mut seen = lock(&pictures);
            seen.first.get_or_insert_with(Instant::now);
            let view = raw.picture.view();
            seen.size = Some((view.width, view.height));
            seen.damaged += u64::from(raw.damaged);
            if let Some(pts) = raw.pts {
                if let Some(sound) = seen.sound {
                    *seen.skews.entry((sound - pts).ns() / 1_000_000).or_default() += 1;
                }
                seen.times.push(pts);
            }
            if seen.times.len() % 12 == 1 && seen.kept.len() < LOOKED_AT {
                seen.kept.push(raw.picture);
            }
        }),
        heard: Arc::new(move |block: SoundBlock| {
            let mut seen = lock(&heard);
            let squares = |s: &i16| (f64::from(*s) / 32_768.0).powi(2);
            seen.squares += block.samples.iter().map(squares).sum::<f64>();
            seen.samples += block.samples.len() as u64;
            seen.sound = block.pts.or(seen.sound);
        }),
        sound: Arc::new(|_| {}),
    }
}

fn told(seen: &Seen, begun: Instant) -> Findings {
    let span = seen.times.first().zip(seen.times.last()).map(|(a, b)| (*b - *a).seconds());
    let steps = seen.times.len().saturating_sub(1) as f64;
    let middle: u32 = seen.skews.values().sum::<u32>() / 2;
    let mut counted = 0;
    let skew = seen.skews.iter().find(|(_, count)| {
        counted += **count;
        counted > middle
    });
    Findings {
        size: seen.size,
        fps: span.filter(|s| *s > 0.0).map(|span| steps / span),
        damaged: seen.damaged,
        sound: seen.samples > 0,
        loudness: (seen.samples > 0).then(|| (seen.squares / seen.samples as f64).sqrt()),
        first_picture_seconds: seen.first.map(|at| (at - begun).as_secs_f64()),
        skew_seconds: skew.map(|(ms, _)| *ms as f64 / 1_000.0),
        ..Findings::default()
    }
}

fn faces(pictures: &[Arc<dyn Picture>]) -> Result<Vec<usize>, RunError> {
    if pictures.is_empty() {
        return Ok(Vec::new());
    }
    let (speaker, detector) = (find(Role::Speaker, None)?, find(Role::Detector, None)?);
    let options = SessionOptions { device: "auto".parse().unwrap_or_default(), intra_threads: 1 };
    let engine = Engine::start(&detector, &speaker, &options)?;
    let mut look = engine.detector();
    pictures.iter().map(|picture| Ok(look.detect(&picture.view(), LONG_SIDE_PX)?.len())).collect()
}
