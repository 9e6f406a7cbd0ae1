//! The graphs of a streaming speaker package, run by whoever owns them.

use super::face::FaceEncoder;
use super::session::{OpenGraph, Provider, SessionError, SessionOptions, open};
use super::stack::{Few, jobs_at_once, joined, split, together};
use crate::core::geometry::Rect;
use crate::models::Package;
use crate::models::manifest::{AudioRecipe, SpeakerManifest};
use crate::models::speaker_model::{
    CrossFaceJob, GateSource, HeadJob, HeadResult, InferenceError, ModelShape,
};

/// Open sessions for all graphs of a package.
pub struct SpeakerGraphs {
    /// For faces.
    pub faces: FaceEncoder,
    /// For all else.
    pub others: OtherGraphs,
}

/// Open sessions for audio and head, and for competition where there is a graph for it.
pub struct OtherGraphs {
    package: String,
    manifest: SpeakerManifest,
    shape: ModelShape,
    audio: OpenGraph,
    head: OpenGraph,
    cross_face: Option<OpenGraph>,
    jobs_at_once: usize,
}

/// Rows of one stream's audio for the audio encoder.
#[derive(Debug)]
pub struct AudioJob {
    /// `ticks` × rows a tick × row width.
    pub rows: Vec<f32>,
    /// Ticks, those for context included.
    pub ticks: usize,
}

/// The sizes that a manifest states.
pub fn shape_of(manifest: &SpeakerManifest) -> ModelShape {
    let gate = match (&manifest.face.gate, &manifest.head.gate) {
        (Some(_), _) => GateSource::Face,
        (None, Some(_)) => GateSource::Head,
        (None, None) => GateSource::None,
    };
    ModelShape {
        crop_px: manifest.features.crop.size_px(),
        embedding: manifest.face.embedding.width,
        map_channels: manifest.face.map.channels,
        map_height: manifest.face.map.height,
        map_width: manifest.face.map.width,
        map_area: area_of(manifest),
        contributions: manifest.face.contributions.is_some(),
        face_delay_ticks: manifest.face.delay_ticks,
        audio_reach_ticks: manifest.audio.reach_ticks,
        row_width: manifest.features.audio.row_width(),
        rows_per_tick: AudioRecipe::ROWS_PER_TICK,
        face_states: manifest.face.state_sizes(),
        forward_state: manifest.head.forward_state.width,
        past_ticks: manifest.head.past_ticks,
        cross_face_past_ticks: manifest.cross_face.as_ref().map(|c| c.past_ticks),
        gate,
    }
}

/// The part of the crop that the map covers, as shares of its sides.
fn area_of(manifest: &SpeakerManifest) -> Rect {
    let (area, side) = (manifest.face.map.area, manifest.features.crop.size_px() as f32);
    let share = |px: usize| px as f32 / side;
    Rect::new(
        share(area.left),
        share(area.top),
        share(area.left + area.width),
        share(area.top + area.height),
    )
}

pub(super) fn fault(package: &str, graph: &'static str, error: &SessionError) -> InferenceError {
    InferenceError { package: package.to_owned(), graph, reason: error.to_string() }
}

impl SpeakerGraphs {
    /// Opens the graphs of `package`.
    ///
    /// # Errors
    /// Where it is no speaker package, or a graph cannot be opened or is not what it should be.
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let faces = FaceEncoder::open(package, options)?;
        Ok(Self { faces, others: OtherGraphs::open(package, options)? })
    }

    /// The package's sizes.
    pub const fn shape(&self) -> &ModelShape {
        self.faces.shape()
    }

    /// What the sessions run on.
    pub const fn provider(&self) -> Provider {
        self.faces.provider()
    }

    /// Jobs that go through a graph in one run at most.
    pub const fn jobs_at_once(&self) -> usize {
        self.faces.jobs_at_once()
    }

    /// The same with another number of jobs in one run than the provider's own.
    #[must_use]
    pub fn with_jobs_at_once(mut self, jobs: usize) -> Self {
        self.others.jobs_at_once = jobs;
        Self { faces: self.faces.with_jobs_at_once(jobs), ..self }
    }
}

impl OtherGraphs {
    /// Opens the graphs of `package`, the face encoder left out.
    ///
    /// # Errors
    /// As [`SpeakerGraphs::open`].
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let manifest = package.speaker()?.clone();
        let audio = open(package, &manifest.audio.file, options)?;
        Ok(Self {
            package: package.manifest().common.name.clone(),
            shape: shape_of(&manifest),
            jobs_at_once: jobs_at_once(audio.provider),
            audio,
            head: open(package, &manifest.head.file, options)?,
            cross_face: match &manifest.cross_face {
                Some(cross_face) => Some(open(package, &cross_face.file, options)?),
                None => None,
            },
            manifest,
        })
    }

    /// The package's sizes.
    pub const fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// What the sessions run on.
    pub const fn provider(&self) -> Provider {
        self.audio.provider
    }

    /// Jobs that go through a graph in one run at most.
    pub const fn jobs_at_once(&self) -> usize {
        self.jobs_at_once
    }

    /// Encodes rows of audio: `ticks` × rows a tick × row width to `ticks` × embedding.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode_audio(&mut self, rows: &[f32], ticks: usize) -> Result<Vec<f32>, InferenceError> {
        Ok(self.encode_rows(rows, 1, ticks)?.pop().unwrap_or_default())
    }

    /// Encodes rows of audio of several streams; those of as many ticks each go together.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode_audios(&mut self, jobs: Vec<AudioJob>) -> Result<Vec<Vec<f32>>, InferenceError> {
        let key = |job: &AudioJob| job.ticks;
        together(jobs, self.jobs_at_once, key, |jobs| {
            let rows = joined(jobs.iter().map(|job| &job.rows[..]));
            self.encode_rows(&rows, jobs.len(), jobs.first().map_or(0, |job| job.ticks))
        })
    }

    fn encode_rows(
        &mut self,
        rows: &[f32],
        streams: usize,
        ticks: usize,
    ) -> Result<Few<Vec<f32>>, InferenceError> {
        let audio = &self.manifest.audio;
        let dims = [streams, ticks * self.shape.rows_per_tick, self.shape.row_width];
        let (inputs, outputs) =
            ([(audio.rows.as_str(), &dims[..], rows)], [audio.embedding.name.as_str()]);
        let each = vec![1; streams];
        let results = self.audio.run_with(&inputs, &outputs, |_, values| split(values, &each));
        let results = results.map_err(|e| fault(&self.package, "audio", &e))?;
        Ok(results.into_iter().next().unwrap_or_default())
    }

    /// Runs the head.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn run_heads(&mut self, jobs: Vec<HeadJob>) -> Result<Vec<HeadResult>, InferenceError> {
        together(jobs, self.jobs_at_once, |job| job.ticks, |jobs| self.judge_stack(jobs))
    }

    /// One run for windows of as many ticks each.
    fn judge_stack(&mut self, jobs: &[HeadJob]) -> Result<Vec<HeadResult>, InferenceError> {
        let head = &self.manifest.head;
        let rows: Vec<usize> = jobs.iter().map(|job| job.rows).collect();
        let (all, ticks) = (rows.iter().sum(), jobs.first().map_or(0, |job| job.ticks));
        let dims = [all, ticks, self.shape.embedding];
        let state_dims = [all, self.shape.forward_state];
        let audio = joined(jobs.iter().map(|job| &job.audio[..]));
        let face = joined(jobs.iter().map(|job| &job.face[..]));
        let forward = joined(jobs.iter().map(|job| &job.forward[..]));
        let inputs = [
            (head.audio.as_str(), &dims[..], &audio[..]),
            (head.face.as_str(), &dims[..], &face[..]),
            (head.forward_state.name.as_str(), &state_dims[..], &forward[..]),
        ];
        let mut outputs = vec![head.score.as_str(), head.forward_states.as_str()];
        outputs.extend(head.gate.iter().map(|g| g.name.as_str()));
        let results = self.head.run_with(&inputs, &outputs, |_, values| split(values, &rows));
        let results = results.map_err(|e| fault(&self.package, "head", &e))?;
        let mut parts = results.into_iter().map(Few::into_iter);
        let mut next = || parts.next().unwrap_or_else(|| Few::new().into_iter());
        let (mut logits, mut forward) = (next(), next());
        let mut gates = parts.next();
        let result = |_| HeadResult {
            logits: logits.next().unwrap_or_default(),
            forward: forward.next().unwrap_or_default(),
            gates: gates.as_mut().and_then(Iterator::next),
        };
        Ok((0..jobs.len()).map(result).collect())
    }

    /// Lets faces compete, each with its best rival.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn run_cross_faces(
        &mut self,
        jobs: Vec<CrossFaceJob>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let (Some(graph), Some(names)) = (&mut self.cross_face, &self.manifest.cross_face) else {
            return Ok(jobs.into_iter().map(|job| job.score).collect());
        };
        together(
            jobs,
            self.jobs_at_once,
            |job| job.score.len(),
            |jobs| {
                let dims = [jobs.len(), jobs.first().map_or(0, |job| job.score.len())];
                let score = joined(jobs.iter().map(|job| &job.score[..]));
                let rival = joined(jobs.iter().map(|job| &job.rival[..]));
                let present = joined(jobs.iter().map(|job| &job.present[..]));
                let inputs = [
                    (names.score.as_str(), &dims[..], &score[..]),
                    (names.rival.as_str(), &dims[..], &rival[..]),
                    (names.present.as_str(), &dims[..], &present[..]),
                ];
                let each = vec![1; jobs.len()];
                let out = [names.out.as_str()];
                let results = graph.run_with(&inputs, &out, |_, values| split(values, &each));
                let results = results.map_err(|e| fault(&self.package, "compete", &e))?;
                Ok(results.into_iter().next().unwrap_or_default())
            },
        )
    }
}
