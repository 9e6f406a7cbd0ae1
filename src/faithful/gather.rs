//! A recording's faces with their sound and the package's own scores, kept until all of it is here.
//!
//! Takes what the stages before scoring give (tracked frames and sound); gives every track's crops,
//! sound embeddings and scores, cut and scored by the same code as in a run. Crops are kept, and
//! there are only so many of them: where that is reached, the rest of the recording is not looked
//! at. The models run when everything has been read, so that nothing hangs on which of two threads
//! was faster.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::core::evidence::TrackId;
use crate::core::picture::{Frame, Picture};
use crate::core::time::{Epoch, Pts, Span, Tick};
use crate::stages::explain::Mode;
use crate::stages::explain::scale::ScaleRule;
use crate::stages::score::hearing::{Heard, Hearing};
use crate::stages::score::judge::{Judge, Window};
use crate::stages::score::lane::Lane;
use crate::stages::score::model::{ModelFault, ModelShape, SpeakerModel};
use crate::stages::score::stage::ScoreInput;
use crate::stages::source::SoundBlock;
use crate::stages::sync::grid::Grid;
use crate::stages::track::{TrackedFaces, TrackedFrame};

/// Crops kept of one recording: ten minutes of one face, 188 MB.
pub const MOST_CROPS: usize = 15_000;
/// Crops through the face encoder at once.
const CHUNK: usize = 50;
/// Sound read beyond the last crop: more than any encoder looks ahead.
const SOUND_BEYOND: Span = Span::from_ms(2_000);

/// One face, followed through the recording.
#[derive(Debug)]
pub struct FaceTrack {
    /// Whose.
    pub track: TrackId,
    /// Its first tick.
    pub first: Tick,
    /// T grey crops.
    pub crops: Vec<u8>,
    /// T sound embeddings; `None` where there is no sound.
    pub sound: Vec<Option<Vec<f32>>>,
    /// T scores p, before competition between faces; `None` where the package gives none.
    pub scores: Vec<Option<f32>>,
}

/// Gathers one recording.
pub struct Gatherer {
    shape: ModelShape,
    hearing: Hearing,
    grid: Grid,
    epoch: Epoch,
    previous: Option<(Arc<dyn Picture>, TrackedFaces)>,
    lanes: BTreeMap<TrackId, Lane>,
    /// Crops that may still be cut.
    room: usize,
    /// Where the room ended.
    full_at: Option<Pts>,
    sound_until: Pts,
    sound_ended: bool,
}

impl Gatherer {
    /// A gatherer for a recording with the ear `hearing`, which keeps `room` crops at most.
    pub fn new(shape: ModelShape, hearing: Hearing, room: usize) -> Self {
        Self {
            shape,
            hearing,
            grid: Grid::default(),
            epoch: Epoch::default(),
            previous: None,
            lanes: BTreeMap::new(),
            room,
            full_at: None,
            sound_until: Pts::ZERO,
            sound_ended: false,
        }
    }

    /// Takes the next input; says whether more is wanted.
    pub fn take(&mut self, input: ScoreInput) -> ControlFlow<()> {
        match input {
            ScoreInput::Frame(looked) if self.full_at.is_none() => self.frame(&looked.0, &looked.1),
            ScoreInput::Frame(_) => {}
            ScoreInput::FramesEnd => self.end_epoch(),
            ScoreInput::Sound(block) => self.sound(&block),
            ScoreInput::SoundEnd => self.sound_ended = true,
        }
        match self.full_at {
            Some(at) if self.sound_ended || self.sound_until >= at + SOUND_BEYOND => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    /// Where the room for crops ended, if it did.
    pub const fn full_at(&self) -> Option<Pts> {
        self.full_at
    }

    fn sound(&mut self, block: &SoundBlock) {
        let length = i64::try_from(block.samples.len()).unwrap_or(0) * 62_500;
        self.sound_until = block.pts.unwrap_or(self.sound_until) + Span::from_ns(length);
        self.hearing.push(block.pts, &block.samples);
    }

    fn frame(&mut self, frame: &Frame, tracked: &TrackedFrame) {
        if frame.id.epoch != self.epoch {
            self.end_epoch();
            self.epoch = frame.id.epoch;
        }
        if let Some(ticks) = self.grid.push(frame.id.pts) {
            self.stand_for(ticks);
        }
        for track in &tracked.ended {
            self.lanes.get_mut(track).into_iter().for_each(Lane::end);
        }
        self.previous = Some((Arc::clone(&frame.picture), tracked.faces.clone()));
        if self.room == 0 {
            self.full_at = Some(frame.id.pts);
        }
    }

    fn end_epoch(&mut self) {
        if let Some(ticks) = self.grid.finish(Tick::SPAN) {
            self.stand_for(ticks);
        }
        self.grid = Grid::default();
        self.previous = None;
        self.lanes.values_mut().for_each(Lane::end);
    }

    /// The previous frame stands for `ticks`.
    fn stand_for(&mut self, ticks: std::ops::Range<i64>) {
        let Some((picture, faces)) = &self.previous else { return };
        for tick in ticks.map(Tick) {
            for face in faces {
                let fresh = || Lane::new(face.track, tick, &self.shape);
                let lane = self.lanes.entry(face.track).or_insert_with(fresh);
                while lane.next() <= tick && self.room > 0 {
                    lane.push(face.rect, Arc::clone(picture));
                    self.room -= 1;
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
    ) -> Result<Vec<FaceTrack>, ModelFault> {
        self.end_epoch();
        self.hearing.end();
        self.hearing.advance(model)?;
        let lanes = std::mem::take(&mut self.lanes);
        lanes.into_values().map(|lane| self.track(lane, model, window)).collect()
    }

    fn track(
        &self,
        mut lane: Lane,
        model: &mut dyn SpeakerModel,
        window: Window,
    ) -> Result<FaceTrack, ModelFault> {
        lane.end();
        let (track, first) = (lane.track, lane.first);
        let ticks = usize::try_from(lane.next().0 - first.0).unwrap_or(0);
        let mut crops = Vec::new();
        while let Some(job) = lane.take_job(CHUNK, Mode::None) {
            crops.extend_from_slice(&job.crops);
            if let Some(features) = model.encode_faces(vec![job])?.pop() {
                lane.put(features, &self.shape, Mode::None);
            }
        }
        // Behind them lies what flushed the encoder.
        crops.truncate(ticks * self.shape.crop_len());
        let mut judge = Judge::new(&self.shape, first, ScaleRule::default());
        let mut verdicts = Vec::new();
        judge.advance(&mut lane, &self.hearing, model, (window, Mode::None), &mut verdicts)?;
        let sound =
            (first.0..first.0 + ticks as i64).map(|tick| match self.hearing.at(Tick(tick)) {
                Heard::Sound(embedding) => Some(embedding.to_vec()),
                Heard::Nothing(_) | Heard::NotYet => None,
            });
        let mut scores: Vec<Option<f32>> =
            verdicts.iter().map(|v| v.p.ok().map(|p| p.get())).collect();
        scores.resize(ticks, None);
        Ok(FaceTrack { track, first, crops, sound: sound.collect(), scores })
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
