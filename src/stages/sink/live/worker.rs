//! The loop of every sink that muxes or sends packets: record, file, HLS, push.
//!
//! Takes the packets of the sink's queue. Opens an output at a keyframe, once the tracks are known.
//! Closes it and opens the next where the tracks change or the sink requests it. After an error it waits
//! with back-off and opens again at a keyframe. Reports errors in [`Status`], and logs when the sink
//! works again. The heartbeat counts every turn of the loop; at the queue's end the output is closed.
//! The differences between sinks are in [`PacketSink`].

use std::time::{Duration, Instant};

use super::context::{SinkContext, SinkError, SinkHandle};
use super::preroll::{Formats, Preroll};
use crate::core::backoff::Backoff;
use crate::core::queue::{NoItem, Receiver};
use crate::core::time::{Pts, Span};
use crate::gst::packet::{Packet, PacketKind};
use crate::telemetry::metrics::{Metrics, reason_labels};
use crate::telemetry::status::Status;

/// How often a sink is polled while no packet arrives.
const IDLE_INTERVAL: Duration = Duration::from_millis(200);

/// Why an output failed, and when the next try is.
#[derive(Debug)]
pub(super) struct SinkFault {
    /// A readable message for status and log.
    pub message: String,
    /// The reason in metrics.
    pub reason: &'static str,
    /// The wait before the next try; `None` for the back-off's.
    pub retry_after: Option<Duration>,
}

impl SinkFault {
    /// A fault with the back-off's wait.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), reason: "error", retry_after: None }
    }
}

/// A target of packets, opened and closed by the worker.
pub(super) trait PacketSink: Send + 'static {
    /// An open output: a segment, a playlist, a connection.
    type Output: Send;

    /// The sink's name in status, metrics, heartbeat and thread.
    const NAME: &'static str;
    /// Bytes of packets that may wait in its queue.
    const QUEUE_BYTES: usize;

    /// Called once on the sink's thread, before anything else.
    fn start(&mut self) {}

    /// Opens the output that begins with the keyframe of `formats`.
    ///
    /// # Errors
    /// Where it cannot be opened.
    fn open(&mut self, formats: &Formats) -> Result<Self::Output, SinkFault>;

    /// Whether `output` ends before the keyframe of `formats`, which is `gap` after the previous frame.
    fn is_over(&self, output: &Self::Output, formats: &Formats, gap: Span) -> bool;

    /// Takes a packet.
    ///
    /// # Errors
    /// Where the output fails.
    fn push(&mut self, output: &mut Self::Output, packet: &Packet) -> Result<(), SinkFault>;

    /// Called after every packet, and at least every [`IDLE_INTERVAL`]. Returns whether the output is
    /// known to work.
    ///
    /// # Errors
    /// Where the output or its folder fails.
    fn poll(&mut self, output: Option<&mut Self::Output>) -> Result<bool, SinkFault> {
        Ok(output.is_some())
    }

    /// Finishes `output`.
    ///
    /// # Errors
    /// Where it cannot be finished; what was written is kept.
    fn close(&mut self, output: Self::Output) -> Result<(), SinkFault>;

    /// Closes `output` after a fault; what was written is kept.
    fn abandon(&mut self, output: Self::Output);
}

/// Starts a thread for `sink`.
///
/// # Errors
/// Where the thread cannot be started.
pub(super) fn spawn<S: PacketSink>(
    sink: S,
    context: &SinkContext<'_>,
) -> Result<SinkHandle, SinkError> {
    let (packets, _) = context.fan_out.add(S::NAME, S::QUEUE_BYTES);
    let worker = Worker {
        sink,
        status: context.status.clone(),
        metrics: context.metrics.clone(),
        preroll: Preroll::default(),
        output: None,
        last_frame: None,
        backoff: Backoff::default(),
        next_try: Instant::now(),
        works: false,
    };
    Ok(SinkHandle::spawn(S::NAME, move || worker.run(&packets))?)
}

struct Worker<S: PacketSink> {
    sink: S,
    status: Status,
    metrics: Metrics,
    preroll: Preroll,
    output: Option<S::Output>,
    last_frame: Option<Pts>,
    backoff: Backoff,
    next_try: Instant,
    /// Whether the open output has been reported to work.
    works: bool,
}

impl<S: PacketSink> Worker<S> {
    fn run(mut self, packets: &Receiver<Packet>) {
        let heartbeat = self.status.external_heartbeat(S::NAME);
        self.sink.start();
        loop {
            let taken = match packets.recv_timeout(IDLE_INTERVAL) {
                Ok(packet) => self.take(packet),
                Err(NoItem::Empty) => Ok(()),
                Err(NoItem::Ended) => break,
            };
            match taken.and_then(|()| self.sink.poll(self.output.as_mut())) {
                Ok(true) => self.report_working(),
                Ok(false) => {}
                Err(fault) => self.stop(&fault),
            }
            heartbeat.heartbeat();
        }
        if let Err(fault) = self.close() {
            self.stop(&fault);
        }
    }

    fn take(&mut self, packet: Packet) -> Result<(), SinkFault> {
        self.preroll.push(packet);
        while let Some(packet) = self.preroll.pop() {
            if packet.kind == (PacketKind::Video { keyframe: true }) {
                self.cut(&packet)?;
            }
            if matches!(packet.kind, PacketKind::Video { .. }) {
                self.last_frame = Some(packet.at);
            }
            if let Some(output) = &mut self.output {
                self.sink.push(output, &packet)?;
            }
        }
        Ok(())
    }

    /// At a keyframe: closes the output if it is over, and opens one if there is none.
    fn cut(&mut self, keyframe: &Packet) -> Result<(), SinkFault> {
        let formats = self.preroll.formats(keyframe);
        let gap = self.last_frame.map_or(Span::ZERO, |last| keyframe.at - last);
        if self.output.as_ref().is_some_and(|output| self.sink.is_over(output, &formats, gap)) {
            self.close()?;
        }
        if self.output.is_none() && Instant::now() >= self.next_try {
            self.output = Some(self.sink.open(&formats)?);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkFault> {
        self.works = false;
        self.output.take().map_or(Ok(()), |output| self.sink.close(output))
    }

    fn report_working(&mut self) {
        if self.works {
            return;
        }
        self.works = true;
        self.backoff.reset();
        if self.status.sink_errors().contains_key(S::NAME) {
            tracing::info!(stream = %self.status.stream, "{}: works again", S::NAME);
        }
        self.status.set_sink_error(S::NAME, None);
    }

    /// After a fault: nothing is written until the next try. Repeated failures are logged once.
    fn stop(&mut self, fault: &SinkFault) {
        self.works = false;
        if let Some(output) = self.output.take() {
            self.sink.abandon(output);
        }
        let wait = fault.retry_after.unwrap_or_else(|| self.backoff.next_wait());
        self.next_try = Instant::now() + wait;
        let stream = &self.status.stream;
        self.metrics.reconnects.get_or_create(&reason_labels(stream, S::NAME, fault.reason)).inc();
        if !self.status.sink_errors().contains_key(S::NAME) {
            tracing::warn!(stream = %stream, "{}: {}", S::NAME, fault.message);
        }
        self.status.set_sink_error(S::NAME, Some(fault.message.clone()));
    }
}
