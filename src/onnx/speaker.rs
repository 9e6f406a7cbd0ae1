//! The three graphs of a streaming speaker package, run by whoever owns them.

use super::session::{OpenGraph, Provider, SessionError, SessionOptions, open};
use crate::core::geometry::Rect;
use crate::models::Package;
use crate::models::manifest::{AudioRecipe, SpeakerManifest};
use crate::stages::score::model::{
    CompeteJob, FaceFeatures, FaceJob, FaceState, GateSource, HeadJob, HeadResult, ModelFault,
    ModelShape,
};

/// Open sessions for face, sound and head, and for competition where there is a graph for it.
pub struct SpeakerGraphs {
    package: String,
    manifest: SpeakerManifest,
    shape: ModelShape,
    face: OpenGraph,
    audio: OpenGraph,
    head: OpenGraph,
    compete: Option<OpenGraph>,
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
        face_states: manifest.face.states.iter().map(|s| s.shape.iter().product()).collect(),
        forward_state: manifest.head.forward_state.width,
        past_ticks: manifest.head.past_ticks,
        compete_past_ticks: manifest.compete.as_ref().map(|c| c.past_ticks),
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

impl SpeakerGraphs {
    /// Opens the graphs of `package`.
    ///
    /// # Errors
    /// Where it is no speaker package, or a graph cannot be opened or is not what it should be.
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let manifest = package.speaker()?.clone();
        Ok(Self {
            package: package.manifest().common.name.clone(),
            shape: shape_of(&manifest),
            face: open(package, &manifest.face.file, options)?,
            audio: open(package, &manifest.audio.file, options)?,
            head: open(package, &manifest.head.file, options)?,
            compete: match &manifest.compete {
                Some(compete) => Some(open(package, &compete.file, options)?),
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
        self.face.provider
    }

    fn fault(package: &str, graph: &'static str, error: &SessionError) -> ModelFault {
        ModelFault { package: package.to_owned(), graph, reason: error.to_string() }
    }

    /// Encodes new frames of several tracks; all jobs have the same number of ticks.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, ModelFault> {
        // On a CPU a batch over tracks gains nothing and costs copies of every state.
        jobs.into_iter().map(|job| self.encode_face(job)).collect()
    }

    fn encode_face(&mut self, job: FaceJob) -> Result<FaceFeatures, ModelFault> {
        let (face, px) = (&self.manifest.face, self.shape.crop_px);
        let ticks = job.valid.len();
        let frames: Vec<f32> = job.crops.iter().map(|v| f32::from(*v)).collect();
        let frame_dims = [1, ticks, px, px];
        let valid_dims = [1, ticks];
        let state_dims: Vec<Vec<usize>> =
            face.states.iter().map(|s| [&[1], s.shape.as_slice()].concat()).collect();
        let mut inputs = vec![
            (face.frames.as_str(), &frame_dims[..], &frames[..]),
            (face.valid.as_str(), &valid_dims[..], &job.valid[..]),
        ];
        for ((state, dims), values) in face.states.iter().zip(&state_dims).zip(&job.state.0) {
            inputs.push((state.input.as_str(), dims, values));
        }
        let mut outputs = vec![face.embedding.name.as_str(), face.map.name.as_str()];
        outputs.extend(face.gate.iter().map(|g| g.as_str()));
        let shares = face.contributions.as_ref().filter(|_| job.contributions);
        outputs.extend(shares.map(|s| s.as_str()));
        outputs.extend(face.states.iter().map(|s| s.output.as_str()));
        let results = self.face.run(&inputs, &outputs);
        let mut results = results
            .map_err(|e| Self::fault(&self.package, "face", &e))?
            .into_iter()
            .map(|t| t.into_values());
        let embeddings = results.next().unwrap_or_default();
        let maps = results.next().unwrap_or_default();
        let gates = face.gate.as_ref().and_then(|_| results.next());
        let contributions = shares.and_then(|_| results.next());
        let state = FaceState(results.collect());
        Ok(FaceFeatures { state, embeddings, maps, gates, contributions })
    }

    /// Encodes rows of sound.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode_sound(&mut self, rows: &[f32], ticks: usize) -> Result<Vec<f32>, ModelFault> {
        let audio = &self.manifest.audio;
        let dims = [1, ticks * self.shape.rows_per_tick, self.shape.row_width];
        let results =
            self.audio.run(&[(audio.rows.as_str(), &dims, rows)], &[audio.embedding.name.as_str()]);
        let results = results.map_err(|e| Self::fault(&self.package, "audio", &e))?;
        Ok(results.into_iter().next().map(|t| t.into_values()).unwrap_or_default())
    }

    /// Runs the head.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn judge(&mut self, job: &HeadJob) -> Result<HeadResult, ModelFault> {
        let head = &self.manifest.head;
        let dims = [job.rows, job.ticks, self.shape.embedding];
        let state_dims = [job.rows, self.shape.forward_state];
        let inputs = [
            (head.audio.as_str(), &dims[..], &job.audio[..]),
            (head.face.as_str(), &dims[..], &job.face[..]),
            (head.forward_state.name.as_str(), &state_dims[..], &job.forward[..]),
        ];
        let mut outputs = vec![head.score.as_str(), head.forward_states.as_str()];
        outputs.extend(head.gate.iter().map(|g| g.name.as_str()));
        let results = self.head.run(&inputs, &outputs);
        let mut results = results
            .map_err(|e| Self::fault(&self.package, "head", &e))?
            .into_iter()
            .map(|t| t.into_values());
        Ok(HeadResult {
            logits: results.next().unwrap_or_default(),
            forward: results.next().unwrap_or_default(),
            gates: results.next(),
        })
    }

    /// Lets one face compete with its best rival.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn compete(&mut self, job: CompeteJob) -> Result<Vec<f32>, ModelFault> {
        let (Some(graph), Some(names)) = (&mut self.compete, &self.manifest.compete) else {
            return Ok(job.score);
        };
        let dims = [1, job.score.len()];
        let inputs = [
            (names.score.as_str(), &dims[..], &job.score[..]),
            (names.rival.as_str(), &dims[..], &job.rival[..]),
            (names.present.as_str(), &dims[..], &job.present[..]),
        ];
        let results = graph.run(&inputs, &[names.out.as_str()]);
        let results = results.map_err(|e| Self::fault(&self.package, "compete", &e))?;
        Ok(results.into_iter().next().map(|t| t.into_values()).unwrap_or_default())
    }
}
