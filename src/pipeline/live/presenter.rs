//! Joins the fast path and the slow path of a live stream: draws on every frame and encodes it when
//! it is due, with the evidence that exists by then.
//!
//! `delay`: a frame is due when its own scores are final. `latest`: it is due as soon as its boxes are
//! known, with the newest scores. In both, a frame whose evidence is late is shown with the newest
//! boxes that are no older than [`MAX_BOX_AGE`], and counted; frames are never held back. While the
//! source is lost, a slate shows since when and why.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::context::{PresenterInputs, StreamContext};
use super::load::{LoadController, LoadSample};
use super::output_encoder::OutputEncoder;
use super::slate;
use crate::core::evidence::FrameEvidence;
use crate::core::fault_point::FaultPoint;
use crate::core::frame::Frame;
use crate::core::notify::{Waitable, wait_any};
use crate::core::time::{Pts, Span};
use crate::pipeline::live::output_policy::OutputPolicy;
use crate::telemetry::metrics::{stage_labels, stream_labels};
use crate::telemetry::status::SourceState;

/// Boxes older than this are no longer shown.
pub(crate) const MAX_BOX_AGE: Span = Span::from_ms(1_000);
/// `latest`: the maximum time that a frame waits for its own boxes.
const LATEST_TIMEOUT: Span = Span::from_ms(90);
/// The longest wait while there is an encoder: silence and slates are handed on at least this often.
const OUTPUT_IDLE: Duration = Duration::from_millis(20);
/// The longest wait without one: a stop and the metrics are noticed by then.
const ANALYSIS_IDLE: Duration = Duration::from_millis(100);
/// Time between two slates.
const SLATE_INTERVAL: Span = Span::from_ms(200);
/// A source without a frame for this long is not shown as live.
const SLATE_TIMEOUT: Span = Span::from_ms(1_500);
/// Frames of evidence kept for frames that are not due yet.
const MAX_EVIDENCE: usize = 1_024;

/// Presents frames until the stream is asked to stop and no frame is pending.
pub(super) fn present(
    context: &StreamContext,
    inputs: PresenterInputs,
    output_encoder: Option<OutputEncoder>,
) {
    let mut presenter = Presenter {
        context,
        inputs,
        output_encoder,
        pending: None,
        evidence_by_frame: BTreeMap::new(),
        newest: None,
        order: VecDeque::new(),
        last_shown: None,
        last_slate: None,
        slate_from: context.now(),
        sample: LoadSample::default(),
        stale: 0,
        sample_began: Instant::now(),
        load_controller: LoadController::new(context.analysis.load.clone()),
        dropped_before: 0,
    };
    let heartbeat = context.reporter.status.heartbeat("present");
    let mut fault = FaultPoint::new("present");
    loop {
        heartbeat.heartbeat();
        fault.hit();
        let now = context.now();
        presenter.receive_evidence();
        presenter.audio(now);
        let shown = presenter.present_due(now);
        presenter.slate(now);
        presenter.record_metrics();
        if context.is_stopped() && !shown && presenter.is_drained() {
            break;
        }
        if !shown {
            presenter.wait(now);
        }
    }
    if let Some(output_encoder) = presenter.output_encoder {
        output_encoder.finish();
    }
}

struct Presenter<'a> {
    context: &'a StreamContext,
    inputs: PresenterInputs,
    output_encoder: Option<OutputEncoder>,
    /// The next frame, not due yet.
    pending: Option<Frame>,
    /// Evidence by frame number.
    evidence_by_frame: BTreeMap<u64, FrameEvidence>,
    newest: Option<FrameEvidence>,
    order: VecDeque<u64>,
    last_shown: Option<Pts>,
    last_slate: Option<Pts>,
    /// No slate before this: a stream that has just started is given time.
    slate_from: Pts,
    sample: LoadSample,
    /// Frames of this second that were shown without their own evidence.
    stale: u64,
    sample_began: Instant,
    load_controller: LoadController,
    dropped_before: u64,
}

impl Presenter<'_> {
    /// Receives the evidence that has arrived.
    fn receive_evidence(&mut self) {
        while let Ok(evidence) = self.inputs.scored.try_recv() {
            let late = self.context.now() - evidence.frame.pts;
            self.context.reporter.latency.add("score", late);
            // The deadline includes the longer hops that are scored under load. Otherwise every
            // frame would count as late, and the level could never come down.
            self.sample.late += u32::from(late > self.context.score_deadline());
            self.context.reporter.publish_frame(&evidence);
            if self.context.settings.output_policy == OutputPolicy::Delay {
                self.store_evidence(evidence);
            }
        }
        while let Ok(early) = self.inputs.early.try_recv() {
            self.store_evidence(early.0);
        }
    }

    fn store_evidence(&mut self, evidence: FrameEvidence) {
        self.order.push_back(evidence.frame.seq);
        if self.output_encoder.is_some() {
            self.evidence_by_frame.insert(evidence.frame.seq, evidence.clone());
        }
        while self.order.len() > MAX_EVIDENCE {
            let oldest = self.order.pop_front();
            let _ = oldest.and_then(|seq| self.evidence_by_frame.remove(&seq));
        }
        self.newest = Some(evidence);
    }

    fn audio(&mut self, now: Pts) {
        if let Some(output_encoder) = &mut self.output_encoder {
            output_encoder.encode_audio(&self.inputs.audio, now - self.context.delay());
        }
    }

    /// Presents the next frame if it is due. Returns whether it was.
    fn present_due(&mut self, now: Pts) -> bool {
        if self.pending.is_none() {
            self.pending = self.inputs.frames.try_recv().ok();
        }
        let Some(frame) = &self.pending else { return false };
        let age = now - frame.id.pts;
        let has_evidence = self.evidence_by_frame.contains_key(&frame.id.seq);
        let due = match self.context.settings.output_policy {
            OutputPolicy::Delay => age >= self.context.delay(),
            OutputPolicy::Latest => has_evidence || age >= LATEST_TIMEOUT,
        };
        if !due {
            return false;
        }
        let Some(frame) = self.pending.take() else { return false };
        let evidence = self.evidence_of(&frame);
        self.sample.shown += 1;
        self.last_shown = Some(now);
        if let Some(output_encoder) = &mut self.output_encoder {
            output_encoder.encode_frame(frame, &evidence);
            self.context.reporter.latency.add("overlay", self.context.now() - evidence.frame.pts);
        }
        true
    }

    /// The evidence of `frame`, or else the newest that is not too old.
    fn evidence_of(&mut self, frame: &Frame) -> FrameEvidence {
        let scored = self.evidence_by_frame.remove(&frame.id.seq);
        // The evidence of earlier frames is not needed any more.
        self.evidence_by_frame = self.evidence_by_frame.split_off(&frame.id.seq);
        if let Some(scored) = scored {
            return scored;
        }
        self.stale += 1;
        let is_fresh = |old: &&FrameEvidence| {
            let same_epoch = old.frame.epoch == frame.id.epoch;
            same_epoch && (frame.id.pts - old.frame.pts).abs() <= MAX_BOX_AGE
        };
        match self.newest.as_ref().filter(is_fresh) {
            Some(old) => FrameEvidence { frame: frame.id, ..old.clone() },
            None => FrameEvidence { frame: frame.id, faces: Vec::new(), floor: None },
        }
    }

    /// Draws a slate where no frame has arrived for a while.
    fn slate(&mut self, now: Pts) {
        let Some(output_encoder) = &mut self.output_encoder else { return };
        let quiet = now - self.last_shown.unwrap_or(self.slate_from);
        let state = self.context.reporter.status.source();
        let live = matches!(state, SourceState::Live { .. });
        let timeout = SLATE_TIMEOUT + self.context.delay();
        if self.pending.is_some() || (live && quiet < timeout) || quiet < SLATE_TIMEOUT {
            return;
        }
        if self.last_slate.is_some_and(|last| now - last < SLATE_INTERVAL) {
            return;
        }
        self.last_slate = Some(now);
        let lines = slate::lines(&self.context.reporter.name, &state, self.context.reporter.clock);
        output_encoder.encode_slate(&lines, now - self.context.delay());
    }

    /// Once a second: updates the load level and the metrics of the queues.
    fn record_metrics(&mut self) {
        if self.sample_began.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.sample_began = Instant::now();
        let dropped = self.context.reporter.sample_queues();
        self.sample.dropped =
            u32::try_from(dropped - self.dropped_before.min(dropped)).unwrap_or(0);
        self.dropped_before = dropped;
        let sample = std::mem::take(&mut self.sample);
        let (metrics, name) = (&self.context.reporter.metrics, &self.context.reporter.name);
        metrics
            .frames
            .get_or_create(&stage_labels(name, "present"))
            .inc_by(u64::from(sample.shown));
        let stale = std::mem::take(&mut self.stale);
        if stale > 0 {
            crate::telemetry::metrics::count_dropped(metrics, name, "present", "late", stale);
        }
        let newest = self.newest.as_ref().filter(|_| sample.shown > 0);
        let (faces, speaking) = newest.map_or((0, 0), |e| {
            (e.faces.len(), e.faces.iter().filter(|f| f.verdict.speaking()).count())
        });
        metrics.faces.get_or_create(&stream_labels(name)).set(faces as i64);
        metrics.speaking.get_or_create(&stream_labels(name)).set(speaking as i64);
        if let Some(level) = self.load_controller.update(sample) {
            metrics.load_level.get_or_create(&stream_labels(name)).set(i64::from(level));
            self.context.reporter.load_changed(level);
        }
        if let Some(output_encoder) = &mut self.output_encoder {
            output_encoder.record_metrics();
        }
    }

    fn is_drained(&self) -> bool {
        self.pending.is_none()
    }

    /// Waits for the next thing to do: evidence, audio, a frame, or the pending frame's time.
    fn wait(&self, now: Pts) {
        let inputs = &self.inputs;
        let mut sources: Vec<&dyn Waitable> = vec![&inputs.scored, &inputs.early];
        let mut longest = ANALYSIS_IDLE;
        if self.output_encoder.is_some() {
            longest = OUTPUT_IDLE;
            sources.push(&inputs.audio);
        }
        match &self.pending {
            Some(frame) => {
                let latest = match self.context.settings.output_policy {
                    OutputPolicy::Delay => self.context.delay(),
                    OutputPolicy::Latest => LATEST_TIMEOUT,
                };
                let due = u64::try_from((frame.id.pts + latest - now).ns()).unwrap_or(0);
                longest = longest.min(Duration::from_nanos(due));
            }
            None => sources.push(&inputs.frames),
        }
        wait_any(&sources, Some(Instant::now() + longest));
    }
}
