//! The slow lane's last stage as a loop: tracked frames and sound in, evidence for every frame out.
//!
//! Never waits for one of its inputs while the other could come: it takes what comes first. Sound
//! that has not come when all the frames that may be held are here counts as a gap, as waiting
//! longer would stop the source, and with it the sound, for good.

use super::join::Join;
use super::model::ModelFault;
use super::scorer::Scorer;
use crate::core::edge::{ByteSize, NoItem, Receiver, Sender};
use crate::core::evidence::FrameEvidence;
use crate::core::time::Tick;
use crate::stages::detect::look::Looked;
use crate::stages::source::SoundBlock;

/// What reaches the scorer.
#[expect(
    clippy::large_enum_variant,
    reason = "most are Frame, and that lies here to need no memory"
)]
pub enum ScoreInput {
    /// The next frame.
    Frame(Looked),
    /// No more frames come.
    FramesEnd,
    /// The next stretch of sound.
    Sound(SoundBlock),
    /// No more sound comes.
    SoundEnd,
}

impl ByteSize for ScoreInput {
    fn byte_size(&self) -> usize {
        match self {
            Self::Frame(looked) => looked.0.byte_size(),
            Self::FramesEnd | Self::SoundEnd => size_of::<Self>(),
            Self::Sound(block) => size_of_val(block.samples.as_slice()),
        }
    }
}

/// What scoring went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreCounts {
    /// Times that sound was given up because it came too late.
    pub sound_given_up: u64,
}

/// Someone who looks in on scoring after everything that came: a live stream sets what may be spent,
/// shows what is known already, and watches that things move.
pub trait LookIn {
    /// Something came; `frame` says whether it was a frame.
    fn look_in(&mut self, scorer: &mut Scorer, join: &Join, frame: bool);
}

/// Nobody looks in.
pub struct Nobody;

impl LookIn for Nobody {
    fn look_in(&mut self, _: &mut Scorer, _: &Join, _: bool) {}
}

/// The loop's own state.
struct Scoring<'a> {
    scorer: Scorer,
    join: Join,
    out: &'a Sender<FrameEvidence>,
    newest: Tick,
    frames_ended: bool,
    sound_ended: bool,
}

impl Scoring<'_> {
    fn take(&mut self, input: ScoreInput) {
        match input {
            ScoreInput::Frame(looked) => {
                let (frame, tracked) = looked;
                self.newest = Tick::nearest(frame.id.pts);
                self.scorer.push(&frame, &tracked);
                self.join.push(tracked);
            }
            ScoreInput::FramesEnd => {
                self.frames_ended = true;
                self.scorer.end_epoch();
            }
            ScoreInput::Sound(block) => self.scorer.hearing().push(block.pts, &block.samples),
            ScoreInput::SoundEnd => {
                self.sound_ended = true;
                self.scorer.hearing().end();
            }
        }
    }

    /// Scores what can be scored and sends what is certain, with `all` the rest, too; `false` where
    /// nobody wants it.
    fn pass_on(&mut self, all: bool) -> Result<bool, ModelFault> {
        for news in self.scorer.advance()? {
            self.join.hear(news);
        }
        // What is being encoded is still to come.
        let all = all && self.scorer.is_idle();
        while let Some(evidence) = self.join.pop(all) {
            if self.out.send(evidence).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the sound stands in the way of `most_waiting` frames. Where faces are still being
    /// encoded it may be they, but they are never behind by as many again.
    fn waits_for_sound(&self, most_waiting: usize) -> bool {
        let waiting = self.join.waiting();
        let full = waiting >= most_waiting && self.scorer.is_idle();
        !self.sound_ended && (full || waiting >= most_waiting.saturating_mul(2))
    }
}

/// Scores until all inputs have ended or nobody wants the evidence.
///
/// # Errors
/// Where the model fails.
pub fn score(
    inputs: &Receiver<ScoreInput>,
    mut scorer: Scorer,
    join: Join,
    most_waiting: usize,
    out: &Sender<FrameEvidence>,
    watcher: &mut impl LookIn,
) -> Result<ScoreCounts, ModelFault> {
    let mut counts = ScoreCounts::default();
    scorer.wake_by(inputs.bell());
    let (frames_ended, sound_ended) = (false, !scorer.has_sound());
    let newest = Tick::default();
    let mut scoring = Scoring { scorer, join, out, newest, frames_ended, sound_ended };
    while !(scoring.frames_ended && scoring.sound_ended) {
        let input = inputs.recv_or_rung();
        let is_frame = matches!(input, Ok(ScoreInput::Frame(_)));
        match input {
            Ok(input) => scoring.take(input),
            // A face is encoded.
            Err(NoItem::Empty) => {}
            Err(NoItem::Ended) => break,
        }
        watcher.look_in(&mut scoring.scorer, &scoring.join, is_frame);
        let mut wanted = scoring.pass_on(false)?;
        if scoring.waits_for_sound(most_waiting) {
            let until = scoring.newest.offset(1);
            counts.sound_given_up += u64::from(scoring.scorer.hearing().give_up_before(until));
            wanted = wanted && scoring.pass_on(false)?;
        }
        if !wanted {
            return Ok(counts);
        }
    }
    scoring.scorer.hearing().end();
    scoring.scorer.end_epoch();
    while scoring.pass_on(true)? && !scoring.scorer.is_idle() {
        scoring.scorer.wait()?;
    }
    Ok(counts)
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
