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
pub enum ScoreInput {
    /// The next frame.
    Frame(Box<Looked>),
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

/// Sends what is certain, and with `all` the rest, too; `false` where nobody wants it.
fn pass_on(join: &mut Join, out: &Sender<FrameEvidence>, all: bool) -> bool {
    while let Some(evidence) = join.pop(all) {
        if out.send(evidence).is_err() {
            return false;
        }
    }
    true
}

/// Scores until all inputs have ended or nobody wants the evidence.
///
/// # Errors
/// Where the model fails.
pub fn score(
    inputs: &Receiver<ScoreInput>,
    mut scorer: Scorer,
    mut join: Join,
    most_waiting: usize,
    out: &Sender<FrameEvidence>,
    watcher: &mut impl LookIn,
) -> Result<ScoreCounts, ModelFault> {
    let mut counts = ScoreCounts::default();
    let mut newest = Tick::default();
    let (mut frames_ended, mut sound_ended) = (false, !scorer.has_sound());
    scorer.wake_by(inputs.bell());
    while !(frames_ended && sound_ended) {
        let input = inputs.recv_or_rung();
        let is_frame = matches!(input, Ok(ScoreInput::Frame(_)));
        match input {
            Ok(ScoreInput::Frame(looked)) => {
                let (frame, tracked) = *looked;
                newest = Tick::nearest(frame.id.pts);
                scorer.push(&frame, &tracked);
                join.push(tracked);
            }
            Ok(ScoreInput::FramesEnd) => {
                frames_ended = true;
                scorer.end_epoch();
            }
            Ok(ScoreInput::Sound(block)) => scorer.hearing().push(block.pts, &block.samples),
            Ok(ScoreInput::SoundEnd) => {
                sound_ended = true;
                scorer.hearing().end();
            }
            // A face is encoded.
            Err(NoItem::Empty) => {}
            Err(NoItem::Ended) => break,
        }
        watcher.look_in(&mut scorer, &join, is_frame);
        for news in scorer.advance()? {
            join.hear(news);
        }
        if !pass_on(&mut join, out, false) {
            return Ok(counts);
        }
        let full = join.waiting() >= most_waiting && !sound_ended && scorer.is_idle();
        if full && scorer.hearing().give_up_before(newest.offset(1)) {
            counts.sound_given_up += 1;
            for news in scorer.advance()? {
                join.hear(news);
            }
            if !pass_on(&mut join, out, false) {
                return Ok(counts);
            }
        }
    }
    scorer.hearing().end();
    scorer.end_epoch();
    loop {
        for news in scorer.advance()? {
            join.hear(news);
        }
        let idle = scorer.is_idle();
        if !pass_on(&mut join, out, idle) || idle {
            return Ok(counts);
        }
        scorer.wait()?;
    }
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
