//! The face encoder of a streaming speaker package.

use smallvec::{SmallVec, smallvec};

use super::batching::{
    InlineVec, SpareStates, concatenate, max_batch_size, run_batched, split_rows,
};
use super::providers::Provider;
use super::session::{Input, OpenGraph, SessionError, SessionOptions, open};
use crate::models::Package;
use crate::models::manifest::FaceGraph;
use crate::models::speaker_model::{FaceFeatures, FaceJob, FaceState, InferenceError, ModelShape};

/// An open face encoder.
pub struct FaceEncoder {
    package: String,
    manifest: FaceGraph,
    shape: ModelShape,
    graph: OpenGraph,
    max_batch_size: usize,
    /// A buffer for crops as floats.
    frames: Vec<f32>,
    spare: SpareStates,
}

impl FaceEncoder {
    /// Opens the face encoder of `package`.
    ///
    /// # Errors
    /// A package of another kind, or a graph that cannot be opened or violates its manifest.
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let manifest = package.speaker()?;
        let graph = open(package, &manifest.face.file, options)?;
        Ok(Self {
            package: package.manifest().common.name.clone(),
            shape: ModelShape::of(manifest),
            max_batch_size: max_batch_size(graph.provider),
            graph,
            frames: Vec::new(),
            spare: SpareStates::default(),
            manifest: manifest.face.clone(),
        })
    }

    /// The package's sizes.
    pub const fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// The session's execution provider.
    pub const fn provider(&self) -> Provider {
        self.graph.provider
    }

    /// The largest number of jobs in one run.
    pub const fn max_batch_size(&self) -> usize {
        self.max_batch_size
    }

    /// Overrides the provider's batch size.
    #[must_use]
    pub const fn with_max_batch_size(mut self, jobs: usize) -> Self {
        self.max_batch_size = jobs;
        self
    }

    /// Encodes new frames of several tracks; jobs of equal length run as a batch.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        let key = |job: &FaceJob| (job.valid.len(), job.contributions);
        run_batched(jobs, self.max_batch_size, key, |jobs| self.encode_batch(jobs))
    }

    /// One run for jobs of equal length.
    fn encode_batch(&mut self, jobs: &mut [FaceJob]) -> Result<Vec<FaceFeatures>, InferenceError> {
        let (face, px) = (&self.manifest, self.shape.crop_px);
        let (tracks, ticks) = (jobs.len(), jobs.first().map_or(0, |job| job.valid.len()));
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        for job in &*jobs {
            frames.extend(job.crops.iter().map(|v| f32::from(*v)));
        }
        let valid = concatenate(jobs.iter().map(|job| &job.valid[..]));
        let state = |i| {
            concatenate(jobs.iter().map(move |j| j.state.0.get(i).map_or(&[][..], Vec::as_slice)))
        };
        let states: InlineVec<_> = (0..face.states.len()).map(state).collect();
        let frame_dims = [tracks, ticks, px, px];
        let valid_dims = [tracks, ticks];
        let dims = |shape: &[usize]| std::iter::once(tracks).chain(shape.iter().copied()).collect();
        let state_dims: InlineVec<InlineVec<usize>> =
            face.states.iter().map(|s| dims(&s.shape)).collect();
        let mut inputs: InlineVec<Input<'_>> = smallvec![
            (face.frames.as_str(), &frame_dims[..], &frames[..]),
            (face.valid.as_str(), &valid_dims[..], &valid[..]),
        ];
        for ((state, dims), values) in face.states.iter().zip(&state_dims).zip(&states) {
            inputs.push((state.input.as_str(), dims, values));
        }
        let mut outputs: InlineVec<&str> =
            smallvec![face.embedding.name.as_str(), face.map.name.as_str()];
        outputs.extend(face.gate.iter().map(|g| g.as_str()));
        let requested = jobs.iter().any(|job| job.contributions);
        let contributions = face.contributions.as_ref().filter(|_| requested);
        outputs.extend(contributions.map(|c| c.as_str()));
        outputs.extend(face.states.iter().map(|s| s.output.as_str()));
        let rows: InlineVec<usize> = SmallVec::from_elem(1, tracks);
        let (first_state, mut index) = (outputs.len() - face.states.len(), 0_usize);
        let results = self.graph.run_with(&inputs, &outputs, |_, values| {
            index += 1;
            match (index - 1).checked_sub(first_state) {
                Some(state) if tracks == 1 => Some(smallvec![self.spare.fill(state, values)]),
                _ => split_rows(values, &rows),
            }
        });
        drop(inputs);
        drop((states, valid));
        self.frames = frames;
        if let [job] = jobs {
            self.spare.keep(std::mem::take(&mut job.state.0));
        }
        let results = results.map_err(|e| e.in_speaker_graph(&self.package, "face"))?;
        let optional = [face.gate.is_some(), contributions.is_some()];
        Ok(unpack(results, tracks, optional))
    }
}

/// The results for each of `tracks` tracks: embeddings, maps, optional gates and contributions,
/// states.
fn unpack(
    results: Vec<InlineVec<Vec<f32>>>,
    tracks: usize,
    [gates, contributions]: [bool; 2],
) -> Vec<FaceFeatures> {
    let mut parts = results.into_iter().map(InlineVec::into_iter);
    let mut next = || parts.next().unwrap_or_else(|| InlineVec::new().into_iter());
    let (mut embeddings, mut maps) = (next(), next());
    let mut gates = gates.then(&mut next);
    let mut contributions = contributions.then(&mut next);
    let mut states: InlineVec<_> = parts.collect();
    let features = |_| FaceFeatures {
        embeddings: embeddings.next().unwrap_or_default(),
        maps: maps.next().unwrap_or_default(),
        gates: gates.as_mut().and_then(Iterator::next),
        contributions: contributions.as_mut().and_then(Iterator::next),
        state: FaceState(states.iter_mut().filter_map(Iterator::next).collect()),
    };
    (0..tracks).map(features).collect()
}
