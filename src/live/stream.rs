//! A live stream: its source opened again and again, its frames shown without a break.
//!
//! Two threads for good: this one opens the source, runs a session, and waits before the next try;
//! `output_policy` draws and encodes whatever there is. Neither waits for the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::load::LoadLevel;
use super::output_encoder::OutputEncoder;
use super::presenter::present;
use super::queues;
use super::session::{SessionState, session};
use crate::config::camera::{Camera, OutputPolicy};
use crate::core::backoff::Backoff;
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::meter::QueueMeter;
use crate::core::queue::{ByteSize, Overflow, Receiver, Sender, bounded};
use crate::core::time::{Epoch, Span, Tick};
use crate::onnx::engine::Engine;
use crate::run::Settings;
use crate::stages::sink::events::hub::EventHub;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::records::FrameSize;
use crate::stages::sink::records::event::Event;
use crate::stages::source::AudioBlock;
use crate::stages::source::live::{LossReason, SourceLoss};
use crate::telemetry::clock::StreamClock;
use crate::telemetry::latency::Latencies;
use crate::telemetry::metrics::{Metrics, reason_labels, stage_labels, stream_labels};
use crate::telemetry::status::{SourceState, Status};

/// A source that was well for so long has earned a quick first try.
const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(20);
/// How often a waiting stream looks whether it is to end.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Evidence by what is known now.
pub(super) struct EarlyResult(pub(super) FrameEvidence);

impl ByteSize for EarlyResult {
    fn byte_size(&self) -> usize {
        self.0.byte_size()
    }
}

/// What all stages of a stream share.
pub struct Shared {
    /// The stream as configured.
    pub camera: Camera,
    /// Its clock.
    pub clock: StreamClock,
    /// What it does.
    pub status: Status,
    /// What it measures.
    pub metrics: Metrics,
    /// How late it is.
    pub latency: Latencies,
    /// What it may spend.
    pub load: LoadLevel,
    /// Whether it is to end.
    pub stop: Arc<AtomicBool>,
    /// What its stages are built from.
    pub settings: Settings,
    /// Who runs its models.
    pub engine: Arc<Engine>,
    /// Where its packets go.
    pub fan_out: FanOut,
    /// The encoder's element.
    pub encoder: &'static str,
    /// Who hears what happens.
    pub hub: EventHub,
    /// Shown so far, for whoever waits for it.
    pub(super) fast: Option<Sender<Frame>>,
    pub(super) audio: Option<Sender<AudioBlock>>,
    pub(super) scored: Sender<FrameEvidence>,
    pub(super) early: Sender<EarlyResult>,
    queues: Mutex<Vec<(QueueMeter, u64)>>,
    dropped_frames: AtomicU64,
    /// Width and height of the newest frame, 32 bits each.
    image: AtomicU64,
}

/// The ends that `output_policy` reads.
pub(super) struct PresenterInputs {
    pub(super) frames: Receiver<Frame>,
    pub(super) scored: Receiver<FrameEvidence>,
    pub(super) early: Receiver<EarlyResult>,
    pub(super) audio: Receiver<AudioBlock>,
}

/// What a stream is made from.
pub struct StreamParts {
    /// The stream as configured.
    pub camera: Camera,
    /// What its stages are built from.
    pub settings: Settings,
    /// Who runs its models.
    pub engine: Arc<Engine>,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// Its status.
    pub status: Status,
    /// Its clock.
    pub clock: StreamClock,
    /// Where its packets go.
    pub fan_out: FanOut,
    /// The encoder's element.
    pub encoder: &'static str,
    /// Raised by sinks that want a keyframe.
    pub keyframe_requested: Arc<AtomicBool>,
    /// Who hears what happens.
    pub hub: EventHub,
    /// Whether it is to end.
    pub stop: Arc<AtomicBool>,
}

/// Runs a stream until it is told to stop (or its file has ended), on this thread and one more.
pub fn run(parts: StreamParts, latencies: Latencies) -> std::io::Result<()> {
    let (shared, inputs, keyframe_requested) = build_shared(parts, latencies);
    let shared = Arc::new(shared);
    let output_encoder =
        shared.fast.is_some().then(|| OutputEncoder::new(&shared, keyframe_requested));
    let showing = {
        let shared = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("show".into())
            .spawn(move || present(&shared, inputs, output_encoder))?
    };
    supervise(&shared, &showing);
    shared.stop.store(true, Ordering::Relaxed);
    if showing.join().is_err() {
        // Nothing can be shown any more: whoever supervises the process is to begin anew.
        shared.report_error("show", Some("it panicked; this is a fault of the program".into()));
    }
    shared.status.set_source(SourceState::Ended);
    Ok(())
}

fn build_shared(
    parts: StreamParts,
    latency: Latencies,
) -> (Shared, PresenterInputs, Arc<AtomicBool>) {
    let video =
        parts.camera.sinks.iter().any(crate::stages::sink::settings::SinkSettings::takes_video);
    let frames = queues::to_show(&parts.settings.schedule);
    let (fast, frames) = bounded("source→show", frames, Overflow::DropOldest);
    let (exact_in, scored) = bounded("score→show", queues::EVIDENCE, Overflow::DropOldest);
    let (told_in, early) = bounded("track→show", queues::EVIDENCE, Overflow::DropOldest);
    let (audio_in, audio) = bounded("source→audio", queues::AUDIO, Overflow::DropOldest);
    let queues = vec![(fast.meter(), 0), (exact_in.meter(), 0), (audio_in.meter(), 0)];
    let shared = Shared {
        latency,
        clock: parts.clock,
        status: parts.status,
        metrics: parts.metrics,
        load: LoadLevel::default(),
        stop: parts.stop,
        settings: parts.settings,
        engine: parts.engine,
        fan_out: parts.fan_out,
        encoder: parts.encoder,
        hub: parts.hub,
        image: AtomicU64::new(0),
        fast: video.then_some(fast),
        audio: video.then_some(audio_in),
        scored: exact_in,
        early: told_in,
        queues: Mutex::new(queues),
        dropped_frames: AtomicU64::new(0),
        camera: parts.camera,
    };
    (shared, PresenterInputs { frames, scored, early, audio }, parts.keyframe_requested)
}

/// Opens the source, again and again.
fn supervise(shared: &Arc<Shared>, showing: &std::thread::JoinHandle<()>) {
    let source = &shared.camera.source;
    let mut backoff = Backoff::new(source.retry_min, source.retry_max);
    let mut session_state = SessionState::default();
    let mut lost_since: Option<Instant> = None;
    while !shared.stop.load(Ordering::Relaxed) && !showing.is_finished() {
        if lost_since.is_none() {
            shared.status.set_source(SourceState::Connecting { since: Instant::now() });
        }
        let live_since: Mutex<Option<Instant>> = Mutex::new(None);
        let was_lost_since = lost_since;
        let loss = session(shared, &mut session_state, &|codecs| {
            *live_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            opened(shared, was_lost_since, codecs);
        });
        let went_live_at = live_since.into_inner().unwrap_or_else(PoisonError::into_inner);
        if went_live_at.is_some() {
            lost_since = None;
        }
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let local = matches!(source.uri.scheme(), "file" | "fd");
        if loss.reason == LossReason::Ended && local && went_live_at.is_some() {
            if source.looped {
                continue;
            }
            drain(shared);
            break;
        }
        let since = *lost_since.get_or_insert_with(Instant::now);
        source_lost(shared, &mut backoff, &loss, since, went_live_at);
    }
}

/// A file has ended: what is on its way is shown before the stream ends.
fn drain(shared: &Shared) {
    std::thread::sleep(Duration::from_nanos(u64::try_from(shared.delay().ns()).unwrap_or(0)));
}

fn opened(shared: &Shared, was_lost_since: Option<Instant>, codecs: &[String]) {
    let name = &shared.camera.name;
    shared.status.set_source(SourceState::Live { since: Instant::now() });
    shared.metrics.source_up.get_or_create(&stream_labels(name)).set(1);
    let (codecs, away) =
        (codecs.join(", "), was_lost_since.map(|since| since.elapsed().as_secs_f64()));
    match away {
        Some(away) => {
            tracing::info!(stream = %name, "the source is back after {away:.1} s ({codecs})")
        }
        None => tracing::info!(stream = %name, "the source is there ({codecs})"),
    }
    shared.hub.status(&shared.status);
}

fn source_lost(
    shared: &Shared,
    backoff: &mut Backoff,
    loss: &SourceLoss,
    since: Instant,
    went_live_at: Option<Instant>,
) {
    let name = &shared.camera.name;
    let wait = match loss.reason {
        LossReason::Changed => Duration::ZERO,
        _ => {
            if went_live_at.is_some_and(|at| at.elapsed() >= BACKOFF_RESET_AFTER) {
                backoff.reset();
            }
            backoff.next_wait()
        }
    };
    let next_try = Instant::now() + wait;
    let why = loss.why.clone();
    tracing::warn!(stream = %name, "no source: {why}; trying again in {:.1} s", wait.as_secs_f64());
    shared.status.set_source(SourceState::Lost { since, why, next_try });
    shared.metrics.source_up.get_or_create(&stream_labels(name)).set(0);
    let key = reason_labels(name, "source", loss.reason.as_str());
    shared.metrics.reconnects.get_or_create(&key).inc();
    shared.hub.status(&shared.status);
    while Instant::now() < next_try && !shared.stop.load(Ordering::Relaxed) {
        std::thread::sleep(POLL_INTERVAL.min(next_try.saturating_duration_since(Instant::now())));
    }
}

impl Shared {
    /// How late a frame is shown after its capture.
    pub fn delay(&self) -> Span {
        match self.camera.output_policy {
            OutputPolicy::Delay => self.settings.schedule.span_held,
            OutputPolicy::Latest => Span::ZERO,
        }
    }

    /// How late a frame's scores may be, at the load's level.
    pub fn score_deadline(&self) -> Span {
        let hop = self.settings.schedule.window.hop;
        let more = hop * (self.load.budget().hop_factor - 1);
        let more = Tick::SPAN.ns() * i64::try_from(more).unwrap_or(0);
        self.settings.schedule.span_held + Span::from_ns(more)
    }

    /// `text` without what must not be told.
    pub fn redacted(&self, text: &str) -> String {
        use secrecy::ExposeSecret;
        let secret = self.camera.source.login.as_ref().map(|l| l.password.expose_secret());
        match secret {
            Some(secret) if !secret.is_empty() => text.replace(secret, "*****"),
            _ => text.to_owned(),
        }
    }

    /// A part of the output is in trouble, or well again.
    pub fn report_error(&self, part: &str, error: Option<String>) {
        if let Some(why) = &error {
            tracing::warn!(stream = %self.camera.name, "{part}: {why}");
        }
        self.status.set_sink_error(part, error);
    }

    pub(super) fn publish_frame(&self, evidence: &FrameEvidence) {
        self.hub.frame(evidence, self.clock.utc(evidence.frame.pts), self.frame_size());
    }

    /// The size of the newest frame.
    pub fn frame_size(&self) -> FrameSize {
        let both = self.image.load(Ordering::Relaxed);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        FrameSize { width: half(both >> 32), height: half(both) }
    }

    /// The newest frame has this size, and begins an epoch where `epoch` says so.
    pub(super) fn set_frame_size(&self, width: usize, height: usize, epoch: Option<(Epoch, &str)>) {
        let half = |n: usize| u32::try_from(n).unwrap_or(0);
        let (width, height) = (half(width), half(height));
        self.image.store(u64::from(width) << 32 | u64::from(height), Ordering::Relaxed);
        if let Some((epoch, reason)) = epoch {
            let reason = reason.to_owned();
            self.hub.event(&Event::Epoch { epoch: epoch.0, width, height, reason });
        }
    }

    pub(super) fn load_changed(&self, level: u8) {
        let what = super::load::LEVEL_DESCRIPTIONS
            [usize::from(level).min(super::load::LEVEL_DESCRIPTIONS.len() - 1)];
        tracing::warn!(stream = %self.camera.name, "load level {level}: {what}");
        let reason = what.to_owned();
        self.hub.event(&match level {
            0 => Event::OverloadEnd { level, reason },
            _ => Event::OverloadBegin { level, reason },
        });
    }

    /// A session's own edges, instead of those of the session before it.
    pub(super) fn watch_queues(&self, metrics: &[QueueMeter]) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|(meter, _)| metrics.iter().all(|new| new.name() != meter.name()));
        queues.extend(metrics.iter().map(|meter| (meter.clone(), 0)));
    }

    /// Tells all edges to the metrics; gives how many frames were left out before the detector so
    /// far.
    pub(super) fn sample_queues(&self) -> u64 {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &self.camera.name;
        for (meter, before) in queues.iter_mut() {
            let counts = meter.read();
            let stage = stage_labels(name, meter.name());
            let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            self.metrics.queue_items.get_or_create(&stage).set(whole(counts.queued_items));
            self.metrics.queue_bytes.get_or_create(&stage).set(whole(counts.queued_bytes));
            let new = counts.dropped.saturating_sub(*before);
            *before = counts.dropped;
            if new > 0 {
                crate::telemetry::metrics::count_dropped(
                    &self.metrics,
                    name,
                    meter.name(),
                    "full",
                    new,
                );
                if meter.name() == "source→detect" {
                    self.dropped_frames.fetch_add(new, Ordering::Relaxed);
                }
            }
        }
        self.dropped_frames.load(Ordering::Relaxed)
    }
}
