//! Collects a recording's faces with their audio and the package's own scores.
//!
//! Input: tracked frames and audio from the stages before scoring. Output: each track's crops,
//! audio embeddings and scores, computed by the same code as in a run. Crops are kept in memory up
//! to a limit; the rest of the recording is skipped. The models run after everything has been read,
//! so that the result does not depend on thread timing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::core::evidence::TrackId;
use crate::core::frame::{Frame, Image};
use crate::core::time::{Epoch, Pts, Span, Tick};
use crate::models::explain::{Mode, ScaleRule};
use crate::models::speaker_model::{InferenceError, ModelShape, SpeakerModel};
use crate::stages::explain::track_explainer::TrackExplainer;
use crate::stages::score::audio_encoder::{AudioEmbedding, AudioEncoder};
use crate::stages::score::face_stream::FaceStream;
use crate::stages::score::head_runner::HeadRunner;
use crate::stages::score::stage::ScoreInput;
use crate::stages::score::window::Window;
use crate::stages::source::AudioBlock;
use crate::stages::sync::grid::Grid;
use crate::stages::track::{TrackedFaces, TrackedFrame};

/// Maximum number of crops per recording: ten minutes of one face, 188 MB.
pub(crate) const MAX_CROPS: usize = 15_000;
/// Crops per call of the face encoder.
const CHUNK_TICKS: usize = 50;
/// Audio read beyond the last crop; longer than any encoder's lookahead.
const AUDIO_MARGIN: Span = Span::from_ms(2_000);

/// One face, tracked through the recording.
#[derive(Debug)]
pub(crate) struct FaceTrack {
    /// The track.
    pub track: TrackId,
    /// The first tick.
    pub first: Tick,
    /// T grey crops.
    pub crops: Vec<u8>,
    /// T audio embeddings; `None` for ticks without audio.
    pub audio: Vec<Option<Vec<f32>>>,
    /// T scores p, before cross-face rescoring; `None` for ticks without a score.
    pub scores: Vec<Option<f32>>,
}

/// Collects the tracks of one recording.
pub(crate) struct TrackCollector {
    shape: ModelShape,
    audio_encoder: AudioEncoder,
    grid: Grid,
    epoch: Epoch,
    previous: Option<(Arc<dyn Image>, TrackedFaces)>,
    face_streams: BTreeMap<TrackId, FaceStream>,
    /// Number of crops left until the limit.
    crops_left: usize,
    /// Time at which the limit was reached.
    full_at: Option<Pts>,
    audio_until: Pts,
    audio_ended: bool,
}

impl TrackCollector {
    /// A collector for a recording; keeps at most `crops_left` crops.
    pub(crate) fn new(shape: ModelShape, audio_encoder: AudioEncoder, crops_left: usize) -> Self {
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

    /// Adds the next input; gives `Break` if no more is needed.
    pub(crate) fn push(&mut self, input: ScoreInput) -> ControlFlow<()> {
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

    /// Time at which the crop limit was reached, if it was.
    pub(crate) const fn full_at(&self) -> Option<Pts> {
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

    /// Adds a crop of the previous frame's faces for each of `ticks`.
    fn push_ticks(&mut self, ticks: std::ops::Range<i64>) {
        let Some((image, faces)) = &self.previous else { return };
        for tick in ticks.map(Tick) {
            for face in faces {
                let new_stream = || {
                    let explainer = TrackExplainer::new(&self.shape, ScaleRule::default());
                    FaceStream::new(face.track, tick, &self.shape, Box::new(explainer))
                };
                let face_stream = self.face_streams.entry(face.track).or_insert_with(new_stream);
                while face_stream.next() <= tick && self.crops_left > 0 {
                    face_stream.push(face.rect, Arc::clone(image));
                    self.crops_left -= 1;
                }
            }
        }
    }

    /// Scores every track in windows of `window`; call it after the last input.
    ///
    /// # Errors
    /// If the model fails.
    pub(crate) fn finish(
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
        // The crops that flushed the encoder come last.
        crops.truncate(ticks * self.shape.crop_len());
        let mut head_runner = HeadRunner::new(&self.shape, first);
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
