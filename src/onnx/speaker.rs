//! The graphs of a streaming speaker package.

use super::batching::{InlineVec, concatenate, max_batch_size, run_batched, split_rows};
use super::face::FaceEncoder;
use super::providers::Provider;
use super::session::{OpenGraph, SessionError, SessionOptions, open};
use crate::models::Package;
use crate::models::manifest::SpeakerManifest;
use crate::models::speaker_model::{CrossFaceJob, HeadJob, HeadResult, InferenceError, ModelShape};

/// Open sessions for all graphs of a package.
pub struct SpeakerGraphs {
    /// The face encoder.
    pub faces: FaceEncoder,
    /// The other graphs.
    pub audio_head: AudioHeadGraphs,
}

/// Open sessions for audio encoder and head, and for cross-face rescoring if the package has it.
pub struct AudioHeadGraphs {
    package: String,
    manifest: SpeakerManifest,
    shape: ModelShape,
    audio: OpenGraph,
    head: OpenGraph,
    cross_face: Option<OpenGraph>,
    max_batch_size: usize,
}

/// Rows of one stream's audio for the audio encoder.
#[derive(Debug)]
pub struct AudioJob {
    /// `ticks` × rows per tick × row width.
    pub rows: Vec<f32>,
    /// Ticks, including context.
    pub ticks: usize,
}

impl SpeakerGraphs {
    /// Opens the graphs of `package`.
    ///
    /// # Errors
    /// A package of another kind, or a graph that cannot be opened or violates its manifest.
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let faces = FaceEncoder::open(package, options)?;
        Ok(Self { faces, audio_head: AudioHeadGraphs::open(package, options)? })
    }

    /// The package's sizes.
    pub const fn shape(&self) -> &ModelShape {
        self.faces.shape()
    }

    /// The sessions' execution provider.
    pub const fn provider(&self) -> Provider {
        self.faces.provider()
    }

    /// The largest number of jobs in one run.
    pub const fn max_batch_size(&self) -> usize {
        self.faces.max_batch_size()
    }

    /// Overrides the provider's batch size.
    #[must_use]
    pub fn with_max_batch_size(mut self, jobs: usize) -> Self {
        self.audio_head.max_batch_size = jobs;
        Self { faces: self.faces.with_max_batch_size(jobs), ..self }
    }
}

impl AudioHeadGraphs {
    /// Opens the graphs of `package` except the face encoder.
    ///
    /// # Errors
    /// As [`SpeakerGraphs::open`].
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let manifest = package.speaker()?.clone();
        let audio = open(package, &manifest.audio.file, options)?;
        Ok(Self {
            package: package.manifest().common.name.clone(),
            shape: ModelShape::of(&manifest),
            max_batch_size: max_batch_size(audio.provider),
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

    /// The sessions' execution provider.
    pub const fn provider(&self) -> Provider {
        self.audio.provider
    }

    /// The largest number of jobs in one run.
    pub const fn max_batch_size(&self) -> usize {
        self.max_batch_size
    }

    /// Encodes rows of audio: `ticks` × rows per tick × row width to `ticks` × embedding.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode_audio(&mut self, rows: &[f32], ticks: usize) -> Result<Vec<f32>, InferenceError> {
        Ok(self.encode_rows(rows, 1, ticks)?.pop().unwrap_or_default())
    }

    /// Encodes audio rows of several streams; jobs of equal length run as a batch.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode_audios(&mut self, jobs: Vec<AudioJob>) -> Result<Vec<Vec<f32>>, InferenceError> {
        let key = |job: &AudioJob| job.ticks;
        run_batched(jobs, self.max_batch_size, key, |jobs| {
            let rows = concatenate(jobs.iter().map(|job| &job.rows[..]));
            self.encode_rows(&rows, jobs.len(), jobs.first().map_or(0, |job| job.ticks))
        })
    }

    fn encode_rows(
        &mut self,
        rows: &[f32],
        streams: usize,
        ticks: usize,
    ) -> Result<InlineVec<Vec<f32>>, InferenceError> {
        let audio = &self.manifest.audio;
        let dims = [streams, ticks * self.shape.rows_per_tick, self.shape.row_width];
        let (inputs, outputs) =
            ([(audio.rows.as_str(), &dims[..], rows)], [audio.embedding.name.as_str()]);
        let each = vec![1; streams];
        let results = self.audio.run_with(&inputs, &outputs, |_, values| split_rows(values, &each));
        let results = results.map_err(|e| e.in_speaker_graph(&self.package, "audio"))?;
        Ok(results.into_iter().next().unwrap_or_default())
    }

    /// Runs the head; windows of equal length run as a batch.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn run_heads(&mut self, jobs: Vec<HeadJob>) -> Result<Vec<HeadResult>, InferenceError> {
        run_batched(jobs, self.max_batch_size, |job| job.ticks, |jobs| self.run_head_batch(jobs))
    }

    /// One run for windows of equal length.
    fn run_head_batch(&mut self, jobs: &[HeadJob]) -> Result<Vec<HeadResult>, InferenceError> {
        let head = &self.manifest.head;
        let rows: Vec<usize> = jobs.iter().map(|job| job.rows).collect();
        let (all, ticks) = (rows.iter().sum(), jobs.first().map_or(0, |job| job.ticks));
        let dims = [all, ticks, self.shape.embedding];
        let state_dims = [all, self.shape.forward_state];
        let audio = concatenate(jobs.iter().map(|job| &job.audio[..]));
        let face = concatenate(jobs.iter().map(|job| &job.face[..]));
        let forward = concatenate(jobs.iter().map(|job| &job.forward[..]));
        let inputs = [
            (head.audio.as_str(), &dims[..], &audio[..]),
            (head.face.as_str(), &dims[..], &face[..]),
            (head.forward_state.name.as_str(), &state_dims[..], &forward[..]),
        ];
        let mut outputs = vec![head.score.as_str(), head.forward_states.as_str()];
        outputs.extend(head.gate.iter().map(|g| g.name.as_str()));
        let results = self.head.run_with(&inputs, &outputs, |_, values| split_rows(values, &rows));
        let results = results.map_err(|e| e.in_speaker_graph(&self.package, "head"))?;
        let mut parts = results.into_iter().map(InlineVec::into_iter);
        let mut next = || parts.next().unwrap_or_else(|| InlineVec::new().into_iter());
        let (mut logits, mut forward) = (next(), next());
        let mut gates = parts.next();
        let result = |_| HeadResult {
            logits: logits.next().unwrap_or_default(),
            forward: forward.next().unwrap_or_default(),
            gates: gates.as_mut().and_then(Iterator::next),
        };
        Ok((0..jobs.len()).map(result).collect())
    }

    /// Rescores each face against the best score of the other faces.
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
        run_batched(
            jobs,
            self.max_batch_size,
            |job| job.score.len(),
            |jobs| {
                let dims = [jobs.len(), jobs.first().map_or(0, |job| job.score.len())];
                let score = concatenate(jobs.iter().map(|job| &job.score[..]));
                let rival = concatenate(jobs.iter().map(|job| &job.rival[..]));
                let present = concatenate(jobs.iter().map(|job| &job.present[..]));
                let inputs = [
                    (names.score.as_str(), &dims[..], &score[..]),
                    (names.rival.as_str(), &dims[..], &rival[..]),
                    (names.present.as_str(), &dims[..], &present[..]),
                ];
                let each = vec![1; jobs.len()];
                let out = [names.out.as_str()];
                let results = graph.run_with(&inputs, &out, |_, values| split_rows(values, &each));
                let results =
                    results.map_err(|e| e.in_speaker_graph(&self.package, "cross_face"))?;
                Ok(results.into_iter().next().unwrap_or_default())
            },
        )
    }
}
