//! The scorer: tracked frames and audio in, one verdict per tick and track out.
//!
//! Takes frames with their tracked faces, in order, and audio; gives each track's verdicts in order
//! of time. Holds the frames that wait for smoothing, nothing older. Runs the model whenever enough
//! inputs have arrived: push inputs, then call [`Scorer::advance`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::audio_encoder::AudioEncoder;
use super::cross_face::{CrossFace, ScoredUntil, TrackUpdate};
use super::explainer::ExplainerFactory;
use super::face_stream::FaceStream;
use super::head_runner::{HeadRunner, TickVerdict};
use super::window::Window;
use crate::core::evidence::TrackId;
use crate::core::frame::{Frame, Image};
use crate::core::notify::Notify;
use crate::core::time::{Epoch, Span, Tick};
use crate::models::explain::Mode;
use crate::models::speaker_model::{
    FaceFeatures, FaceJob, InferenceError, PendingFeatures, SpeakerModel, StartedBatch,
};
use crate::stages::sync::grid::Grid;
use crate::stages::track::{TrackedFace, TrackedFaces, TrackedFrame};

/// Settings of the scorer.
#[derive(Clone, Copy, Debug)]
pub struct ScorerSettings {
    /// The head's window.
    pub window: Window,
    /// Ticks per run of the face encoder.
    pub face_chunk_ticks: usize,
    /// Ticks of all faces that may wait while the face encoder works. `None`: the caller waits for
    /// the encoder, and a hop's last ticks do not wait for a whole chunk.
    pub encode_ahead_ticks: Option<usize>,
    /// Ticks by which a crop lags its box.
    pub crop_lag_ticks: usize,
    /// How heatmaps are made.
    pub mode: Mode,
}

/// A track between its first box and its last verdict.
struct OpenTrack {
    epoch: Epoch,
    face_stream: FaceStream,
    head_runner: HeadRunner,
}

/// Tracks whose faces are in the face encoder.
struct InFlightBatch {
    tracks: Vec<TrackId>,
    pending: Box<dyn PendingFeatures>,
}

/// Scores every face of one stream.
pub struct Scorer {
    model: Box<dyn SpeakerModel>,
    new_explainer: ExplainerFactory,
    settings: ScorerSettings,
    audio_encoder: AudioEncoder,
    has_audio: bool,
    grid: Grid,
    epoch: Epoch,
    previous: Option<(Arc<dyn Image>, TrackedFaces)>,
    /// No track can start before this tick.
    at: Tick,
    open: BTreeMap<TrackId, OpenTrack>,
    in_flight: Vec<InFlightBatch>,
    notify: Option<Notify>,
    cross_face: CrossFace,
    /// Tracks seen so far only on frames that represent no tick: a fast source has such frames, and
    /// a track may begin and end between two ticks.
    between_ticks: BTreeSet<TrackId>,
    /// Of those, the ended ones: they will get no verdict, which is reported.
    unscored: Vec<TrackId>,
}

impl Scorer {
    /// Creates a scorer for a stream with the given `audio_encoder`; every track gets an explainer
    /// of its own from `new_explainer`.
    pub fn new(
        model: Box<dyn SpeakerModel>,
        new_explainer: ExplainerFactory,
        settings: ScorerSettings,
        audio_encoder: AudioEncoder,
        has_audio: bool,
    ) -> Self {
        Self {
            model,
            new_explainer,
            settings,
            audio_encoder,
            has_audio,
            grid: Grid::default(),
            epoch: Epoch::default(),
            previous: None,
            at: Tick(i64::MIN),
            open: BTreeMap::new(),
            in_flight: Vec::new(),
            notify: None,
            cross_face: CrossFace::default(),
            between_ticks: BTreeSet::new(),
            unscored: Vec::new(),
        }
    }

    /// The audio encoder, for pushing audio.
    pub const fn audio_encoder(&mut self) -> &mut AudioEncoder {
        &mut self.audio_encoder
    }

    /// Notifies through `notify` when a face has been encoded and `advance` can take it.
    pub fn set_notify(&mut self, notify: Notify) {
        self.notify = Some(notify);
    }

    /// Sets the heatmap mode and the ticks scored at once; the load controller uses it to reduce
    /// load.
    pub const fn set_mode_and_hop(&mut self, mode: Mode, hop: usize) {
        self.settings.mode = mode;
        self.settings.window.hop = hop;
    }

    /// Whether the stream has audio.
    pub const fn has_audio(&self) -> bool {
        self.has_audio
    }

    /// Whether no face is in the encoder; missing verdicts then wait for other inputs.
    pub const fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Pushes the next frame.
    pub fn push(&mut self, frame: &Frame, tracked: &TrackedFrame) {
        if frame.id.epoch != self.epoch {
            self.end_epoch();
            self.epoch = frame.id.epoch;
        }
        if let Some(ticks) = self.grid.push(frame.id.pts) {
            self.push_ticks(ticks);
        }
        for track in &tracked.ended {
            if let Some(open) = self.open.get_mut(track) {
                open.face_stream.end();
            }
            if self.between_ticks.remove(track) {
                self.unscored.push(*track);
            }
        }
        let is_new = |face: &&TrackedFace| !self.open.contains_key(&face.track);
        self.between_ticks.extend(tracked.faces.iter().filter(is_new).map(|f| f.track));
        self.at = Tick::nearest(frame.id.pts).offset(-1);
        let image = Arc::clone(&frame.image);
        match &mut self.previous {
            Some((previous, faces)) => {
                *previous = image;
                faces.clone_from(&tracked.faces);
            }
            None => self.previous = Some((image, tracked.faces.clone())),
        }
    }

    /// Ends the epoch after the last frame pushed, and with it every track.
    pub fn end_epoch(&mut self) {
        if let Some(ticks) = self.grid.finish(Span::from_ms(40)) {
            self.push_ticks(ticks);
        }
        self.grid = Grid::default();
        self.previous = None;
        for open in self.open.values_mut() {
            open.face_stream.end();
        }
        self.unscored.extend(std::mem::take(&mut self.between_ticks));
    }

    /// Pushes the previous frame for `ticks`.
    fn push_ticks(&mut self, ticks: std::ops::Range<i64>) {
        let Some((image, faces)) = &self.previous else { return };
        // Without audio there is nothing to score, so no crop is cut.
        if !self.has_audio {
            return;
        }
        for tick in ticks.map(Tick) {
            for face in faces {
                self.between_ticks.remove(&face.track);
                let open = self.open.entry(face.track).or_insert_with(|| {
                    let (shape, lag) = (self.model.shape(), self.settings.crop_lag_ticks);
                    let explainer = (self.new_explainer)(shape);
                    OpenTrack {
                        epoch: self.epoch,
                        face_stream: FaceStream::with_lag(face.track, tick, shape, explainer, lag),
                        head_runner: HeadRunner::new(shape, tick),
                    }
                });
                // A gap shorter than the tracker's timeout: the face's last position is repeated.
                while open.face_stream.next() <= tick {
                    open.face_stream.push(face.rect, Arc::clone(image));
                }
            }
        }
    }

    /// Runs the model as far as possible and returns the updates. Waits for the face encoder only
    /// if more ticks wait than allowed.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(&mut self) -> Result<Vec<TrackUpdate>, InferenceError> {
        self.audio_encoder.advance(self.model.as_mut())?;
        self.encode()?;
        let unscored = |track| TrackUpdate { track, verdicts: Vec::new(), complete: true };
        let mut updates: Vec<TrackUpdate> = self.unscored.drain(..).map(unscored).collect();
        let mut new_verdicts = self.run_heads()?;
        for (track, open) in &mut self.open {
            let verdicts = new_verdicts.remove(track).unwrap_or_default();
            let complete =
                open.face_stream.complete() && open.head_runner.next() >= open.face_stream.next();
            if complete || !verdicts.is_empty() {
                self.cross_face.push((*track, open.epoch), verdicts, complete);
            }
        }
        self.open.retain(|_, o| {
            !(o.face_stream.complete() && o.head_runner.next() >= o.face_stream.next())
        });
        let mut scored_until = ScoredUntil::new();
        for open in self.open.values() {
            let next = open.head_runner.next();
            match scored_until.iter_mut().find(|(epoch, _)| *epoch == open.epoch) {
                Some((_, until)) => *until = next.min(*until),
                None => scored_until.push((open.epoch, next)),
            }
        }
        updates.extend(self.cross_face.advance(self.model.as_mut(), &scored_until)?);
        self.forget();
        Ok(updates)
    }

    /// Waits until one batch in the face encoder is done.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn wait(&mut self) -> Result<(), InferenceError> {
        if self.in_flight.is_empty() {
            return Ok(());
        }
        let mut first = self.in_flight.remove(0);
        let features = first.pending.wait()?;
        self.push_features(first.tracks, features)
    }

    /// Takes finished batches from the face encoder and starts new ones until neither is possible;
    /// waits if more ticks wait than allowed.
    fn encode(&mut self) -> Result<(), InferenceError> {
        loop {
            let taken = self.take_finished()?;
            let started = self.start_encoding()?;
            if taken || started {
                continue;
            }
            if self.in_flight.is_empty() || !self.is_behind() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Whether more ticks wait for the encoder than allowed, including ticks of ended tracks: a
    /// recording may have many short shots in a row.
    fn is_behind(&self) -> bool {
        let Some(max) = self.settings.encode_ahead_ticks else { return true };
        self.waiting_ticks() > max
    }

    /// Ticks of all faces that wait for the encoder.
    pub(super) fn waiting_ticks(&self) -> usize {
        self.open.values().map(|open| open.face_stream.waiting()).sum()
    }

    fn take_finished(&mut self) -> Result<bool, InferenceError> {
        let (mut at, mut taken) = (0, false);
        while let Some(one) = self.in_flight.get_mut(at) {
            match one.pending.poll() {
                Some(features) => {
                    taken = true;
                    let tracks = self.in_flight.remove(at).tracks;
                    self.push_features(tracks, features?)?;
                }
                None => at += 1,
            }
        }
        Ok(taken)
    }

    fn push_features(
        &mut self,
        tracks: Vec<TrackId>,
        features: Vec<FaceFeatures>,
    ) -> Result<(), InferenceError> {
        if features.len() != tracks.len() {
            let reason = format!("{} results for {} faces", features.len(), tracks.len());
            return Err(InferenceError { package: "speaker".into(), graph: "face", reason });
        }
        for (track, features) in tracks.into_iter().zip(features) {
            if let Some(open) = self.open.get_mut(&track) {
                open.face_stream.push_features(features, self.model.shape(), self.settings.mode);
            }
        }
        Ok(())
    }

    /// Starts a run of the face encoder over all tracks that have a chunk of the same length
    /// waiting; `false` if there is none.
    fn start_encoding(&mut self) -> Result<bool, InferenceError> {
        let chunk = self.settings.face_chunk_ticks;
        let (window, delay) = (self.settings.window, self.model.shape().face_delay_ticks);
        let synchronous = self.settings.encode_ahead_ticks.is_none();
        let notify = self.notify.as_ref().filter(|_| !synchronous);
        let mut by_length: BTreeMap<usize, Vec<TrackId>> = BTreeMap::new();
        for (track, open) in &self.open {
            let waiting = open.face_stream.waiting();
            let hop_complete = || window.completes_hop(open.face_stream.waiting_range(), delay);
            let last = open.face_stream.ended() || (synchronous && hop_complete());
            let ready = waiting >= chunk || (last && waiting > 0);
            if ready && !open.face_stream.in_flight() {
                by_length.entry(waiting.min(chunk)).or_default().push(*track);
            }
        }
        let Some((length, tracks)) = by_length.pop_last() else { return Ok(false) };
        let mut jobs: Vec<FaceJob> = Vec::with_capacity(tracks.len());
        for track in &tracks {
            let job = self
                .open
                .get_mut(track)
                .and_then(|o| o.face_stream.take_job(length, self.settings.mode));
            jobs.extend(job);
        }
        let mut tracks = tracks.into_iter();
        for StartedBatch { jobs, pending } in self.model.start_faces(jobs, notify)? {
            self.in_flight
                .push(InFlightBatch { tracks: tracks.by_ref().take(jobs).collect(), pending });
        }
        Ok(true)
    }

    /// Every track's new verdicts; the next windows of all tracks go through the head together.
    fn run_heads(&mut self) -> Result<BTreeMap<TrackId, Vec<TickVerdict>>, InferenceError> {
        let ScorerSettings { window, mode, .. } = self.settings;
        let (audio_encoder, model) = (&self.audio_encoder, self.model.as_mut());
        let mut verdicts: BTreeMap<TrackId, Vec<TickVerdict>> = BTreeMap::new();
        loop {
            let (mut jobs, mut pending) = (Vec::new(), Vec::new());
            for (track, OpenTrack { face_stream, head_runner, .. }) in &mut self.open {
                let mut out = Vec::new();
                if let Some((job, pending_window)) =
                    head_runner.next_window(face_stream, audio_encoder, window, &mut out)
                {
                    jobs.push(job);
                    pending.push((*track, pending_window));
                }
                if !out.is_empty() {
                    verdicts.entry(*track).or_default().extend(out);
                }
            }
            if jobs.is_empty() {
                return Ok(verdicts);
            }
            for ((track, pending), result) in pending.into_iter().zip(model.run_heads(jobs)?) {
                if let Some(OpenTrack { face_stream, head_runner, .. }) = self.open.get_mut(&track)
                {
                    let new = head_runner.apply_result(
                        face_stream,
                        audio_encoder,
                        model,
                        mode,
                        (pending, &result),
                    )?;
                    verdicts.entry(track).or_default().extend(new);
                }
            }
        }
    }

    fn forget(&mut self) {
        let oldest = self.open.values().map(|o| o.head_runner.next()).min();
        self.audio_encoder.forget_before(oldest.map_or(self.at, |tick| tick.min(self.at)));
    }
}
