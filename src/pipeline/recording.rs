//! One pass over a recording: the stages in order, each on a named thread, connected by queues.
//!
//! ```text
//! source ─┬─ frames → sync ─┬──────────────── fast path ───────────────┬→ overlay → file sink
//!         │                 └→ detect → track ─┐                       │
//!         ├─ audio ────────────────────────────┴→ features, score, ────┘→ records
//!         │                                       explain, decide
//!         └─ packets (the audio as stored) ────────────────────────────→ file sink
//! ```
//!
//! Every queue blocks; nothing is dropped. The fast path holds as many frames as the slow path
//! needs, by the sum in [`crate::stages::score::budget`]. Where these frames exceed the byte budget,
//! `two_passes` reads the recording twice: scores first, frames second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use super::build;
use super::error::PipelineError;
use super::settings::Settings;
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::progress::Progress;
use crate::core::queue::{Capacity, Overflow, Receiver, Sender, bounded};
use crate::core::time::Tick;
use crate::onnx::engine::Engine;
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::{BlendCounts, Blender};
use crate::stages::score::stage::{NoObserver, ScoreCounts, ScoreInput, score};
use crate::stages::sink::gst::FileSink;
use crate::stages::sink::stage::{Records, write};
use crate::stages::source::gst::{AudioReader, PacketReader, Recording};
use crate::stages::sync::feed::{InFlightLimit, SourceCounts, feed_frames};
use crate::stages::sync::timeline::{JumpPolicy, Timeline};
use crate::stages::track::front_end::FrontEnd;

/// Items that wait between two stages of the slow path.
const STAGE_QUEUE_ITEMS: usize = 4;
/// Bytes of decoded audio that may wait for the scorer.
const AUDIO_QUEUE_BYTES: usize = 64 << 20;

/// What a pass over the recording did.
#[derive(Debug, Default)]
pub struct PassCounts {
    /// What the source delivered.
    pub source_counts: SourceCounts,
    /// What was scored.
    pub scored: ScoreCounts,
    /// What was drawn.
    pub drawn: BlendCounts,
}

/// One pass through all stages: writes the evidence of every frame to `records`, and draws it on the
/// annotated video where there is one.
///
/// # Errors
/// The first error, in the order of the stages.
pub fn run_pass(
    settings: &Settings,
    recording: &Recording,
    engine: &Engine,
    output: Option<&FileSink>,
    records: &mut Records,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<PassCounts, PipelineError> {
    // Bounded by the source itself (`InFlightLimit`): in frames and in media time.
    let unbounded = Capacity { items: usize::MAX, bytes: usize::MAX };
    let (fast_in, fast_out) = bounded("source→overlay", unbounded, Overflow::Block);
    let (evidence_in, evidence_out) = bounded("score→overlay", unbounded, Overflow::Block);
    let (fast_in, fast_out) = output.map(|_| (fast_in, fast_out)).unzip();
    let has_audio = recording.shape().audio.is_some();
    let (scorer, assembler) = build::scoring(settings, engine, has_audio, Tick::default());
    recording.play()?;
    std::thread::scope(|scope| {
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let in_flight_limit = output.and(settings.schedule.frames_held).map(|frames| {
            InFlightLimit { frames, duration: settings.schedule.span_held, progress }
        });
        let fast = FastPath { output, frames: fast_in, in_flight_limit };
        let FrontEndThreads { source, track, score_out } =
            spawn_front_end(scope, settings, recording, engine, fast, stop)?;
        let max_waiting = settings.schedule.max_waiting_frames;
        let scoring = named("score").spawn_scoped(scope, move || {
            stop_on_error(recording, || {
                score(&score_out, scorer, assembler, max_waiting, &evidence_in, &mut NoObserver)
            })
        })?;
        let overlay = named("overlay").spawn_scoped(scope, move || {
            let drawn = stop_on_error(recording, || {
                draw(settings, output, &evidence_out, fast_out.as_ref(), records, progress)
            });
            // The audio may be longer than the video; the muxer must not wait for more frames.
            output.iter().for_each(|output| output.end_frames());
            drawn
        })?;
        let source_counts = join_stage(source, "source");
        let tracked = join_stage(track, "track").flatten();
        let scored = join_stage(scoring, "score").and_then(|s| s.map_err(PipelineError::from));
        let drawn = join_stage(overlay, "overlay").flatten();
        // A stage that fails also ends its neighbours: report the cause, not the consequence.
        let drawn = drawn?;
        tracked?;
        Ok(PassCounts { source_counts: source_counts?, scored: scored?, drawn })
    })
}

/// Runs only the stages before scoring. `take` receives their output on the calling thread, and may
/// return before they end.
///
/// # Errors
/// The first error, in the order of the stages.
pub fn detect_and_track<T>(
    settings: &Settings,
    recording: &Recording,
    engine: &Engine,
    take: impl FnOnce(Receiver<ScoreInput>) -> T,
) -> Result<(T, SourceCounts), PipelineError> {
    let stop = AtomicBool::new(false);
    recording.play()?;
    std::thread::scope(|scope| {
        let fast = FastPath { output: None, frames: None, in_flight_limit: None };
        let FrontEndThreads { source, track, score_out } =
            spawn_front_end(scope, settings, recording, engine, fast, &stop)?;
        let taken = stop_on_error(recording, || Ok::<_, PipelineError>(take(score_out)));
        // Ends the threads that still read.
        stop.store(true, Ordering::Relaxed);
        recording.stop();
        let source_counts = join_stage(source, "source");
        join_stage(track, "track").flatten()?;
        Ok((taken?, source_counts?))
    })
}

/// Where frames go besides the slow path.
struct FastPath<'scope> {
    output: Option<&'scope FileSink>,
    frames: Option<Sender<Frame>>,
    in_flight_limit: Option<InFlightLimit<'scope>>,
}

/// The running stages before scoring.
struct FrontEndThreads<'scope> {
    source: ScopedJoinHandle<'scope, SourceCounts>,
    track: ScopedJoinHandle<'scope, Result<(), PipelineError>>,
    /// Tracked frames and audio.
    score_out: Receiver<ScoreInput>,
}

/// Starts the stages before scoring, each on a thread.
fn spawn_front_end<'scope>(
    scope: &'scope Scope<'scope, '_>,
    settings: &Settings,
    recording: &'scope Recording,
    engine: &Engine,
    fast: FastPath<'scope>,
    stop: &'scope AtomicBool,
) -> Result<FrontEndThreads<'scope>, PipelineError> {
    let named = |name: &str| std::thread::Builder::new().name(name.into());
    let frame_capacity = Capacity { items: STAGE_QUEUE_ITEMS, bytes: usize::MAX };
    let score_capacity = Capacity { items: usize::MAX, bytes: AUDIO_QUEUE_BYTES };
    let (detect_in, detect_out) = bounded("source→detect", frame_capacity, Overflow::Block);
    let (score_in, score_out) = bounded("track→score", score_capacity, Overflow::Block);
    let front_end = build::front_end(settings, engine);
    let timeline = Timeline::new(JumpPolicy::default(), recording.shape().video.rate);
    let source_frames = recording.frames();
    let FastPath { output, frames, in_flight_limit } = fast;
    let source = named("source").spawn_scoped(scope, move || {
        let source_counts =
            feed_frames(source_frames, timeline, frames, detect_in, in_flight_limit, stop);
        // Frames that are no longer read block the demuxer, and with it the audio reader, which
        // may not have seen `stop` yet.
        if source_counts.stopped {
            recording.stop();
        }
        source_counts
    })?;
    read_audio(scope, recording, output, &score_in, stop)?;
    let track = named("track").spawn_scoped(scope, move || {
        stop_on_error(recording, || track_frames(front_end, &detect_out, &score_in))
    })?;
    Ok(FrontEndThreads { source, track, score_out })
}

/// Starts the two audio threads: one for the model, one for the file sink.
fn read_audio<'scope>(
    scope: &'scope Scope<'scope, '_>,
    recording: &Recording,
    output: Option<&'scope FileSink>,
    to: &Sender<ScoreInput>,
    stop: &'scope AtomicBool,
) -> Result<(), PipelineError> {
    let named = |name: &str| std::thread::Builder::new().name(name.into());
    if let Some(audio) = recording.audio() {
        let to = to.clone();
        named("audio").spawn_scoped(scope, move || feed_audio(audio, &to, stop))?;
    }
    if let Some(packets) = recording.packets() {
        named("packets").spawn_scoped(scope, move || match output {
            Some(output) => copy_audio(packets, output, stop),
            // Unused, but the demuxer blocks unless they are read.
            None => packets.take_while(|_| !stop.load(Ordering::Relaxed)).for_each(drop),
        })?;
    }
    Ok(())
}

/// Stops the recording if `work` fails or panics. Its readers then end, instead of waiting for a
/// stage that no longer runs.
fn stop_on_error<T, E>(recording: &Recording, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    struct StopGuard<'a>(Option<&'a Recording>);
    impl Drop for StopGuard<'_> {
        fn drop(&mut self) {
            if let Some(recording) = self.0 {
                recording.stop();
            }
        }
    }
    let mut guard = StopGuard(Some(recording));
    let result = work();
    if result.is_ok() {
        guard.0 = None;
    }
    result
}

fn join_stage<T>(handle: ScopedJoinHandle<'_, T>, stage: &'static str) -> Result<T, PipelineError> {
    handle.join().map_err(|_| PipelineError::Panicked { stage })
}

fn feed_audio(audio: AudioReader, to: &Sender<ScoreInput>, stop: &AtomicBool) {
    for block in audio {
        if stop.load(Ordering::Relaxed) || to.send(ScoreInput::Audio(block)).is_err() {
            break;
        }
    }
    // Fails only if the scorer has ended.
    let _ = to.send(ScoreInput::AudioEnd);
}

/// Copies the stored audio to the file sink until it ends, or until `stop`.
pub fn copy_audio(packets: PacketReader, output: &FileSink, stop: &AtomicBool) {
    for packet in packets {
        // The overlay stage reports the error: it pushes frames to the same file sink.
        if stop.load(Ordering::Relaxed) || output.push_packet(&packet).is_err() {
            break;
        }
    }
    output.end_packets();
}

fn track_frames(
    mut front_end: FrontEnd,
    frames: &Receiver<Frame>,
    to: &Sender<ScoreInput>,
) -> Result<(), PipelineError> {
    let mut tracked = Vec::new();
    while let Some(frame) = frames.recv() {
        front_end.push(frame, &mut tracked)?;
        for tracked_frame in tracked.drain(..) {
            if to.send(ScoreInput::Frame(tracked_frame)).is_err() {
                return Ok(());
            }
        }
    }
    for tracked_frame in front_end.finish()? {
        if to.send(ScoreInput::Frame(tracked_frame)).is_err() {
            return Ok(());
        }
    }
    let _ = to.send(ScoreInput::FramesEnd);
    Ok(())
}

fn draw(
    settings: &Settings,
    output: Option<&FileSink>,
    evidence: &Receiver<FrameEvidence>,
    frames: Option<&Receiver<Frame>>,
    records: &mut Records,
    progress: &Progress,
) -> Result<BlendCounts, PipelineError> {
    let mut blender = Blender::new(Painter::new(settings.style));
    write(evidence, frames, records, progress, |frame, evidence| {
        let (pts, duration) = (frame.id.pts, frame.duration);
        let buffer = blender.draw(frame, evidence)?;
        if let Some(output) = output {
            output.push_frame(buffer, pts, duration)?;
        }
        Ok::<_, PipelineError>(())
    })?;
    Ok(blender.counts())
}
