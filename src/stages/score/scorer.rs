//! The scorer: tracked frames and sound in, verdicts a tick for every track out.
//!
//! Takes frames with their tracked faces in order, and sound as it comes; gives each track's
//! verdicts in order of time. Holds the pictures that wait for smoothing, nothing older. Runs the
//! model whenever enough has come together, so a caller pushes, then calls [`Scorer::advance`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hearing::Hearing;
use super::judge::{Judge, TickVerdict, Window};
use super::lane::Lane;
use super::model::{Encoding, FaceFeatures, FaceJob, ModelFault, SpeakerModel, Started};
use super::rivals::{Judged, Rivals};
use crate::core::bell::Bell;
use crate::core::evidence::TrackId;
use crate::core::picture::{Frame, Picture};
use crate::core::time::{Epoch, Span, Tick};
use crate::stages::explain::Mode;
use crate::stages::explain::scale::ScaleRule;
use crate::stages::sync::grid::Grid;
use crate::stages::track::{TrackedFace, TrackedFaces, TrackedFrame};

/// How the scorer works.
#[derive(Clone, Copy, Debug)]
pub struct ScorerSettings {
    /// The head's window.
    pub window: Window,
    /// Ticks that go through the face encoder at once.
    pub face_chunk: usize,
    /// Ticks of all faces that may wait for the face encoder while it works; `None` where nothing may:
    /// then all that follows waits for it, and a hop's last ticks do not wait for a whole chunk.
    pub encode_ahead: Option<usize>,
    /// Ticks that a crop follows its box by.
    pub crop_lag: usize,
    /// How heatmaps are made.
    pub mode: Mode,
    /// How they are scaled.
    pub scale: ScaleRule,
}

/// A track between its first box and its last verdict.
struct Open {
    epoch: Epoch,
    lane: Lane,
    judge: Judge,
}

/// Tracks whose faces are being encoded.
struct UnderWay {
    tracks: Vec<TrackId>,
    encoding: Box<dyn Encoding>,
}

/// The news of one track.
#[derive(Debug)]
pub struct TrackNews {
    /// Whose.
    pub track: TrackId,
    /// New verdicts, in order of time, without a hole.
    pub verdicts: Vec<TickVerdict>,
    /// Whether these were the last.
    pub complete: bool,
}

/// Scores every face of one stream.
pub struct Scorer {
    model: Box<dyn SpeakerModel>,
    settings: ScorerSettings,
    hearing: Hearing,
    has_sound: bool,
    grid: Grid,
    epoch: Epoch,
    previous: Option<(Arc<dyn Picture>, TrackedFaces)>,
    /// No track can start before this tick any more.
    at: Tick,
    open: BTreeMap<TrackId, Open>,
    under_way: Vec<UnderWay>,
    bell: Option<Bell>,
    rivals: Rivals,
    /// Tracks on frames that stood for no tick so far: a fast source has such frames, and a track
    /// may begin and end between two ticks.
    between_ticks: BTreeSet<TrackId>,
    /// Of those, the ones that have ended: nothing will ever be said of them, and that is news.
    unscored: Vec<TrackId>,
}

impl Scorer {
    /// A scorer for a stream with the ear `hearing`.
    pub fn new(
        model: Box<dyn SpeakerModel>,
        settings: ScorerSettings,
        hearing: Hearing,
        has_sound: bool,
    ) -> Self {
        Self {
            model,
            settings,
            hearing,
            has_sound,
            grid: Grid::default(),
            epoch: Epoch::default(),
            previous: None,
            at: Tick(i64::MIN),
            open: BTreeMap::new(),
            under_way: Vec::new(),
            bell: None,
            rivals: Rivals::default(),
            between_ticks: BTreeSet::new(),
            unscored: Vec::new(),
        }
    }

    /// The ear, for pushing sound.
    pub const fn hearing(&mut self) -> &mut Hearing {
        &mut self.hearing
    }

    /// From now on `bell` is rung when a face is encoded, and another call would find it.
    pub fn wake_by(&mut self, bell: Bell) {
        self.bell = Some(bell);
    }

    /// From now on heatmaps are made like this, and so many ticks are scored at once: the way to
    /// spend less under load.
    pub const fn spend(&mut self, mode: Mode, hop: usize) {
        self.settings.mode = mode;
        self.settings.window.hop = hop;
    }

    /// Whether the stream has sound at all.
    pub const fn has_sound(&self) -> bool {
        self.has_sound
    }

    /// Whether no face is being encoded: what has no verdict yet waits for something else.
    pub const fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Takes the next frame.
    pub fn push(&mut self, frame: &Frame, tracked: &TrackedFrame) {
        if frame.id.epoch != self.epoch {
            self.end_epoch();
            self.epoch = frame.id.epoch;
        }
        if let Some(ticks) = self.grid.push(frame.id.pts) {
            self.stand_for(ticks);
        }
        for track in &tracked.ended {
            if let Some(open) = self.open.get_mut(track) {
                open.lane.end();
            }
            if self.between_ticks.remove(track) {
                self.unscored.push(*track);
            }
        }
        let known = |face: &&TrackedFace| !self.open.contains_key(&face.track);
        self.between_ticks.extend(tracked.faces.iter().filter(known).map(|f| f.track));
        self.at = Tick::nearest(frame.id.pts).offset(-1);
        let picture = Arc::clone(&frame.picture);
        match &mut self.previous {
            Some((previous, faces)) => {
                *previous = picture;
                faces.clone_from(&tracked.faces);
            }
            None => self.previous = Some((picture, tracked.faces.clone())),
        }
    }

    /// No frame comes after the last one pushed, in this epoch; every track ends.
    pub fn end_epoch(&mut self) {
        if let Some(ticks) = self.grid.finish(Span::from_ms(40)) {
            self.stand_for(ticks);
        }
        self.grid = Grid::default();
        self.previous = None;
        for open in self.open.values_mut() {
            open.lane.end();
        }
        self.unscored.extend(std::mem::take(&mut self.between_ticks));
    }

    /// The previous frame stands for `ticks`.
    fn stand_for(&mut self, ticks: std::ops::Range<i64>) {
        let Some((picture, faces)) = &self.previous else { return };
        // Without sound there is nothing to score: no crop is cut.
        if !self.has_sound {
            return;
        }
        for tick in ticks.map(Tick) {
            for face in faces {
                self.between_ticks.remove(&face.track);
                let open = self.open.entry(face.track).or_insert_with(|| {
                    let (shape, lag) = (self.model.shape(), self.settings.crop_lag);
                    Open {
                        epoch: self.epoch,
                        lane: Lane::lagging(face.track, tick, shape, lag),
                        judge: Judge::new(shape, tick, self.settings.scale),
                    }
                });
                // A hole shorter than the tracker's patience: the face stood still meanwhile.
                while open.lane.next() <= tick {
                    open.lane.push(face.rect, Arc::clone(picture));
                }
            }
        }
    }

    /// Runs the model as far as it can go and returns what is new; waits for the face encoder only
    /// where more lies before it than may.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(&mut self) -> Result<Vec<TrackNews>, ModelFault> {
        self.hearing.advance(self.model.as_mut())?;
        self.encode()?;
        let nothing = |track| TrackNews { track, verdicts: Vec::new(), complete: true };
        let mut news: Vec<TrackNews> = self.unscored.drain(..).map(nothing).collect();
        let mut judged = self.judge()?;
        for (track, open) in &mut self.open {
            let verdicts = judged.remove(track).unwrap_or_default();
            let complete = open.lane.complete() && open.judge.next() >= open.lane.next();
            if complete || !verdicts.is_empty() {
                self.rivals.push((*track, open.epoch), verdicts, complete);
            }
        }
        self.open.retain(|_, o| !(o.lane.complete() && o.judge.next() >= o.lane.next()));
        let mut judged = Judged::new();
        for open in self.open.values() {
            let next = open.judge.next();
            match judged.iter_mut().find(|(epoch, _)| *epoch == open.epoch) {
                Some((_, until)) => *until = next.min(*until),
                None => judged.push((open.epoch, next)),
            }
        }
        news.extend(self.rivals.settle(self.model.as_mut(), &judged)?);
        self.forget();
        Ok(news)
    }

    /// Waits until one of the faces that are being encoded is done.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn wait(&mut self) -> Result<(), ModelFault> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        let mut first = self.under_way.remove(0);
        let features = first.encoding.wait()?;
        self.put(first.tracks, features)
    }

    /// Takes what the face encoder has done and gives it what waits, until nothing moves any more;
    /// waits where more lies before it than may.
    fn encode(&mut self) -> Result<(), ModelFault> {
        loop {
            let took = self.take_encoded()?;
            let started = self.start_encoding()?;
            if took || started {
                continue;
            }
            if self.under_way.is_empty() || !self.is_behind() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Whether more ticks lie before the encoder than may wait, those of tracks that have ended
    /// included: a recording may have one short shot after the other.
    fn is_behind(&self) -> bool {
        let Some(most) = self.settings.encode_ahead else { return true };
        self.ticks_waiting() > most
    }

    /// Ticks of all faces before the encoder.
    pub(super) fn ticks_waiting(&self) -> usize {
        self.open.values().map(|open| open.lane.waiting()).sum()
    }

    fn take_encoded(&mut self) -> Result<bool, ModelFault> {
        let (mut at, mut took) = (0, false);
        while let Some(one) = self.under_way.get_mut(at) {
            match one.encoding.poll() {
                Some(features) => {
                    took = true;
                    let tracks = self.under_way.remove(at).tracks;
                    self.put(tracks, features?)?;
                }
                None => at += 1,
            }
        }
        Ok(took)
    }

    fn put(&mut self, tracks: Vec<TrackId>, features: Vec<FaceFeatures>) -> Result<(), ModelFault> {
        if features.len() != tracks.len() {
            let reason = format!("{} answers to {} faces", features.len(), tracks.len());
            return Err(ModelFault { package: "speaker".into(), graph: "face", reason });
        }
        for (track, features) in tracks.into_iter().zip(features) {
            if let Some(open) = self.open.get_mut(&track) {
                open.lane.put(features, self.model.shape(), self.settings.mode);
            }
        }
        Ok(())
    }

    /// Starts a run of the face encoder over all tracks that have a chunk of the same length
    /// waiting; `false` where none has.
    fn start_encoding(&mut self) -> Result<bool, ModelFault> {
        let chunk = self.settings.face_chunk;
        let (window, delay) = (self.settings.window, self.model.shape().face_delay_ticks);
        let prompt = self.settings.encode_ahead.is_none();
        let bell = self.bell.as_ref().filter(|_| !prompt);
        let mut by_length: BTreeMap<usize, Vec<TrackId>> = BTreeMap::new();
        for (track, open) in &self.open {
            let waiting = open.lane.waiting();
            let hop_over = || window.ends_within(open.lane.cropped(), delay);
            let last = open.lane.ended() || (prompt && hop_over());
            let ready = waiting >= chunk || (last && waiting > 0);
            if ready && !open.lane.under_way() {
                by_length.entry(waiting.min(chunk)).or_default().push(*track);
            }
        }
        let Some((length, tracks)) = by_length.pop_last() else { return Ok(false) };
        let mut jobs: Vec<FaceJob> = Vec::with_capacity(tracks.len());
        for track in &tracks {
            let job =
                self.open.get_mut(track).and_then(|o| o.lane.take_job(length, self.settings.mode));
            jobs.extend(job);
        }
        let mut tracks = tracks.into_iter();
        for Started { jobs, encoding } in self.model.start_faces(jobs, bell)? {
            self.under_way
                .push(UnderWay { tracks: tracks.by_ref().take(jobs).collect(), encoding });
        }
        Ok(true)
    }

    /// Every track's new verdicts; the next windows of all tracks go through the head together.
    fn judge(&mut self) -> Result<BTreeMap<TrackId, Vec<TickVerdict>>, ModelFault> {
        let ScorerSettings { window, mode, .. } = self.settings;
        let (hearing, model) = (&self.hearing, self.model.as_mut());
        let mut verdicts: BTreeMap<TrackId, Vec<TickVerdict>> = BTreeMap::new();
        loop {
            let (mut jobs, mut asked) = (Vec::new(), Vec::new());
            for (track, Open { lane, judge, .. }) in &mut self.open {
                let mut out = Vec::new();
                if let Some((job, rest)) = judge.ask(lane, hearing, window, &mut out) {
                    jobs.push(job);
                    asked.push((*track, rest));
                }
                if !out.is_empty() {
                    verdicts.entry(*track).or_default().extend(out);
                }
            }
            if jobs.is_empty() {
                return Ok(verdicts);
            }
            for ((track, asked), result) in asked.into_iter().zip(model.judge_all(jobs)?) {
                if let Some(Open { lane, judge, .. }) = self.open.get_mut(&track) {
                    let new = judge.answer(lane, hearing, model, mode, (asked, &result))?;
                    verdicts.entry(track).or_default().extend(new);
                }
            }
        }
    }

    fn forget(&mut self) {
        let oldest = self.open.values().map(|o| o.judge.next()).min();
        self.hearing.forget_before(oldest.map_or(self.at, |tick| tick.min(self.at)));
    }
}
