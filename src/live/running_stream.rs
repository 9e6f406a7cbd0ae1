//! A running stream of a process, with its sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::prepared_stream::PreparedStream;
use crate::core::signal::Signal;
use crate::core::timed_thread::TimedThread;
use crate::pipeline::live::context::{Output, StreamSettings};
use crate::pipeline::live::stream::{StreamParts, run};
use crate::run::RunError;
use crate::stages::sink::events::hub::EventHub;
use crate::stages::sink::events::{self, EventContext, EventSinkHandle};
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::live;
use crate::stages::sink::live::context::{SinkContext, SinkHandle};
use crate::stages::sink::live::rtsp_server::RtspServer;
use crate::stages::sink::records::event::Event;
use crate::stages::sink::settings::SinkSettings;
use crate::telemetry::clock::StreamClock;
use crate::telemetry::latency::Latencies;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::{SourceState, Status};

/// How long a stream may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(12);
/// How long a sink may take to finish what it has begun.
const SINK_TIMEOUT: Duration = Duration::from_secs(6);

/// A running stream.
pub(crate) struct RunningStream {
    /// Its status.
    pub status: Status,
    /// Its latencies.
    pub latencies: Latencies,
    /// Its events.
    pub hub: EventHub,
    signal: Signal,
    thread: TimedThread<std::io::Result<()>>,
    fan_out: FanOut,
    sinks: Vec<SinkHandle>,
    event_sinks: Vec<EventSinkHandle>,
    /// What it was built from.
    pub prepared: PreparedStream,
}

impl RunningStream {
    /// Starts the stream.
    ///
    /// # Errors
    /// Where a sink can never work as configured, or a thread cannot be started.
    pub(crate) fn start(
        prepared: PreparedStream,
        metrics: &Metrics,
        server: Option<&RtspServer>,
    ) -> Result<Self, RunError> {
        let camera = prepared.camera.clone();
        let status = Status::new(&camera.name);
        let (hub, fan_out) = (EventHub::new(&camera.name), FanOut::default());
        let latencies = Latencies::new(&camera.name, metrics.clone());
        let keyframe_requested = Arc::new(AtomicBool::new(false));
        let (mut sinks, mut event_sinks) = (Vec::new(), Vec::new());
        let requested = Arc::clone(&keyframe_requested);
        let context = SinkContext {
            fan_out: &fan_out,
            status: &status,
            metrics,
            request_keyframe: Arc::new(move || requested.store(true, Ordering::Relaxed)),
        };
        let event_context =
            EventContext { hub: hub.clone(), status: status.clone(), metrics: metrics.clone() };
        for sink in &camera.sinks {
            if sink.takes_video() {
                sinks.push(
                    live::open(sink, &context, server)
                        .map_err(|e| RunError::Sink(e.to_string()))?,
                );
            } else {
                let opened = events::open(sink, &event_context);
                event_sinks.push(opened.map_err(|e| RunError::Sink(e.to_string()))?);
            }
        }
        announce(&prepared, &hub);
        let signal = Signal::default();
        let parts = StreamParts {
            name: camera.name,
            stream: StreamSettings {
                source: camera.source,
                output_policy: camera.output_policy,
                encoder: camera.encoder,
                style: camera.style,
                has_video_sinks: camera.sinks.iter().any(SinkSettings::takes_video),
            },
            settings: prepared.settings.clone(),
            engine: Arc::clone(&prepared.engine),
            metrics: metrics.clone(),
            status: status.clone(),
            clock: StreamClock::start(),
            output: Output {
                fan_out: fan_out.clone(),
                encoder: prepared.encoder.element,
                keyframe_requested,
            },
            hub: hub.clone(),
            signal: signal.clone(),
        };
        let late = latencies.clone();
        let thread = TimedThread::spawn("source", move || run(parts, late))?;
        Ok(Self { status, latencies, hub, signal, thread, fan_out, sinks, event_sinks, prepared })
    }

    /// Whether the stream has ended: its file has ended, or a stage that cannot be replaced failed.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Whether its source has ended for good.
    pub(crate) fn has_ended(&self) -> bool {
        let local = matches!(self.prepared.camera.source.uri.scheme(), "file" | "fd");
        local && !self.prepared.camera.source.looped && self.status.sink_errors().is_empty()
    }

    /// Requests the stream to stop; does not wait.
    pub(crate) fn request_stop(&self) {
        self.signal.stop();
    }

    /// Ends the stream and its sinks. Returns whether all ended in time.
    pub(crate) fn end(self) -> bool {
        self.request_stop();
        let ended = self.thread.join_within(END_TIMEOUT).is_some();
        self.status.set_source(SourceState::Ended);
        self.hub.status(&self.status);
        self.fan_out.close();
        let sinks: Vec<bool> = self.sinks.into_iter().map(|s| s.join(SINK_TIMEOUT)).collect();
        self.hub.close();
        for sink in self.event_sinks {
            sink.join();
        }
        ended && sinks.into_iter().all(|joined| joined)
    }
}

/// Reports the encoder in use, and those that were passed over.
fn announce(prepared: &PreparedStream, hub: &EventHub) {
    if !prepared.camera.sinks.iter().any(SinkSettings::takes_video) {
        return;
    }
    let passed_over = &prepared.encoder.passed_over;
    for why in passed_over {
        tracing::warn!(stream = %prepared.camera.name, "an encoder is not used: {why}");
    }
    hub.event(&Event::Encoder {
        element: prepared.encoder.element.to_owned(),
        instead_of: None,
        why: passed_over.first().cloned(),
    });
}
