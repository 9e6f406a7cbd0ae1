//! One uninterrupted run of a live source: opened, watched, and closed when it is lost.
//!
//! ```text
//! source ─┬─ frames → sync ─┬───────────── fast path ──────────────→ presenter
//!         │                 └→ detect → track ─┐
//!         ├─ audio (16 kHz) ───────────────────┴→ score … decide ──→ presenter
//!         └─ audio (48 kHz) ───────────────────────────────────────→ presenter
//! ```
//!
//! The source's threads never wait: they put a frame on the stream's clock and try to send it. The
//! slow path (detect to decide) lives and dies with its session, so no track, window or heatmap spans
//! a reconnect. A stage that panics is replaced together with its session; presenter and output
//! encoder keep running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::StreamContext;
use super::queues;
use super::slow_path::{SlowPath, ended_early};
use crate::core::frame::Frame;
use crate::core::queue::{Overflow, Receiver, Sender, bounded};
use crate::core::time::{Epoch, Pts};
use crate::stages::score::stage::ScoreInput;
use crate::stages::source::live::clock_mapper::ClockMapper;
use crate::stages::source::live::gst::intake::{LiveGraph, Taps, build};
use crate::stages::source::live::{LossReason, SourceLoss};
use crate::stages::source::{AudioBlock, RawFrame};
use crate::stages::sync::timeline::{JumpPolicy, Timeline};
use crate::telemetry::metrics::{count_dropped, stream_labels};

/// Added to a wait for a deadline, so that it is past when the wait ends.
const TIMER_SLACK: Duration = Duration::from_millis(1);
/// How long to wait for an audio track after the first frame.
const AUDIO_TIMEOUT: Duration = Duration::from_millis(800);
/// How long closing a source may take; after that it is left to close in the background.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The state that continues from session to session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionState {
    /// The next session's epoch.
    pub epoch: Epoch,
    /// The next frame's number.
    pub seq: u64,
    /// Number of people seen so far.
    pub people: u32,
}

/// Gives each frame its place on the stream's clock, on the source's thread.
pub(super) struct Intake {
    pub(super) timeline: Timeline,
    pub(super) clock_mapper: ClockMapper,
    generation: u32,
    size: Option<(usize, usize)>,
    pub(super) next: SessionState,
    pub(super) last_frame: Option<Instant>,
    last_frame_at: Option<Pts>,
}

/// The queues that the taps send to.
struct TapSenders {
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
    model_audio: Sender<ScoreInput>,
    audio: Option<Sender<AudioBlock>>,
}

/// Runs the source until it is lost, or the stream is asked to stop.
pub(super) fn session(
    context: &Arc<StreamContext>,
    session_state: &mut SessionState,
    opened: &dyn Fn(&[String]),
) -> SourceLoss {
    let (slow, detect_out) =
        bounded(queues::TO_DETECT_NAME, queues::TO_DETECT, Overflow::DropOldest);
    let (score_in, score_out) = bounded(queues::TO_SCORE_NAME, queues::TO_SCORE, Overflow::Block);
    let intake = Arc::new(Mutex::new(Intake {
        timeline: Timeline::new(JumpPolicy::default(), None)
            .resumed_at(session_state.epoch, session_state.seq),
        clock_mapper: ClockMapper::new(context.now()),
        generation: 0,
        size: None,
        next: *session_state,
        last_frame: None,
        last_frame_at: None,
    }));
    context.reporter.watch_queues(&[slow.meter(), score_in.meter()]);
    let senders = TapSenders {
        fast: context.to_presenter.frames.clone(),
        slow,
        model_audio: score_in.clone(),
        audio: context.to_presenter.audio.clone(),
    };
    let loss = match build(&context.settings.source, taps(context, &intake, senders)) {
        Err(e) => SourceLoss { reason: LossReason::Unreadable, why: e.to_string() },
        Ok(graph) => {
            let inputs = AnalysisInputs { detect_out, score_out, score_in, intake: &intake };
            let loss = watch(context, &graph, inputs, opened, session_state);
            graph.stop_within(CLOSE_TIMEOUT);
            loss
        }
    };
    let intake = lock(&intake);
    *session_state = SessionState { people: session_state.people, ..intake.next };
    session_state.epoch = session_state.epoch.next();
    loss
}

fn lock(intake: &Mutex<Intake>) -> std::sync::MutexGuard<'_, Intake> {
    intake.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taps(context: &Arc<StreamContext>, intake: &Arc<Mutex<Intake>>, senders: TapSenders) -> Taps {
    let TapSenders { fast, slow, model_audio, audio } = senders;
    let clock = context.reporter.clock;
    let map_time = {
        let intake = Arc::clone(intake);
        move |block: AudioBlock| {
            let at = lock(&intake).clock_mapper.map(block.pts, clock.now()).at;
            AudioBlock { pts: Some(at), ..block }
        }
    };
    let (reporter, place) = (Arc::clone(&context.reporter), map_time.clone());
    let last_frame = Arc::clone(intake);
    Taps {
        changed: context.signal.clone(),
        image: Arc::new(frame_tap(context, intake, fast, slow)),
        model_audio: Arc::new(move |block| {
            let block = place(block);
            if let (Some(audio), Some(frame)) = (block.pts, lock(&last_frame).last_frame_at) {
                let gauge = reporter.metrics.av_skew.get_or_create(&stream_labels(&reporter.name));
                gauge.set((audio - frame).seconds());
            }
            // A scorer that is behind loses audio; it must not block the source.
            if model_audio.try_send(ScoreInput::Audio(block)).is_err() {
                let queue = queues::TO_SCORE_NAME;
                count_dropped(&reporter.metrics, &reporter.name, queue, "full", 1);
            }
        }),
        audio: Arc::new(move |block| {
            if let Some(audio) = &audio {
                let _ = audio.try_send(map_time(block));
            }
        }),
    }
}

/// Puts each frame on the stream's clock and sends it down both paths.
fn frame_tap(
    context: &Arc<StreamContext>,
    intake: &Arc<Mutex<Intake>>,
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
) -> impl Fn(RawFrame) + Send + Sync + 'static {
    let (intake, context) = (Arc::clone(intake), Arc::clone(context));
    move |raw: RawFrame| {
        let now = context.now();
        let (frame, epoch) = lock(&intake).place(raw, now);
        let begins_epoch = epoch.is_some();
        let view = frame.image.view();
        let epoch = epoch.map(|reason| (frame.id.epoch, reason));
        context.reporter.set_frame_size(view.width, view.height, epoch);
        context.reporter.latency.add("decode", now - frame.id.pts);
        if let Some(fast) = &fast {
            let _ = fast.try_send(frame.clone());
        }
        // Fails only when the session is about to end.
        let _ = slow.try_send(frame);
        if begins_epoch {
            context.signal.notify();
        }
    }
}

impl Intake {
    /// The frame's place on the stream's clock. A jump of the source's clock begins an epoch, and so
    /// does a change of the frame size.
    fn place(&mut self, raw: RawFrame, now: Pts) -> (Frame, Option<&'static str>) {
        let mapped = self.clock_mapper.map(raw.pts, now);
        let view = raw.image.view();
        let size = (view.width, view.height);
        let resized = self.size.is_some_and(|before| before != size);
        let jumped = mapped.generation != self.generation;
        if jumped || resized {
            self.timeline.begin_epoch();
        }
        let reason = match (self.size, jumped, resized) {
            (None, ..) => Some("the source was opened"),
            (_, true, _) => Some("the source's clock jumped"),
            (_, _, true) => Some("the frame size changed"),
            _ => None,
        };
        (self.generation, self.size) = (mapped.generation, Some(size));
        let id = self.timeline.advance_to(Some(mapped.at));
        self.next.epoch = id.epoch;
        self.next.seq = id.seq + 1;
        self.last_frame = Some(Instant::now());
        self.last_frame_at = Some(id.pts);
        (Frame { id, duration: raw.duration, image: raw.image }, reason)
    }
}

/// The slow path's queues, until it starts.
struct AnalysisInputs<'a> {
    detect_out: Receiver<Frame>,
    score_out: Receiver<ScoreInput>,
    score_in: Sender<ScoreInput>,
    intake: &'a Mutex<Intake>,
}

/// Starts the source, waits for its first frame, then watches it until it is lost.
fn watch(
    context: &StreamContext,
    graph: &LiveGraph,
    inputs: AnalysisInputs<'_>,
    opened: &dyn Fn(&[String]),
    session_state: &mut SessionState,
) -> SourceLoss {
    if let Err(why) = graph.play() {
        let why = context.redacted(&why);
        return lost(context, graph).unwrap_or(SourceLoss { reason: LossReason::Unreachable, why });
    }
    if let Some(base) = graph.base(context.now()) {
        lock(inputs.intake).clock_mapper = ClockMapper::new(base);
    }
    let begun = Instant::now();
    let stall_timeout = context.settings.source.stall_timeout;
    let mut ready_since: Option<Instant> = None;
    loop {
        let seen = context.signal.seen();
        if let Some(loss) = lost(context, graph) {
            return loss;
        }
        let streams = graph.discovered();
        let has_frames = lock(inputs.intake).last_frame.is_some();
        if has_frames {
            let since = *ready_since.get_or_insert_with(Instant::now);
            let has_audio = streams.audios >= context.settings.source.audio_track;
            if streams.all || has_audio || since.elapsed() > AUDIO_TIMEOUT {
                opened(&streams.codecs);
                return live(context, graph, inputs, has_audio, session_state);
            }
        } else if begun.elapsed() > stall_timeout {
            let why = if streams.frames == 0 && streams.audios > 0 {
                "it has audio but no video".to_owned()
            } else {
                format!("no frame arrived within {} s", stall_timeout.as_secs())
            };
            return SourceLoss { reason: LossReason::Stalled, why };
        }
        let wait = match ready_since {
            Some(since) => AUDIO_TIMEOUT.saturating_sub(since.elapsed()),
            None => stall_timeout.saturating_sub(begun.elapsed()),
        };
        context.signal.wait(seen, wait + TIMER_SLACK);
    }
}

/// The source is live: runs the slow path until the source is lost.
fn live(
    context: &StreamContext,
    graph: &LiveGraph,
    inputs: AnalysisInputs<'_>,
    has_audio: bool,
    session_state: &mut SessionState,
) -> SourceLoss {
    let AnalysisInputs { detect_out, score_out, score_in, intake } = inputs;
    let done = AtomicBool::new(false);
    let slow = SlowPath { context, has_audio, people: session_state.people };
    std::thread::scope(|scope| {
        let threads = match slow.start(scope, detect_out, (score_in, score_out), &done) {
            Ok(threads) => threads,
            Err(e) => {
                let why = format!("a thread cannot be started: {e}");
                return SourceLoss { reason: LossReason::Stage, why };
            }
        };
        let loss = loop {
            let seen = context.signal.seen();
            if let Some(loss) = lost(context, graph) {
                break loss;
            }
            if let Some(loss) = ended_early(&threads) {
                break loss;
            }
            let quiet = lock(intake).last_frame.map_or(Duration::ZERO, |at| at.elapsed());
            if quiet > context.settings.source.stall_timeout {
                let why = format!("no frame for {:.0} s", quiet.as_secs_f64());
                break SourceLoss { reason: LossReason::Stalled, why };
            }
            if !has_audio && graph.discovered().audios >= context.settings.source.audio_track {
                let why = "an audio track has appeared".to_owned();
                break SourceLoss { reason: LossReason::Changed, why };
            }
            let wait = context.settings.source.stall_timeout.saturating_sub(quiet);
            context.signal.wait(seen, wait + TIMER_SLACK);
        };
        // The source's threads drop their senders, and the slow path ends with them.
        done.store(true, Ordering::Relaxed);
        graph.stop_within(CLOSE_TIMEOUT);
        let (people, failed) = threads.join();
        session_state.people = people.max(session_state.people);
        failed.unwrap_or(loss)
    })
}

/// Why the source is lost, where it is.
fn lost(context: &StreamContext, graph: &LiveGraph) -> Option<SourceLoss> {
    if context.is_stopped() {
        return Some(SourceLoss {
            reason: LossReason::Ended,
            why: "the stream was stopped".into(),
        });
    }
    let streams = graph.discovered();
    if let Some(why) = streams.error {
        return Some(SourceLoss { reason: LossReason::Unreadable, why });
    }
    if let Some(fault) = graph.bus.log().error {
        let missing = graph.bus.log().missing;
        let reason = match () {
            () if fault.unauthorized => LossReason::Refused,
            () if !missing.is_empty() || fault.unknown_type => LossReason::Unreadable,
            () => LossReason::Unreachable,
        };
        let why = match missing.is_empty() {
            true => {
                let source = &context.settings.source;
                fault.source_error(
                    &source.uri,
                    source.login.is_some(),
                    source.tls_ca_file.as_deref(),
                )
            }
            false => format!("GStreamer lacks a plugin for: {}", missing.join(", ")),
        };
        return Some(SourceLoss { reason, why: context.redacted(&why) });
    }
    let why = "the source has ended".to_owned();
    streams.ended.then_some(SourceLoss { reason: LossReason::Ended, why })
}
