//! The slow path of a session: detect and track on one thread, score to decide on another.
//!
//! Takes frames from the source's queue, and audio that the source sends directly to the scorer;
//! gives evidence. Both threads end when the session ends, and report which stage failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use super::context::{EarlyResult, StreamContext};
use super::load::{LoadBudget, LoadLevel};
use crate::core::fault_point::FaultPoint;
use crate::core::frame::Frame;
use crate::core::queue::{NoItem, Receiver, Sender};
use crate::core::signal::NotifyOnDrop;
use crate::core::time::{Span, Tick};
use crate::models::explain::Mode;
use crate::pipeline::build;
use crate::pipeline::error::PipelineError;
use crate::pipeline::live::output_policy::OutputPolicy;
use crate::stages::score::frame_assembler::FrameAssembler;
use crate::stages::score::scorer::Scorer;
use crate::stages::score::stage::{ScoreInput, ScoreObserver, score};
use crate::stages::source::live::{LossReason, SourceLoss};
use crate::stages::track::front_end::FrontEnd;
use crate::telemetry::status::Heartbeat;

/// How often a waiting stage checks whether the session has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What the slow path is built from.
pub(super) struct SlowPath<'a> {
    pub(super) context: &'a StreamContext,
    pub(super) has_audio: bool,
    pub(super) people: u32,
}

/// The running slow path.
pub(super) struct SlowPathThreads<'scope> {
    track: ScopedJoinHandle<'scope, Result<u32, PipelineError>>,
    score: ScopedJoinHandle<'scope, Result<(), PipelineError>>,
}

/// A loss where a stage has ended early; [`SlowPathThreads::join`] then gives the cause.
pub(super) fn ended_early(threads: &SlowPathThreads<'_>) -> Option<SourceLoss> {
    let ended = |stage: &str| {
        Some(SourceLoss {
            reason: LossReason::Stage,
            why: format!("the stage `{stage}` has ended"),
        })
    };
    if threads.track.is_finished() {
        return ended("track");
    }
    threads.score.is_finished().then(|| ended("score")).flatten()
}

impl<'a> SlowPath<'a> {
    /// Starts both threads.
    pub(super) fn start<'scope>(
        self,
        scope: &'scope Scope<'scope, 'a>,
        frames: Receiver<Frame>,
        (to_score, score_out): (Sender<ScoreInput>, Receiver<ScoreInput>),
        done: &'a AtomicBool,
    ) -> std::io::Result<SlowPathThreads<'scope>>
    where
        'a: 'scope,
    {
        let Self { context, has_audio, people } = self;
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let settings = &context.analysis.settings;
        let front_end = build::front_end(settings, &context.analysis.engine).low_latency(people);
        let track = named("track").spawn_scoped(scope, move || {
            let _ended = NotifyOnDrop(context.signal.clone());
            let end = InputsGuard(&to_score);
            let tracked_frames = track_frames(context, front_end, &frames, &to_score, done);
            drop(end);
            tracked_frames
        })?;
        // The scorer does not wait for anything before the session.
        let first = Tick::nearest(context.now() - Span::from_ms(4_000));
        let engine = &context.analysis.engine;
        let (scorer, assembler) = build::scoring(settings, engine, has_audio, first);
        let score = named("score").spawn_scoped(scope, move || {
            let _ended = NotifyOnDrop(context.signal.clone());
            let mut monitor = ScoringMonitor::new(context);
            let max_waiting = context.analysis.settings.schedule.max_waiting_frames;
            let to_presenter = &context.to_presenter.scored;
            score(&score_out, scorer, assembler, max_waiting, to_presenter, &mut monitor)
                .map(drop)
                .map_err(PipelineError::from)
        })?;
        Ok(SlowPathThreads { track, score })
    }
}

impl SlowPathThreads<'_> {
    /// Waits for both threads; gives the number of people seen so far, and the first error.
    pub(super) fn join(self) -> (u32, Option<SourceLoss>) {
        let tracked = self.track.join();
        let scored = self.score.join();
        let loss = |stage: &str, why: Option<String>| {
            let why = why.unwrap_or_else(|| "it panicked; this is a bug".into());
            Some(SourceLoss {
                reason: LossReason::Stage,
                why: format!("the stage `{stage}` failed: {why}"),
            })
        };
        match (tracked, scored) {
            (Err(_), _) => (0, loss("track", None)),
            (Ok(Err(e)), _) => (0, loss("track", Some(e.to_string()))),
            (Ok(Ok(people)), Err(_)) => (people, loss("score", None)),
            (Ok(Ok(people)), Ok(Err(e))) => (people, loss("score", Some(e.to_string()))),
            (Ok(Ok(people)), Ok(Ok(()))) => (people, None),
        }
    }
}

/// Ends the scorer's input, also where tracking fails or panics.
struct InputsGuard<'a>(&'a Sender<ScoreInput>);

impl Drop for InputsGuard<'_> {
    fn drop(&mut self) {
        // Fails only if the scorer has ended.
        let _ = self.0.send(ScoreInput::FramesEnd);
        let _ = self.0.send(ScoreInput::AudioEnd);
    }
}

fn track_frames(
    context: &StreamContext,
    mut front_end: FrontEnd,
    frames: &Receiver<Frame>,
    to: &Sender<ScoreInput>,
    done: &AtomicBool,
) -> Result<u32, PipelineError> {
    let heartbeat = context.reporter.status.heartbeat("track");
    let mut fault = FaultPoint::new("track");
    let normal_stride = context.analysis.settings.plan.stride;
    let mut tracked_frames = Vec::new();
    loop {
        let frame = match frames.recv_timeout(POLL_INTERVAL) {
            Ok(frame) => frame,
            Err(NoItem::Empty) if !done.load(Ordering::Relaxed) => continue,
            Err(_) => break,
        };
        fault.hit();
        front_end.set_stride(context.analysis.load.budget().stride(normal_stride));
        front_end.push(frame, &mut tracked_frames)?;
        for tracked_frame in tracked_frames.drain(..) {
            let late = context.now() - tracked_frame.0.id.pts;
            context.reporter.latency.add("track", late);
            if to.send(ScoreInput::Frame(tracked_frame)).is_err() {
                return Ok(front_end.people());
            }
        }
        heartbeat.heartbeat();
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    for tracked_frame in front_end.finish()? {
        if to.send(ScoreInput::Frame(tracked_frame)).is_err() {
            break;
        }
    }
    Ok(front_end.people())
}

/// Applies the load level to the scorer, and sends early results.
struct ScoringMonitor<'a> {
    context: &'a StreamContext,
    heartbeat: Arc<Heartbeat>,
    load: LoadLevel,
    mode: Mode,
    hop: usize,
    fault: FaultPoint,
}

impl<'a> ScoringMonitor<'a> {
    fn new(context: &'a StreamContext) -> Self {
        Self {
            context,
            heartbeat: context.reporter.status.heartbeat("score"),
            load: context.analysis.load.clone(),
            mode: context.analysis.settings.mode,
            hop: context.analysis.settings.schedule.window.hop,
            fault: FaultPoint::new("score"),
        }
    }
}

impl ScoreObserver for ScoringMonitor<'_> {
    fn after_input(&mut self, scorer: &mut Scorer, assembler: &FrameAssembler, frame: bool) {
        self.heartbeat.heartbeat();
        if !frame {
            return;
        }
        self.fault.hit();
        let budget: LoadBudget = self.load.budget();
        scorer.set_mode_and_hop(budget.mode(self.mode), self.hop * budget.hop_factor);
        if self.context.settings.output_policy == OutputPolicy::Latest
            && let Some(newest) = assembler.newest()
        {
            let _ = self.context.to_presenter.early.try_send(EarlyResult(newest));
        }
    }
}
