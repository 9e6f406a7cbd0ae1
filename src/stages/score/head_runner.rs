//! The head over windows of one track: scores, shares, and the evidence that needs the head.
//!
//! Each window starts where the last one's verdicts ended, with the forward state carried (or with
//! the past ticks repeated, for heads that need them), and includes the lookahead; only its first
//! new ticks are emitted. The shares come from two more runs of the same window, with the audio
//! zeroed and with the video zeroed. Ablation runs the window once per channel.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ablate::{self, HeadWindow};
use super::audio_encoder::{AudioEmbedding, AudioEncoder};
use super::explainer::Explainer;
use super::face_stream::{Encoded, FaceStream, TickEvidence};
use super::window::Window;
use crate::core::evidence::{Heatmap, Probability, Shares, Unknown};
use crate::core::geometry::Rect;
use crate::core::time::Tick;
use crate::models::explain::Mode;
use crate::models::speaker_model::{
    GateSource, HeadJob, HeadResult, InferenceError, ModelShape, SpeakerModel,
};

/// A tick's verdict before decision and display.
#[derive(Clone, Debug)]
pub struct TickVerdict {
    /// The tick.
    pub tick: Tick,
    /// z = z1 − z0 before cross-face rescoring, if there is a score.
    pub z: Option<f32>,
    /// The score, or why there is none.
    pub p: Result<Probability, Unknown>,
    /// The modalities' shares of the score.
    pub shares: Option<Shares>,
    /// The evidence map.
    pub heat: Option<Arc<Heatmap>>,
    /// The area of the frame that the heatmap covers.
    pub over: Rect,
}

/// Runs the head for one track.
pub struct HeadRunner {
    forward: Vec<f32>,
    past: VecDeque<PastTick>,
    next: Tick,
}

/// A tick with a verdict that is repeated in the next window.
struct PastTick {
    audio: Vec<f32>,
    face: Vec<f32>,
    contributions: Option<Vec<f32>>,
}

/// A window that was passed to the head.
#[derive(Debug)]
pub struct PendingWindow {
    inputs: WindowInputs,
    /// Ticks of the window, including the past.
    ticks: usize,
    /// Number of new verdicts: the first ticks after the past.
    emit: usize,
}

/// The head's inputs for a window.
#[derive(Debug, Default)]
struct WindowInputs {
    /// Number of past ticks at the start.
    past: usize,
    audio: Vec<f32>,
    face: Vec<f32>,
    contributions: Vec<f32>,
}

impl WindowInputs {
    fn push(&mut self, audio: &[f32], face: &[f32], contributions: Option<&[f32]>) {
        self.audio.extend_from_slice(audio);
        self.face.extend_from_slice(face);
        self.contributions.extend_from_slice(contributions.unwrap_or_default());
    }
}

impl HeadRunner {
    /// Creates a runner for a track that starts at `first`.
    pub fn new(shape: &ModelShape, first: Tick) -> Self {
        Self { forward: shape.fresh_forward_state(), past: VecDeque::new(), next: first }
    }

    /// The first tick without a verdict.
    pub const fn next(&self) -> Tick {
        self.next
    }

    /// Emits the verdicts that are ready.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(
        &mut self,
        face_stream: &mut FaceStream,
        audio_encoder: &AudioEncoder,
        model: &mut dyn SpeakerModel,
        (window, mode): (Window, Mode),
        out: &mut impl Extend<TickVerdict>,
    ) -> Result<(), InferenceError> {
        while let Some((job, pending)) = self.next_window(face_stream, audio_encoder, window, out) {
            let result = model.run_head(job)?;
            out.extend(self.apply_result(
                face_stream,
                audio_encoder,
                model,
                mode,
                (pending, &result),
            )?);
        }
        Ok(())
    }

    /// The next window for the head, and the state for [`Self::apply_result`]; `None` until more
    /// inputs arrive. Ticks that cannot be scored go to `out` at once.
    pub fn next_window(
        &mut self,
        face_stream: &mut FaceStream,
        audio_encoder: &AudioEncoder,
        window: Window,
        out: &mut impl Extend<TickVerdict>,
    ) -> Option<(HeadJob, PendingWindow)> {
        loop {
            let until = face_stream.encoded_until();
            if self.next >= until {
                return None;
            }
            match audio_encoder.at(self.next) {
                AudioEmbedding::Pending => return None,
                AudioEmbedding::Missing(reason) => {
                    // No window spans a gap.
                    self.forward.fill(0.0);
                    self.past.clear();
                    out.extend(face_stream.pop().map(|e| self.unknown(&e, reason)));
                    self.next = self.next.offset(1);
                }
                AudioEmbedding::Ready(_) => {
                    let (ticks, emit) = self.extent(face_stream, audio_encoder, until, window)?;
                    return Some(self.window(face_stream, audio_encoder, ticks, emit));
                }
            }
        }
    }

    fn unknown(&self, encoded: &Encoded, reason: Unknown) -> TickVerdict {
        TickVerdict {
            tick: self.next,
            z: None,
            p: Err(reason),
            shares: None,
            heat: None,
            over: encoded.over,
        }
    }

    /// How many ticks the next window spans and how many of them it emits; `None` to wait.
    fn extent(
        &self,
        face_stream: &FaceStream,
        audio_encoder: &AudioEncoder,
        until: Tick,
        window: Window,
    ) -> Option<(usize, usize)> {
        // All tracks emit at the same ticks, so that cross-face rescoring does not wait.
        let hop = i64::try_from(window.hop.max(1)).unwrap_or(i64::MAX);
        let emit = usize::try_from(hop - self.next.0.rem_euclid(hop)).unwrap_or(window.hop);
        let full = emit + window.lookahead;
        let limit = until.0.min(self.next.0 + i64::try_from(full).unwrap_or(i64::MAX));
        let mut end = self.next.0;
        let mut closed = false;
        while end < limit {
            match audio_encoder.at(Tick(end)) {
                AudioEmbedding::Ready(_) => end += 1,
                AudioEmbedding::Missing(_) => {
                    closed = true;
                    break;
                }
                AudioEmbedding::Pending => break,
            }
        }
        closed |= end == until.0 && face_stream.complete();
        let ticks = usize::try_from(end - self.next.0).unwrap_or(0);
        if ticks >= full {
            Some((ticks, emit))
        } else if closed {
            Some((ticks, ticks))
        } else {
            None
        }
    }

    fn window(
        &self,
        face_stream: &FaceStream,
        audio_encoder: &AudioEncoder,
        ticks: usize,
        emit: usize,
    ) -> (HeadJob, PendingWindow) {
        let inputs = self.collect_inputs(face_stream, audio_encoder, ticks);
        let ticks = inputs.past + ticks;
        let (audio_zeroed, video_zeroed) =
            (vec![0.0; inputs.audio.len()], vec![0.0; inputs.face.len()]);
        let job = HeadJob {
            rows: 3,
            ticks,
            audio: [&inputs.audio[..], &audio_zeroed, &inputs.audio].concat(),
            face: [&inputs.face[..], &inputs.face, &video_zeroed].concat(),
            forward: self.forward.repeat(3),
        };
        (job, PendingWindow { inputs, ticks, emit })
    }

    /// The verdicts of a window from the head's result.
    ///
    /// # Errors
    /// Where an additional run of the model fails.
    pub fn apply_result(
        &mut self,
        face_stream: &mut FaceStream,
        audio_encoder: &AudioEncoder,
        model: &mut dyn SpeakerModel,
        mode: Mode,
        (pending, result): (PendingWindow, &HeadResult),
    ) -> Result<Vec<TickVerdict>, InferenceError> {
        let PendingWindow { inputs, ticks, emit } = pending;
        let skip = inputs.past;
        let effects = if mode.needs_effects() {
            let window = HeadWindow {
                ticks,
                audio: &inputs.audio,
                face: &inputs.face,
                forward: &self.forward,
                contributions: &inputs.contributions,
            };
            ablate::effects(model, window, skip..skip + emit, result)?
        } else {
            Vec::new()
        };
        let shape = model.shape();
        let mut verdicts = Vec::with_capacity(emit);
        for at in 0..emit {
            let Some(mut encoded) = face_stream.pop() else { break };
            let t = skip + at;
            let z = result.z(0, t, ticks);
            let channels = shape.map_channels;
            let effects = effects.get(at * channels..(at + 1) * channels);
            let evidence = std::mem::replace(&mut encoded.evidence, TickEvidence::None);
            let gate = || face_gate(shape, result, t);
            let heat = heat(face_stream.explainer(), mode, evidence, gate, effects);
            verdicts.push(TickVerdict {
                tick: self.next,
                z: Some(z),
                p: Probability::from_logits(0.0, z).ok_or(Unknown::NotScored),
                shares: Shares::from_effects(z - result.z(1, t, ticks), z - result.z(2, t, ticks)),
                heat,
                over: encoded.over,
            });
            self.keep_past(audio_encoder, encoded, shape.past_ticks, face_stream);
            self.next = self.next.offset(1);
        }
        if shape.past_ticks == 0 {
            self.carry_state(&result.forward, emit);
        }
        Ok(verdicts)
    }

    /// Keeps a tick that the head needs again, reusing the buffers of the oldest one.
    fn keep_past(
        &mut self,
        audio_encoder: &AudioEncoder,
        encoded: Encoded,
        past_ticks: usize,
        face_stream: &mut FaceStream,
    ) {
        let Encoded { embedding, contributions, .. } = encoded;
        let (true, AudioEmbedding::Ready(audio)) = (past_ticks > 0, audio_encoder.at(self.next))
        else {
            face_stream.recycle(embedding);
            return;
        };
        let mut buffer = Vec::new();
        while self.past.len() >= past_ticks {
            let Some(oldest) = self.past.pop_front() else { break };
            face_stream.recycle(oldest.face);
            buffer = oldest.audio;
        }
        buffer.clear();
        buffer.extend_from_slice(audio);
        self.past.push_back(PastTick { audio: buffer, face: embedding, contributions });
    }

    /// Carries the forward state after the last emitted tick.
    fn carry_state(&mut self, states: &[f32], emit: usize) {
        let width = self.forward.len();
        let carried = &states[(emit - 1) * width..emit * width];
        if carried.iter().all(|v| v.is_finite()) {
            self.forward.copy_from_slice(carried);
        } else {
            // A non-finite value would persist for the rest of the track: reset the state.
            self.forward.fill(0.0);
        }
    }

    /// The head's inputs: the past ticks, if it needs them, then `ticks` ticks from `next` on.
    fn collect_inputs(
        &self,
        face_stream: &FaceStream,
        audio_encoder: &AudioEncoder,
        ticks: usize,
    ) -> WindowInputs {
        let mut inputs = WindowInputs { past: self.past.len(), ..WindowInputs::default() };
        let values = (self.past.len() + ticks) * face_stream.embedding_width();
        inputs.audio.reserve_exact(values);
        inputs.face.reserve_exact(values);
        for past in &self.past {
            inputs.push(&past.audio, &past.face, past.contributions.as_deref());
        }
        for t in 0..i64::try_from(ticks).unwrap_or(0) {
            let tick = self.next.offset(t);
            if let (AudioEmbedding::Ready(audio), Some(e)) =
                (audio_encoder.at(tick), face_stream.at(tick))
            {
                inputs.push(audio, &e.embedding, e.contributions.as_deref());
            }
        }
        inputs
    }
}

/// The heatmap of one tick. `gate` gives the SE vector where the head's result is needed for it.
fn heat(
    explainer: &mut dyn Explainer,
    mode: Mode,
    evidence: TickEvidence,
    gate: impl FnOnce() -> Vec<f32>,
    effects: Option<&[f32]>,
) -> Option<Arc<Heatmap>> {
    let raw = match evidence {
        TickEvidence::None => return None,
        TickEvidence::Raw(map) => map,
        TickEvidence::Features(features) => explainer.raw_map(mode, &features, &gate(), effects)?,
    };
    explainer.heatmap(raw)
}

/// The SE vector of the face's channels at tick `t` of the first window if it comes from the head;
/// otherwise ones.
pub fn face_gate(shape: &ModelShape, result: &HeadResult, t: usize) -> Vec<f32> {
    let channels = shape.map_channels;
    match (&result.gates, shape.gate) {
        (Some(gates), GateSource::Head) => {
            let all = shape.embedding + channels;
            gates[t * all + shape.embedding..(t + 1) * all].to_vec()
        }
        _ => vec![1.0; channels],
    }
}
