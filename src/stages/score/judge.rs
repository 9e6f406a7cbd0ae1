//! The head over a window of one track: scores, shares, and the evidence that needs the head.
//!
//! Each window starts where the last one's verdicts ended, with the forward state carried, and
//! looks ahead as far as it is allowed; only its first ticks are emitted. The shares come from the
//! same window run twice more, once deaf and once blind; ablation runs it once for every channel.

use super::hearing::{Heard, Hearing};
use super::lane::{Encoded, Evidence, Lane, raw};
use super::model::{GateSource, HeadJob, HeadResult, ModelFault, ModelShape, SpeakerModel};
use crate::core::evidence::{Heatmap, Probability, Shares, Unknown};
use crate::core::geometry::Rect;
use crate::core::time::Tick;
use crate::stages::explain::Mode;
use crate::stages::explain::scale::{RunningScale, ScaleRule};
use std::sync::Arc;

/// How far the head looks and how often it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Ticks emitted at once.
    pub hop: usize,
    /// Ticks of future that the last emitted one sees.
    pub lookahead: usize,
}

/// A tick's verdict before decision and display.
#[derive(Clone, Debug)]
pub struct TickVerdict {
    /// Which tick.
    pub tick: Tick,
    /// The score, or why there is none.
    pub p: Result<Probability, Unknown>,
    /// Where the decision came from.
    pub shares: Option<Shares>,
    /// What the model looked at.
    pub heat: Option<Arc<Heatmap>>,
    /// Where the crop lay.
    pub over: Rect,
}

/// One track before the head.
pub struct Judge {
    forward: Vec<f32>,
    next: Tick,
    scale: RunningScale,
}

/// Runs of the head in one call at most: bounds the memory that ablation takes.
const ROWS_AT_ONCE: usize = 64;

impl Judge {
    /// A judge for a track that starts at `first`.
    pub fn new(shape: &ModelShape, first: Tick, scale: ScaleRule) -> Self {
        Self { forward: shape.fresh_forward_state(), next: first, scale: RunningScale::new(scale) }
    }

    /// The first tick without a verdict.
    pub const fn next(&self) -> Tick {
        self.next
    }

    /// Emits the verdicts that can be given by now.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(
        &mut self,
        lane: &mut Lane,
        hearing: &Hearing,
        model: &mut dyn SpeakerModel,
        (window, mode): (Window, Mode),
        out: &mut impl Extend<TickVerdict>,
    ) -> Result<(), ModelFault> {
        loop {
            let until = lane.encoded_until();
            if self.next >= until {
                return Ok(());
            }
            match hearing.at(self.next) {
                Heard::NotYet => return Ok(()),
                Heard::Nothing(why) => {
                    self.forward.fill(0.0);
                    out.extend(lane.pop().map(|e| self.unknown(&e, why)));
                    self.next = self.next.offset(1);
                }
                Heard::Sound(_) => {
                    let Some((ticks, emit)) = self.extent(lane, hearing, until, window) else {
                        return Ok(());
                    };
                    let verdicts = self.window(lane, hearing, model, mode, ticks, emit)?;
                    out.extend(verdicts);
                }
            }
        }
    }

    fn unknown(&self, encoded: &Encoded, why: Unknown) -> TickVerdict {
        TickVerdict { tick: self.next, p: Err(why), shares: None, heat: None, over: encoded.over }
    }

    /// How many ticks the next window spans and how many of them it emits; `None` to wait.
    fn extent(
        &self,
        lane: &Lane,
        hearing: &Hearing,
        until: Tick,
        window: Window,
    ) -> Option<(usize, usize)> {
        let full = window.hop + window.lookahead;
        let limit = until.0.min(self.next.0 + i64::try_from(full).unwrap_or(i64::MAX));
        let mut end = self.next.0;
        let mut closed = false;
        while end < limit {
            match hearing.at(Tick(end)) {
                Heard::Sound(_) => end += 1,
                Heard::Nothing(_) => {
                    closed = true;
                    break;
                }
                Heard::NotYet => break,
            }
        }
        closed |= end == until.0 && lane.complete();
        let ticks = usize::try_from(end - self.next.0).unwrap_or(0);
        if ticks >= full {
            Some((ticks, window.hop))
        } else if closed {
            Some((ticks, ticks))
        } else {
            None
        }
    }

    fn window(
        &mut self,
        lane: &mut Lane,
        hearing: &Hearing,
        model: &mut dyn SpeakerModel,
        mode: Mode,
        ticks: usize,
        emit: usize,
    ) -> Result<Vec<TickVerdict>, ModelFault> {
        let (audio, face) = self.gather(lane, hearing, ticks);
        let (deaf, blind) = (vec![0.0; audio.len()], vec![0.0; face.len()]);
        let result = model.judge(HeadJob {
            rows: 3,
            ticks,
            audio: [&audio[..], &deaf, &audio].concat(),
            face: [&face[..], &face, &blind].concat(),
            forward: self.forward.repeat(3),
        })?;
        let effects = match mode {
            Mode::Ablation => self.ablate(model, ticks, emit, &audio, &face, &result)?,
            _ => Vec::new(),
        };
        let shape = model.shape();
        let mut verdicts = Vec::with_capacity(emit);
        for t in 0..emit {
            let Some(encoded) = lane.pop() else { break };
            let z = result.z(0, t, ticks);
            let heat = self.heat(shape, mode, &encoded, t, &result, &effects);
            verdicts.push(TickVerdict {
                tick: self.next,
                p: Probability::from_logits(0.0, z).ok_or(Unknown::NotScored),
                shares: Shares::from_effects(z - result.z(1, t, ticks), z - result.z(2, t, ticks)),
                heat,
                over: encoded.over,
            });
            self.next = self.next.offset(1);
        }
        let width = self.forward.len();
        let carried = &result.forward[(emit - 1) * width..emit * width];
        if carried.iter().any(|v| !v.is_finite()) {
            // One bad value would silence the rest of the track: start anew.
            self.forward.fill(0.0);
            return Ok(verdicts);
        }
        self.forward.copy_from_slice(&result.forward[(emit - 1) * width..emit * width]);
        Ok(verdicts)
    }

    fn gather(&self, lane: &Lane, hearing: &Hearing, ticks: usize) -> (Vec<f32>, Vec<f32>) {
        let (mut audio, mut face) = (Vec::new(), Vec::new());
        for t in 0..i64::try_from(ticks).unwrap_or(0) {
            let tick = self.next.offset(t);
            if let (Heard::Sound(a), Some(e)) = (hearing.at(tick), lane.at(tick)) {
                audio.extend_from_slice(a);
                face.extend_from_slice(&e.embedding);
            }
        }
        (audio, face)
    }

    /// The signed effect of every face channel on every emitted tick: emit × C.
    fn ablate(
        &self,
        model: &mut dyn SpeakerModel,
        ticks: usize,
        emit: usize,
        audio: &[f32],
        face: &[f32],
        whole: &HeadResult,
    ) -> Result<Vec<f32>, ModelFault> {
        let width = model.shape().embedding;
        let channels = model.shape().map_channels.min(width);
        let mut effects = vec![0.0; emit * channels];
        let all: Vec<usize> = (0..channels).collect();
        for some in all.chunks(ROWS_AT_ONCE) {
            let mut without = face.repeat(some.len());
            for (row, channel) in some.iter().enumerate() {
                let row = &mut without[row * face.len()..(row + 1) * face.len()];
                row.iter_mut().skip(*channel).step_by(width).for_each(|v| *v = 0.0);
            }
            let result = model.judge(HeadJob {
                rows: some.len(),
                ticks,
                audio: audio.repeat(some.len()),
                face: without,
                forward: self.forward.repeat(some.len()),
            })?;
            for (row, channel) in some.iter().enumerate() {
                for t in 0..emit {
                    effects[t * channels + channel] =
                        whole.z(0, t, ticks) - result.z(row, t, ticks);
                }
            }
        }
        Ok(effects)
    }

    fn heat(
        &mut self,
        shape: &ModelShape,
        mode: Mode,
        encoded: &Encoded,
        t: usize,
        result: &HeadResult,
        effects: &[f32],
    ) -> Option<Arc<Heatmap>> {
        let late;
        let map = match &encoded.evidence {
            Evidence::None => return None,
            Evidence::Raw(map) => map,
            Evidence::Held(features) => {
                let gate = face_gate(shape, result, t);
                let channels = shape.map_channels;
                let effects = effects.get(t * channels..(t + 1) * channels);
                late = raw(shape, mode, features, &gate, effects)?;
                &late
            }
        };
        self.scale.update(map, Tick::SPAN);
        self.scale.heatmap(map, shape.map_width, shape.map_height)
    }
}

/// The SE vector of the face's channels at tick `t` of the first window.
fn face_gate(shape: &ModelShape, result: &HeadResult, t: usize) -> Vec<f32> {
    let channels = shape.map_channels;
    match (&result.gates, shape.gate) {
        (Some(gates), GateSource::Head) => {
            let all = shape.embedding + channels;
            gates[t * all + shape.embedding..(t + 1) * all].to_vec()
        }
        _ => vec![1.0; channels],
    }
}
