//! The slow lane's last stage as a loop: tracked frames and audio in, evidence for every frame out.
//!
//! Never waits for one of its inputs while the other could come: it takes what comes first. Audio
//! that has not come when all the frames that may be held are here counts as a gap, as waiting
//! longer would stop the source, and with it the audio, for good.

use super::frame_assembler::FrameAssembler;
use super::scorer::Scorer;
use crate::core::evidence::FrameEvidence;
use crate::core::notify::Notify;
use crate::core::queue::{ByteSize, NoItem, Receiver, Sender};
use crate::core::time::Tick;
use crate::models::speaker_model::InferenceError;
use crate::stages::source::AudioBlock;
use crate::stages::track::front_end::FrameWithFaces;

/// What reaches the scorer.
#[expect(
    clippy::large_enum_variant,
    reason = "most are Frame, and that lies here to need no memory"
)]
pub enum ScoreInput {
    /// The next frame.
    Frame(FrameWithFaces),
    /// No more frames come.
    FramesEnd,
    /// The next stretch of audio.
    Audio(AudioBlock),
    /// No more audio comes.
    AudioEnd,
}

impl ByteSize for ScoreInput {
    fn byte_size(&self) -> usize {
        match self {
            Self::Frame(looked) => looked.0.byte_size(),
            Self::FramesEnd | Self::AudioEnd => size_of::<Self>(),
            Self::Audio(block) => size_of_val(block.samples.as_slice()),
        }
    }
}

/// What scoring went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreCounts {
    /// Times that audio was given up because it came too late.
    pub audio_timeouts: u64,
}

/// Someone who looks in on scoring after everything that came: a live stream sets what may be spent,
/// shows what is known already, and watches that things move.
pub(crate) trait ScoreObserver {
    /// Something came; `frame` says whether it was a frame.
    fn after_input(&mut self, scorer: &mut Scorer, frame_assembler: &FrameAssembler, frame: bool);
}

/// Nobody looks in.
pub(crate) struct NoObserver;

impl ScoreObserver for NoObserver {
    fn after_input(&mut self, _: &mut Scorer, _: &FrameAssembler, _: bool) {}
}

/// The loop's own state.
struct ScoreLoop<'a> {
    scorer: Scorer,
    frame_assembler: FrameAssembler,
    out: &'a Sender<FrameEvidence>,
    newest: Tick,
    frames_ended: bool,
    audio_ended: bool,
}

impl ScoreLoop<'_> {
    fn handle_input(&mut self, input: ScoreInput) {
        match input {
            ScoreInput::Frame(looked) => {
                let (frame, tracked) = looked;
                self.newest = Tick::nearest(frame.id.pts);
                self.scorer.push(&frame, &tracked);
                self.frame_assembler.push(tracked);
            }
            ScoreInput::FramesEnd => {
                self.frames_ended = true;
                self.scorer.end_epoch();
            }
            ScoreInput::Audio(block) => self.scorer.audio_encoder().push(block.pts, &block.samples),
            ScoreInput::AudioEnd => {
                self.audio_ended = true;
                self.scorer.audio_encoder().end();
            }
        }
    }

    /// Scores what can be scored and sends what is certain, with `all` the rest, too; `false` where
    /// nobody wants it.
    fn send_ready(&mut self, all: bool) -> Result<bool, InferenceError> {
        for update in self.scorer.advance()? {
            self.frame_assembler.apply(update);
        }
        // What is being encoded is still to come.
        let all = all && self.scorer.is_idle();
        while let Some(evidence) = self.frame_assembler.pop(all) {
            if self.out.send(evidence).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the audio stands in the way of `max_waiting_frames` frames. Where faces are still being
    /// encoded it may be they, but they are never behind by as many again.
    fn is_blocked_by_audio(&self, max_waiting_frames: usize) -> bool {
        let waiting = self.frame_assembler.waiting();
        let full = waiting >= max_waiting_frames && self.scorer.is_idle();
        !self.audio_ended && (full || waiting >= max_waiting_frames.saturating_mul(2))
    }
}

/// Scores until all inputs have ended or nobody wants the evidence.
///
/// # Errors
/// Where the model fails.
pub(crate) fn score(
    inputs: &Receiver<ScoreInput>,
    mut scorer: Scorer,
    frame_assembler: FrameAssembler,
    max_waiting_frames: usize,
    out: &Sender<FrameEvidence>,
    observer: &mut impl ScoreObserver,
) -> Result<ScoreCounts, InferenceError> {
    let mut counts = ScoreCounts::default();
    let face_encoded = Notify::default();
    scorer.set_notify(face_encoded.clone());
    let (frames_ended, audio_ended) = (false, !scorer.has_audio());
    let newest = Tick::default();
    let mut score_loop =
        ScoreLoop { scorer, frame_assembler, out, newest, frames_ended, audio_ended };
    while !(score_loop.frames_ended && score_loop.audio_ended) {
        let input = inputs.recv_or_notified(&face_encoded);
        let is_frame = matches!(input, Ok(ScoreInput::Frame(_)));
        match input {
            Ok(input) => score_loop.handle_input(input),
            Err(NoItem::Empty) => {}
            Err(NoItem::Ended) => break,
        }
        observer.after_input(&mut score_loop.scorer, &score_loop.frame_assembler, is_frame);
        let mut receiver_alive = score_loop.send_ready(false)?;
        if score_loop.is_blocked_by_audio(max_waiting_frames) {
            let until = score_loop.newest.offset(1);
            counts.audio_timeouts +=
                u64::from(score_loop.scorer.audio_encoder().time_out_before(until));
            receiver_alive = receiver_alive && score_loop.send_ready(false)?;
        }
        if !receiver_alive {
            return Ok(counts);
        }
    }
    score_loop.scorer.audio_encoder().end();
    score_loop.scorer.end_epoch();
    while score_loop.send_ready(true)? && !score_loop.scorer.is_idle() {
        score_loop.scorer.wait()?;
    }
    Ok(counts)
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
