//! A recording read twice: scores first, frames second.
//!
//! For frames so large that holding them until their scores are final would take too much memory
//! (4K). The first pass writes the records and stores the evidence in a temporary file. The second
//! pass opens the recording again and draws. Both passes number the frames alike, as the timeline
//! depends on the source only.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::PipelineError;
use super::recording::{PassCounts, copy_audio, run_pass};
use super::settings::Settings;
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::progress::Progress;
use crate::core::time::FrameRef;
use crate::onnx::engine::Engine;
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::{BlendCounts, Blender};
use crate::stages::sink::evidence_file::{EvidenceFile, EvidenceReader};
use crate::stages::sink::gst::FileSink;
use crate::stages::sink::stage::{FrameMismatch, Records};
use crate::stages::source::SourceError;
use crate::stages::source::gst::Recording;
use crate::stages::sync::timeline::{JumpPolicy, Timeline};

/// Runs both passes; `again` opens the recording a second time.
///
/// # Errors
/// The first error.
pub(crate) fn run_two_passes(
    again: impl FnOnce() -> Result<Recording, SourceError>,
    settings: &Settings,
    recording: &Recording,
    engine: &Engine,
    output: &FileSink,
    records: &mut Records,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<PassCounts, PipelineError> {
    tracing::info!("the frames are too large to hold: reading the recording twice");
    let (evidence_file, writer) = EvidenceFile::create()?;
    records.add(Box::new(writer));
    let mut counts = run_pass(settings, recording, engine, None, records, (progress, stop))?;
    recording.stop();
    if counts.source_counts.stopped {
        return Ok(counts);
    }
    let again = again()?;
    let mut stored_evidence = evidence_file.read()?;
    progress.drawing.store(true, Ordering::Relaxed);
    let evidence = |frame| next_of(&mut stored_evidence, frame);
    counts.drawn = draw(settings, &again, output, evidence, (progress, stop))?;
    counts.source_counts.stopped = stop.load(Ordering::Relaxed);
    // A second pass that ends early would leave a video shorter than its records.
    match stored_evidence.next_frame()? {
        Some(missing) if !counts.source_counts.stopped => {
            Err(FrameMismatch::new(missing.frame.seq, None).into())
        }
        _ => Ok(counts),
    }
}

/// The evidence of `frame`, which is the next one; `None` where the first pass was stopped before
/// this frame.
fn next_of(
    stored_evidence: &mut EvidenceReader,
    frame: FrameRef,
) -> Result<Option<FrameEvidence>, PipelineError> {
    let Some(next) = stored_evidence.next_frame()? else { return Ok(None) };
    if next.frame != frame {
        return Err(FrameMismatch::new(next.frame.seq, Some(frame.seq)).into());
    }
    Ok(Some(next))
}

/// Reads the recording and writes the annotated video, drawing on each frame what `evidence`
/// returns, until it returns `None`.
///
/// # Errors
/// The first error.
pub(crate) fn draw(
    settings: &Settings,
    recording: &Recording,
    output: &FileSink,
    evidence: impl FnMut(FrameRef) -> Result<Option<FrameEvidence>, PipelineError>,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<BlendCounts, PipelineError> {
    let mut blender = Blender::new(Painter::new(settings.style));
    let mut timeline = Timeline::new(JumpPolicy::default(), recording.shape().video.rate);
    recording.play()?;
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if let Some(packets) = recording.packets() {
            let ended = &ended;
            std::thread::Builder::new()
                .name("packets".into())
                .spawn_scoped(scope, move || copy_audio(packets, output, ended))?;
        }
        if let Some(mut audio) = recording.audio() {
            // The first pass has used it, but the demuxer blocks unless it is read.
            let ended = &ended;
            std::thread::Builder::new().name("audio".into()).spawn_scoped(scope, move || {
                while !ended.load(Ordering::Relaxed) && audio.next().is_some() {}
            })?;
        }
        let drawn: Result<(), PipelineError> =
            draw_all(recording, &mut timeline, &mut blender, output, evidence, (progress, stop));
        output.end_frames();
        if drawn.is_err() || stop.load(Ordering::Relaxed) {
            ended.store(true, Ordering::Relaxed);
            recording.stop();
        }
        drawn.map(|()| blender.counts())
    })
}

fn draw_all(
    recording: &Recording,
    timeline: &mut Timeline,
    blender: &mut Blender,
    output: &FileSink,
    mut evidence: impl FnMut(FrameRef) -> Result<Option<FrameEvidence>, PipelineError>,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<(), PipelineError> {
    for raw in recording.frames() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = timeline.advance_to(raw.pts);
        let Some(stored_evidence) = evidence(id)? else { break };
        let frame = Frame { id, duration: raw.duration, image: raw.image };
        let buffer = blender.draw(frame, &stored_evidence)?;
        output.push_frame(buffer, id.pts, raw.duration)?;
        progress.pts_ns.store(id.pts.ns(), Ordering::Relaxed);
    }
    Ok(())
}
