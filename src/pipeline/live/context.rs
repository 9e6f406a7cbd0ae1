//! What the threads of one live stream share: its settings, its analysis, its output and its reporter.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::load::{LEVEL_DESCRIPTIONS, LoadLevel};
use super::output_policy::OutputPolicy;
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::meter::QueueMeter;
use crate::core::queue::{ByteSize, Receiver, Sender};
use crate::core::signal::Signal;
use crate::core::time::{Epoch, Span, Tick};
use crate::onnx::engine::Engine;
use crate::pipeline::settings::Settings;
use crate::stages::overlay::Style;
use crate::stages::sink::events::hub::EventHub;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::records::FrameSize;
use crate::stages::sink::records::event::Event;
use crate::stages::sink::settings::EncoderSettings;
use crate::stages::source::AudioBlock;
use crate::stages::source::live::settings::SourceSettings;
use crate::telemetry::clock::StreamClock;
use crate::telemetry::latency::Latencies;
use crate::telemetry::metrics::{Metrics, count_dropped, stage_labels};
use crate::telemetry::status::Status;

/// The configuration of a live stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamSettings {
    /// The source.
    pub source: SourceSettings,
    /// When a frame is shown.
    pub output_policy: OutputPolicy,
    /// How it is encoded.
    pub encoder: EncoderSettings,
    /// What is drawn.
    pub style: Style,
    /// Whether any sink takes encoded frames.
    pub has_video_sinks: bool,
}

/// What analyses a stream.
pub(crate) struct Analysis {
    /// What its stages are built from.
    pub settings: Settings,
    /// What runs its models.
    pub engine: Arc<Engine>,
    /// The load level: what is left out where the machine is too slow.
    pub load: LoadLevel,
}

/// Where a stream's encoded frames and audio go.
#[derive(Clone)]
pub(crate) struct Output {
    /// To all sinks.
    pub fan_out: FanOut,
    /// The encoder element.
    pub encoder: &'static str,
    /// Set by sinks that need a keyframe.
    pub keyframe_requested: Arc<AtomicBool>,
}

/// Early evidence of a frame, with the scores known so far.
pub(crate) struct EarlyResult(pub FrameEvidence);

impl ByteSize for EarlyResult {
    fn byte_size(&self) -> usize {
        self.0.byte_size()
    }
}

/// The queues by which sessions send to the presenter.
pub(crate) struct ToPresenter {
    /// Frames; `None` where no sink takes them.
    pub frames: Option<Sender<Frame>>,
    /// Audio for the encoder; `None` where no sink takes it.
    pub audio: Option<Sender<AudioBlock>>,
    /// Final evidence.
    pub scored: Sender<FrameEvidence>,
    /// Early evidence.
    pub early: Sender<EarlyResult>,
}

/// The queues that the presenter receives from.
pub(crate) struct PresenterInputs {
    /// Frames.
    pub frames: Receiver<Frame>,
    /// Final evidence.
    pub scored: Receiver<FrameEvidence>,
    /// Early evidence.
    pub early: Receiver<EarlyResult>,
    /// Audio for the encoder.
    pub audio: Receiver<AudioBlock>,
}

/// What the threads of one live stream share.
pub(crate) struct StreamContext {
    /// Its configuration.
    pub settings: StreamSettings,
    /// What analyses it.
    pub analysis: Analysis,
    /// Status, metrics, latencies and events.
    pub reporter: Arc<Reporter>,
    /// Where sessions send to.
    pub to_presenter: ToPresenter,
    /// Notified of changes, and of the request to stop.
    pub signal: Signal,
}

impl StreamContext {
    /// How late a frame is shown after its capture.
    pub(crate) fn delay(&self) -> Span {
        match self.settings.output_policy {
            OutputPolicy::Delay => self.analysis.settings.schedule.span_held,
            OutputPolicy::Latest => Span::ZERO,
        }
    }

    /// How late a frame's scores may be, at the load's level.
    pub(crate) fn score_deadline(&self) -> Span {
        let schedule = &self.analysis.settings.schedule;
        let extra_ticks = schedule.window.hop * (self.analysis.load.budget().hop_factor - 1);
        let extra_ns = Tick::SPAN.ns() * i64::try_from(extra_ticks).unwrap_or(0);
        schedule.span_held + Span::from_ns(extra_ns)
    }

    /// Whether the stream was asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.signal.is_stopped()
    }

    /// The current time on the stream's clock.
    pub(crate) fn now(&self) -> crate::core::time::Pts {
        self.reporter.clock.now()
    }

    /// `text` with the source's password replaced.
    pub(crate) fn redacted(&self, text: &str) -> String {
        use secrecy::ExposeSecret;
        let secret = self.settings.source.login.as_ref().map(|l| l.password.expose_secret());
        match secret {
            Some(secret) if !secret.is_empty() => text.replace(secret, "*****"),
            _ => text.to_owned(),
        }
    }
}

/// Reports what a stream does: status, metrics, latencies, events.
pub(crate) struct Reporter {
    /// The stream's name.
    pub name: String,
    /// Its clock.
    pub clock: StreamClock,
    /// Its status.
    pub status: Status,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// How late each stage is.
    pub latency: Latencies,
    /// Where events go.
    pub hub: EventHub,
    queues: QueueMeters,
    /// Width and height of the newest frame, 32 bits each.
    frame_size: AtomicU64,
}

impl Reporter {
    /// A reporter for the stream `name` with the queues of `meters`.
    pub(crate) fn new(
        name: &str,
        clock: StreamClock,
        (status, metrics, latency, hub): (Status, Metrics, Latencies, EventHub),
        meters: Vec<QueueMeter>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            status,
            metrics,
            latency,
            hub,
            queues: QueueMeters::new(meters),
            frame_size: AtomicU64::new(0),
        }
    }

    /// Reports that `part` of the output fails with `error`, or works again (`None`).
    pub(crate) fn report_error(&self, part: &str, error: Option<String>) {
        if let Some(why) = &error {
            tracing::warn!(stream = %self.name, "{part}: {why}");
        }
        self.status.set_sink_error(part, error);
    }

    /// Sends the final evidence of a frame to the event sinks.
    pub(crate) fn publish_frame(&self, evidence: &FrameEvidence) {
        self.hub.frame(evidence, self.clock.utc(evidence.frame.pts), self.frame_size());
    }

    /// The size of the newest frame.
    pub(crate) fn frame_size(&self) -> FrameSize {
        let both = self.frame_size.load(Ordering::Relaxed);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        FrameSize { width: half(both >> 32), height: half(both) }
    }

    /// Sets the size of the newest frame, and reports an epoch that begins with it.
    pub(crate) fn set_frame_size(&self, width: usize, height: usize, epoch: Option<(Epoch, &str)>) {
        let half = |n: usize| u32::try_from(n).unwrap_or(0);
        let (width, height) = (half(width), half(height));
        self.frame_size.store(u64::from(width) << 32 | u64::from(height), Ordering::Relaxed);
        if let Some((epoch, reason)) = epoch {
            let reason = reason.to_owned();
            self.hub.event(&Event::Epoch { epoch: epoch.0, width, height, reason });
        }
    }

    /// Reports a new load level.
    pub(crate) fn load_changed(&self, level: u8) {
        let what = LEVEL_DESCRIPTIONS[usize::from(level).min(LEVEL_DESCRIPTIONS.len() - 1)];
        tracing::warn!(stream = %self.name, "load level {level}: {what}");
        let reason = what.to_owned();
        self.hub.event(&match level {
            0 => Event::OverloadEnd { level, reason },
            _ => Event::OverloadBegin { level, reason },
        });
    }

    /// From now on samples these queues of a session, instead of those of the session before.
    pub(crate) fn watch_queues(&self, meters: &[QueueMeter]) {
        self.queues.replace(meters);
    }

    /// Updates the metrics of all queues; gives the number of frames dropped before the detector so
    /// far.
    pub(crate) fn sample_queues(&self) -> u64 {
        self.queues.sample(&self.metrics, &self.name)
    }
}

/// The meters of a stream's queues, each with the number of drops already counted.
struct QueueMeters {
    meters: Mutex<Vec<(QueueMeter, u64)>>,
    dropped_frames: AtomicU64,
}

impl QueueMeters {
    fn new(meters: Vec<QueueMeter>) -> Self {
        let meters = meters.into_iter().map(|meter| (meter, 0)).collect();
        Self { meters: Mutex::new(meters), dropped_frames: AtomicU64::new(0) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(QueueMeter, u64)>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, new: &[QueueMeter]) {
        let mut meters = self.lock();
        meters.retain(|(meter, _)| new.iter().all(|new| new.name() != meter.name()));
        meters.extend(new.iter().map(|meter| (meter.clone(), 0)));
    }

    fn sample(&self, metrics: &Metrics, stream: &str) -> u64 {
        for (meter, before) in self.lock().iter_mut() {
            let counts = meter.read();
            let labels = stage_labels(stream, meter.name());
            let value = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            metrics.queue_items.get_or_create(&labels).set(value(counts.queued_items));
            metrics.queue_bytes.get_or_create(&labels).set(value(counts.queued_bytes));
            let new = counts.dropped.saturating_sub(*before);
            *before = counts.dropped;
            if new > 0 {
                count_dropped(metrics, stream, meter.name(), "full", new);
                if meter.name() == super::queues::TO_DETECT_NAME {
                    self.dropped_frames.fetch_add(new, Ordering::Relaxed);
                }
            }
        }
        self.dropped_frames.load(Ordering::Relaxed)
    }
}
