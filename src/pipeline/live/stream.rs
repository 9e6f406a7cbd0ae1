//! A live stream: reconnects its source, and presents frames without a break.
//!
//! Two threads run as long as the stream. This one opens the source, runs a session, and waits before
//! the next try. The presenter draws and encodes. Neither waits for the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::{
    Analysis, Output, PresenterInputs, Reporter, StreamContext, StreamSettings, ToPresenter,
};
use super::load::LoadLevel;
use super::output_encoder::OutputEncoder;
use super::presenter::present;
use super::queues;
use super::session::{SessionState, session};
use crate::core::backoff::Backoff;
use crate::core::queue::{Overflow, bounded};
use crate::core::signal::{NotifyOnDrop, Signal};
use crate::onnx::engine::Engine;
use crate::pipeline::settings::Settings;
use crate::stages::sink::events::hub::EventHub;
use crate::stages::source::live::{LossReason, SourceLoss};
use crate::telemetry::clock::StreamClock;
use crate::telemetry::latency::Latencies;
use crate::telemetry::metrics::{Metrics, reason_labels, stream_labels};
use crate::telemetry::status::{SourceState, Status};

/// The back-off is reset after this time of stable streaming.
const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(20);

/// What a stream is built from.
pub(crate) struct StreamParts {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub stream: StreamSettings,
    /// What its stages are built from.
    pub settings: Settings,
    /// What runs its models.
    pub engine: Arc<Engine>,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// Its status.
    pub status: Status,
    /// Its clock.
    pub clock: StreamClock,
    /// Where its encoded frames and audio go.
    pub output: Output,
    /// Where its events go.
    pub hub: EventHub,
    /// Notified of changes, and of the request to stop.
    pub signal: Signal,
}

/// Runs a stream on this thread and one more, until it is asked to stop or its file has ended.
pub(crate) fn run(parts: StreamParts, latencies: Latencies) -> std::io::Result<()> {
    let output = parts.output.clone();
    let (context, inputs) = connect(parts, latencies);
    let context = Arc::new(context);
    let encoder = context.settings.has_video_sinks.then(|| OutputEncoder::new(&context, output));
    let presenter = {
        let context = Arc::clone(&context);
        std::thread::Builder::new().name("present".into()).spawn(move || {
            let _ended = NotifyOnDrop(context.signal.clone());
            present(&context, inputs, encoder);
        })?
    };
    supervise(&context, &presenter);
    context.signal.stop();
    if presenter.join().is_err() {
        // The stream has no output any more: the process has to restart it.
        let why = "it panicked; this is a bug".to_owned();
        context.reporter.report_error("present", Some(why));
    }
    context.reporter.status.set_source(SourceState::Ended);
    Ok(())
}

/// The stream's context, and the presenter's ends of the queues.
fn connect(parts: StreamParts, latency: Latencies) -> (StreamContext, PresenterInputs) {
    let capacity = queues::to_present(&parts.settings.schedule);
    let (frames_in, frames) = bounded(queues::FRAMES_NAME, capacity, Overflow::DropOldest);
    let (scored_in, scored) = bounded(queues::SCORED_NAME, queues::EVIDENCE, Overflow::DropOldest);
    let (early_in, early) = bounded(queues::EARLY_NAME, queues::EVIDENCE, Overflow::DropOldest);
    let (audio_in, audio) = bounded(queues::AUDIO_NAME, queues::AUDIO, Overflow::DropOldest);
    let meters = vec![frames_in.meter(), scored_in.meter(), early_in.meter(), audio_in.meter()];
    let telemetry = (parts.status, parts.metrics, latency, parts.hub);
    let reporter = Reporter::new(&parts.name, parts.clock, telemetry, meters);
    let video = parts.stream.has_video_sinks;
    let context = StreamContext {
        settings: parts.stream,
        analysis: Analysis {
            settings: parts.settings,
            engine: parts.engine,
            load: LoadLevel::default(),
        },
        reporter: Arc::new(reporter),
        to_presenter: ToPresenter {
            frames: video.then_some(frames_in),
            audio: video.then_some(audio_in),
            scored: scored_in,
            early: early_in,
        },
        signal: parts.signal,
    };
    (context, PresenterInputs { frames, scored, early, audio })
}

/// Opens the source, and reopens it when it is lost.
fn supervise(context: &Arc<StreamContext>, presenter: &std::thread::JoinHandle<()>) {
    let source = &context.settings.source;
    let mut backoff = Backoff::new(source.retry_min, source.retry_max);
    let mut session_state = SessionState::default();
    let mut lost_since: Option<Instant> = None;
    while !context.is_stopped() && !presenter.is_finished() {
        if lost_since.is_none() {
            context.reporter.status.set_source(SourceState::Connecting { since: Instant::now() });
        }
        let live_since: Mutex<Option<Instant>> = Mutex::new(None);
        let was_lost_since = lost_since;
        let loss = session(context, &mut session_state, &|codecs| {
            *live_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            opened(context, was_lost_since, codecs);
        });
        let went_live_at = live_since.into_inner().unwrap_or_else(PoisonError::into_inner);
        if went_live_at.is_some() {
            lost_since = None;
        }
        if context.is_stopped() {
            break;
        }
        let local = matches!(source.uri.scheme(), "file" | "fd");
        if loss.reason == LossReason::Ended && local && went_live_at.is_some() {
            if source.looped {
                continue;
            }
            drain(context);
            break;
        }
        let since = *lost_since.get_or_insert_with(Instant::now);
        source_lost(context, &mut backoff, &loss, since, went_live_at);
    }
}

/// After the end of a file: waits until the frames in flight have been shown.
fn drain(context: &StreamContext) {
    let delay = u64::try_from(context.delay().ns()).unwrap_or(0);
    context.signal.wait_for_stop(Duration::from_nanos(delay));
}

fn opened(context: &StreamContext, was_lost_since: Option<Instant>, codecs: &[String]) {
    let reporter = &context.reporter;
    let name = &reporter.name;
    reporter.status.set_source(SourceState::Live { since: Instant::now() });
    reporter.metrics.source_up.get_or_create(&stream_labels(name)).set(1);
    let (codecs, outage) =
        (codecs.join(", "), was_lost_since.map(|since| since.elapsed().as_secs_f64()));
    match outage {
        Some(outage) => {
            tracing::info!(stream = %name, "source restored after {outage:.1} s ({codecs})")
        }
        None => tracing::info!(stream = %name, "source connected ({codecs})"),
    }
    reporter.hub.status(&reporter.status);
}

fn source_lost(
    context: &StreamContext,
    backoff: &mut Backoff,
    loss: &SourceLoss,
    since: Instant,
    went_live_at: Option<Instant>,
) {
    let reporter = &context.reporter;
    let name = &reporter.name;
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
    tracing::warn!(stream = %name, "source lost: {why}; trying again in {:.1} s", wait.as_secs_f64());
    reporter.status.set_source(SourceState::Lost { since, why, next_try });
    reporter.metrics.source_up.get_or_create(&stream_labels(name)).set(0);
    let key = reason_labels(name, "source", loss.reason.as_str());
    reporter.metrics.reconnects.get_or_create(&key).inc();
    reporter.hub.status(&reporter.status);
    context.signal.wait_for_stop(wait);
}
