//! A recording's faces with their audio and the package's own scores, kept until all of it is here.
//!
//! Takes what the stages before scoring give (tracked frames and audio); gives every track's crops,
//! audio embeddings and scores, cut and scored by the same code as in a run. Crops are kept, and
//! there are only so many of them: where that is reached, the rest of the recording is not looked
//! at. The models run when everything has been read, so that nothing hangs on which of two threads
//! was faster.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::core::evidence::TrackId;
use crate::core::frame::{Frame, Image};
use crate::core::time::{Epoch, Pts, Span, Tick};
use crate::models::explain::Mode;
use crate::models::explain::ScaleRule;
use crate::models::speaker_model::{InferenceError, ModelShape, SpeakerModel};
use crate::stages::score::audio_encoder::{AudioEmbedding, AudioEncoder};
use crate::stages::score::face_stream::FaceStream;
use crate::stages::score::head_runner::{HeadRunner, Window};
use crate::stages::score::stage::ScoreInput;
use crate::stages::source::AudioBlock;
use crate::stages::sync::grid::Grid;
use crate::stages::track::{TrackedFaces, TrackedFrame};

/// Crops kept of one recording: ten minutes of one face, 188 MB.
pub const MAX_CROPS: usize = 15_000;
/// Crops through the face encoder at once.
const CHUNK_TICKS: usize = 50;
/// Audio read beyond the last crop: more than any encoder looks ahead.
const AUDIO_MARGIN: Span = Span::from_ms(2_000);

/// One face, followed through the recording.
#[derive(Debug)]
pub struct FaceTrack {
    /// Whose.
    pub track: TrackId,
    /// Its first tick.
    pub first: Tick,
    /// T grey crops.
    pub crops: Vec<u8>,
    /// T audio embeddings; `None` where there is no audio.
    pub audio: Vec<Option<Vec<f32>>>,
    /// T scores p, before competition between faces; `None` where the package gives none.
    pub scores: Vec<Option<f32>>,
}

/// Gathers one recording.
pub struct TrackCollector {
    shape: ModelShape,
    audio_encoder: AudioEncoder,
    grid: Grid,
    epoch: Epoch,
    previous: Option<(Arc<dyn Image>, TrackedFaces)>,
    face_streams: BTreeMap<TrackId, FaceStream>,
    /// Crops that may still be cut.
    crops_left: usize,
    /// Where the room ended.
    full_at: Option<Pts>,
    audio_until: Pts,
    audio_ended: bool,
}

impl TrackCollector {
    /// A gatherer for a recording with the ear `audio_encoder`, which keeps `crops_left` crops at most.
    pub fn new(shape: ModelShape, audio_encoder: AudioEncoder, crops_left: usize) -> Self {
        Self {
            shape,
            audio_encoder,
            grid: Grid::default(),
            epoch: Epoch::default(),
            previous: None,
            face_streams: BTreeMap::new(),
            crops_left,
            full_at: None,
            audio_until: Pts::ZERO,
            audio_ended: false,
        }
    }

    /// Takes the next input; says whether more is wanted.
    pub fn push(&mut self, input: ScoreInput) -> ControlFlow<()> {
        match input {
            ScoreInput::Frame(tracked) if self.full_at.is_none() => {
                self.push_frame(&tracked.0, &tracked.1)
            }
            ScoreInput::Frame(_) => {}
            ScoreInput::FramesEnd => self.end_epoch(),
            ScoreInput::Audio(block) => self.push_audio(&block),
            ScoreInput::AudioEnd => self.audio_ended = true,
        }
        match self.full_at {
            Some(at) if self.audio_ended || self.audio_until >= at + AUDIO_MARGIN => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    /// Where the room for crops ended, if it did.
    pub const fn full_at(&self) -> Option<Pts> {
        self.full_at
    }

    fn push_audio(&mut self, block: &AudioBlock) {
        let length = i64::try_from(block.samples.len()).unwrap_or(0) * 62_500;
        self.audio_until = block.pts.unwrap_or(self.audio_until) + Span::from_ns(length);
        self.audio_encoder.push(block.pts, &block.samples);
    }

    fn push_frame(&mut self, frame: &Frame, tracked: &TrackedFrame) {
        if frame.id.epoch != self.epoch {
            self.end_epoch();
            self.epoch = frame.id.epoch;
        }
        if let Some(ticks) = self.grid.push(frame.id.pts) {
            self.push_ticks(ticks);
        }
        for track in &tracked.ended {
            self.face_streams.get_mut(track).into_iter().for_each(FaceStream::end);
        }
        self.previous = Some((Arc::clone(&frame.image), tracked.faces.clone()));
        if self.crops_left == 0 {
            self.full_at = Some(frame.id.pts);
        }
    }

    fn end_epoch(&mut self) {
        if let Some(ticks) = self.grid.finish(Tick::SPAN) {
            self.push_ticks(ticks);
        }
        self.grid = Grid::default();
        self.previous = None;
        self.face_streams.values_mut().for_each(FaceStream::end);
    }

    /// The previous frame stands for `ticks`.
    fn push_ticks(&mut self, ticks: std::ops::Range<i64>) {
        let Some((image, faces)) = &self.previous else { return };
        for tick in ticks.map(Tick) {
            for face in faces {
                let new_stream = || FaceStream::new(face.track, tick, &self.shape);
                let face_stream = self.face_streams.entry(face.track).or_insert_with(new_stream);
                while face_stream.next() <= tick && self.crops_left > 0 {
                    face_stream.push(face.rect, Arc::clone(image));
                    self.crops_left -= 1;
                }
            }
        }
    }

    /// Scores every track in windows of `window`, now that all is here.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn finish(
        mut self,
        model: &mut dyn SpeakerModel,
        window: Window,
    ) -> Result<Vec<FaceTrack>, InferenceError> {
        self.end_epoch();
        self.audio_encoder.end();
        self.audio_encoder.advance(model)?;
        let face_streams = std::mem::take(&mut self.face_streams);
        face_streams
            .into_values()
            .map(|face_stream| self.score_track(face_stream, model, window))
            .collect()
    }

    fn score_track(
        &self,
        mut face_stream: FaceStream,
        model: &mut dyn SpeakerModel,
        window: Window,
    ) -> Result<FaceTrack, InferenceError> {
        face_stream.end();
        let (track, first) = (face_stream.track, face_stream.first);
        let ticks = usize::try_from(face_stream.next().0 - first.0).unwrap_or(0);
        let mut crops = Vec::new();
        while let Some(job) = face_stream.take_job(CHUNK_TICKS, Mode::None) {
            crops.extend_from_slice(&job.crops);
            if let Some(features) = model.encode_faces(vec![job])?.pop() {
                face_stream.push_features(features, &self.shape, Mode::None);
            }
        }
        // Behind them lies what flushed the encoder.
        crops.truncate(ticks * self.shape.crop_len());
        let mut head_runner = HeadRunner::new(&self.shape, first, ScaleRule::default());
        let mut verdicts = Vec::new();
        head_runner.advance(
            &mut face_stream,
            &self.audio_encoder,
            model,
            (window, Mode::None),
            &mut verdicts,
        )?;
        let audio =
            (first.0..first.0 + ticks as i64).map(|tick| match self.audio_encoder.at(Tick(tick)) {
                AudioEmbedding::Ready(embedding) => Some(embedding.to_vec()),
                AudioEmbedding::Missing(_) | AudioEmbedding::Pending => None,
            });
        let mut scores: Vec<Option<f32>> =
            verdicts.iter().map(|v| v.p.ok().map(|p| p.get())).collect();
        scores.resize(ticks, None);
        Ok(FaceTrack { track, first, crops, audio: audio.collect(), scores })
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
