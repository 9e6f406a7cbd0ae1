//! A recording read twice: scores first, pictures second.
//!
//! For pictures so large that holding them until their scores are certain would take too much
//! memory (4K). The first pass writes the records and sets the evidence aside; the second opens the
//! recording again and draws. Both give the same frames the same places, as the timeline depends
//! on nothing but the source.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Pipeline;
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::core::time::FrameRef;
use crate::onnx::engine::Engine;
use crate::run::{RunError, Setting};
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::{Blender, Drawn};
use crate::stages::sink::gst::Film;
use crate::stages::sink::spool::{Spool, SpoolReader};
use crate::stages::sink::stage::{LanesApart, Progress, Records};
use crate::stages::source::gst::Recording;
use crate::stages::sync::timeline::{JumpPolicy, Timeline};
use crate::wiring::{Passed, keep_sound, pass};

/// Both passes.
///
/// # Errors
/// The first thing that failed.
pub fn two(
    pipeline: &Pipeline,
    setting: &Setting,
    recording: &Recording,
    engine: &Engine,
    film: &Film,
    records: &mut Records,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<Passed, RunError> {
    tracing::info!("the pictures are too large to hold: reading the recording twice");
    let (spool, writer) = Spool::create()?;
    records.add(Box::new(writer));
    let mut passed = pass(setting, recording, engine, None, records, (progress, stop))?;
    recording.stop();
    if passed.fed.stopped {
        return Ok(passed);
    }
    let again = Recording::open(&pipeline.input, pipeline.audio_track)?;
    let mut known = spool.read()?;
    progress.drawing.store(true, Ordering::Relaxed);
    let evidence = |frame| next_of(&mut known, frame);
    passed.drawn = draw(setting, &again, film, evidence, (progress, stop))?;
    passed.fed.stopped = stop.load(Ordering::Relaxed);
    // A second reading that ends early is a film shorter than its records.
    match known.next_frame()? {
        Some(left) if !passed.fed.stopped => Err(LanesApart::new(left.frame.seq, None).into()),
        _ => Ok(passed),
    }
}

/// The evidence of `frame`, which comes next; `None` where a first pass that was stopped has no
/// more.
fn next_of(known: &mut SpoolReader, frame: FrameRef) -> Result<Option<FrameEvidence>, RunError> {
    let Some(next) = known.next_frame()? else { return Ok(None) };
    if next.frame != frame {
        return Err(LanesApart::new(next.frame.seq, Some(frame.seq)).into());
    }
    Ok(Some(next))
}

/// Reads the recording and writes the film, each frame with what `evidence` knows of it, until
/// there is none.
///
/// # Errors
/// The first thing that failed.
pub fn draw(
    setting: &Setting,
    recording: &Recording,
    film: &Film,
    evidence: impl FnMut(FrameRef) -> Result<Option<FrameEvidence>, RunError>,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<Drawn, RunError> {
    let mut blender = Blender::new(Painter::new(setting.style));
    let mut timeline = Timeline::new(JumpPolicy::default(), recording.shape().video.rate);
    recording.play()?;
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if let Some(packets) = recording.packets() {
            let ended = &ended;
            std::thread::Builder::new()
                .name("packets".into())
                .spawn_scoped(scope, move || keep_sound(packets, film, ended))?;
        }
        if let Some(mut sound) = recording.sound() {
            // It was heard in the first pass, but the demuxer does not go on without it.
            let ended = &ended;
            std::thread::Builder::new().name("sound".into()).spawn_scoped(scope, move || {
                while !ended.load(Ordering::Relaxed) && sound.next().is_some() {}
            })?;
        }
        let drawn: Result<(), RunError> =
            draw_all(recording, &mut timeline, &mut blender, film, evidence, (progress, stop));
        film.end_pictures();
        if drawn.is_err() || stop.load(Ordering::Relaxed) {
            ended.store(true, Ordering::Relaxed);
            recording.stop();
        }
        drawn.map(|()| blender.drawn())
    })
}

fn draw_all(
    recording: &Recording,
    timeline: &mut Timeline,
    blender: &mut Blender,
    film: &Film,
    mut evidence: impl FnMut(FrameRef) -> Result<Option<FrameEvidence>, RunError>,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<(), RunError> {
    for raw in recording.pictures() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = timeline.advance_to(raw.pts);
        let Some(known) = evidence(id)? else { break };
        let frame = Frame { id, span: raw.span, picture: raw.picture };
        let buffer = blender.draw(frame, &known)?;
        film.push_picture(buffer, id.pts, raw.span)?;
        progress.pts_ns.store(id.pts.ns(), Ordering::Relaxed);
    }
    Ok(())
}
