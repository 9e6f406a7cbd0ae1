//! One uninterrupted run of a live source: opened, watched, and taken down when it is lost.
//!
//! ```text
//! source ─┬─ frames → sync ─┬───────────── fast lane ──────────────→ show
//!         │                   └→ detect → track ─┐
//!         ├─ audio (16 kHz) ─────────────────────┴→ score … decide ──→ show
//!         └─ audio (48 kHz) ─────────────────────────────────────────→ show
//! ```
//!
//! The source's threads never wait: they place, stamp and try to send. The slow lane (detect to
//! decide) lives and dies with the session, so that no track, window or heatmap spans two, and so
//! that a stage that panics is replaced with its session; what shows and encodes goes on.

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
/// After the first frame so long is waited for an audio track to show up.
const AUDIO_TIMEOUT: Duration = Duration::from_millis(800);
/// How long a source may take to be taken down before it is left to itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What goes on from session to session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionState {
    /// The next session's epoch.
    pub epoch: Epoch,
    /// The next frame's number.
    pub seq: u64,
    /// People numbered so far.
    pub people: u32,
}

/// Where a frame goes from the source's thread.
pub(super) struct Intake {
    pub(super) timeline: Timeline,
    pub(super) clock_mapper: ClockMapper,
    generation: u32,
    size: Option<(usize, usize)>,
    pub(super) next: SessionState,
    pub(super) last_frame: Option<Instant>,
    last_frame_at: Option<Pts>,
}

/// The taps' ends of the edges.
struct TapSenders {
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
    heard: Sender<ScoreInput>,
    audio: Option<Sender<AudioBlock>>,
}

/// Runs the source until it is lost, or the stream is told to stop.
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
        heard: score_in.clone(),
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
    let TapSenders { fast, slow, heard, audio } = senders;
    let clock = context.reporter.clock;
    let placed = {
        let intake = Arc::clone(intake);
        move |block: AudioBlock| {
            let at = lock(&intake).clock_mapper.map(block.pts, clock.now()).at;
            AudioBlock { pts: Some(at), ..block }
        }
    };
    let (reporter, place) = (Arc::clone(&context.reporter), placed.clone());
    let skewed = Arc::clone(intake);
    Taps {
        changed: context.signal.clone(),
        image: Arc::new(frame_tap(context, intake, fast, slow)),
        heard: Arc::new(move |block| {
            let block = place(block);
            if let (Some(audio), Some(frame)) = (block.pts, lock(&skewed).last_frame_at) {
                let gauge = reporter.metrics.av_skew.get_or_create(&stream_labels(&reporter.name));
                gauge.set((audio - frame).seconds());
            }
            // A scorer that is behind loses audio; it must not hold up the source.
            if heard.try_send(ScoreInput::Audio(block)).is_err() {
                let queue = queues::TO_SCORE_NAME;
                count_dropped(&reporter.metrics, &reporter.name, queue, "full", 1);
            }
        }),
        audio: Arc::new(move |block| {
            if let Some(audio) = &audio {
                let _ = audio.try_send(placed(block));
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
        // Without a receiver the session is about to end.
        let _ = slow.try_send(frame);
        if begins_epoch {
            context.signal.notify();
        }
    }
}

impl Intake {
    /// The frame's place on the stream's clock. A jump of the source's clock and a change of its
    /// size each begin an epoch.
    fn place(&mut self, raw: RawFrame, now: Pts) -> (Frame, Option<&'static str>) {
        let placed = self.clock_mapper.map(raw.pts, now);
        let view = raw.image.view();
        let size = (view.width, view.height);
        let reshaped = self.size.is_some_and(|before| before != size);
        let jumped = placed.generation != self.generation;
        if jumped || reshaped {
            self.timeline.begin_epoch();
        }
        let why = match (self.size, jumped, reshaped) {
            (None, ..) => Some("the source was opened"),
            (_, true, _) => Some("the source's clock jumped"),
            (_, _, true) => Some("the frame's size changed"),
            _ => None,
        };
        (self.generation, self.size) = (placed.generation, Some(size));
        let id = self.timeline.advance_to(Some(placed.at));
        self.next.epoch = id.epoch;
        self.next.seq = id.seq + 1;
        self.last_frame = Some(Instant::now());
        self.last_frame_at = Some(id.pts);
        (Frame { id, duration: raw.duration, image: raw.image }, why)
    }
}

/// The slow lane's ends, until it starts.
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
        let shown = graph.shown();
        let frames = lock(inputs.intake).last_frame.is_some();
        if frames {
            let since = *ready_since.get_or_insert_with(Instant::now);
            let has_audio = shown.audios >= context.settings.source.audio_track;
            if shown.all || has_audio || since.elapsed() > AUDIO_TIMEOUT {
                opened(&shown.codecs);
                return live(context, graph, inputs, has_audio, session_state);
            }
        } else if begun.elapsed() > stall_timeout {
            let why = if shown.frames == 0 && shown.audios > 0 {
                "it has audio but no frame".to_owned()
            } else {
                format!("no frame came within {} s", stall_timeout.as_secs())
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

/// The source is there: runs the slow lane beside it.
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
                return SourceLoss { reason: LossReason::Stage, why: format!("no thread: {e}") };
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
            if !has_audio && graph.shown().audios >= context.settings.source.audio_track {
                let why = "an audio track has appeared".to_owned();
                break SourceLoss { reason: LossReason::Changed, why };
            }
            let wait = context.settings.source.stall_timeout.saturating_sub(quiet);
            context.signal.wait(seen, wait + TIMER_SLACK);
        };
        // The source's threads let go of their ends of the edges, and the lane ends with them.
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
            why: "the stream was told to stop".into(),
        });
    }
    let shown = graph.shown();
    if let Some(why) = shown.error {
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
    shown.ended.then_some(SourceLoss { reason: LossReason::Ended, why })
}
