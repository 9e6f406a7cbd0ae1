//! The face encoder of a streaming speaker package, run by whoever owns it.

use smallvec::{SmallVec, smallvec};

use super::session::{Input, OpenGraph, Provider, SessionError, SessionOptions, open};
use super::speaker::{fault, shape_of};
use super::stack::{Few, Spare, jobs_at_once, joined, split, together};
use crate::models::Package;
use crate::models::manifest::FaceGraph;
use crate::models::speaker_model::{FaceFeatures, FaceJob, FaceState, InferenceError, ModelShape};

/// An open face encoder.
pub struct FaceEncoder {
    package: String,
    manifest: FaceGraph,
    shape: ModelShape,
    graph: OpenGraph,
    jobs_at_once: usize,
    /// Memory for frames as the graph wants them.
    frames: Vec<f32>,
    spare: Spare,
}

impl FaceEncoder {
    /// Opens the face encoder of `package`.
    ///
    /// # Errors
    /// Where it is no speaker package, or the graph cannot be opened or is not what it should be.
    pub fn open(package: &Package, options: &SessionOptions) -> Result<Self, SessionError> {
        let manifest = package.speaker()?;
        let graph = open(package, &manifest.face.file, options)?;
        Ok(Self {
            package: package.manifest().common.name.clone(),
            shape: shape_of(manifest),
            jobs_at_once: jobs_at_once(graph.provider),
            graph,
            frames: Vec::new(),
            spare: Spare::default(),
            manifest: manifest.face.clone(),
        })
    }

    /// The package's sizes.
    pub const fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// What the session runs on.
    pub const fn provider(&self) -> Provider {
        self.graph.provider
    }

    /// Jobs that go through the graph in one run at most.
    pub const fn jobs_at_once(&self) -> usize {
        self.jobs_at_once
    }

    /// The same with another number of jobs in one run than the provider's own.
    #[must_use]
    pub const fn with_jobs_at_once(mut self, jobs: usize) -> Self {
        self.jobs_at_once = jobs;
        self
    }

    /// Encodes new frames of several tracks; those with as many ticks each go together.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn encode(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        let key = |job: &FaceJob| (job.valid.len(), job.contributions);
        together(jobs, self.jobs_at_once, key, |jobs| self.encode_stack(jobs))
    }

    /// One run for jobs of as many ticks each.
    fn encode_stack(&mut self, jobs: &mut [FaceJob]) -> Result<Vec<FaceFeatures>, InferenceError> {
        let (face, px) = (&self.manifest, self.shape.crop_px);
        let (tracks, ticks) = (jobs.len(), jobs.first().map_or(0, |job| job.valid.len()));
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        for job in &*jobs {
            frames.extend(job.crops.iter().map(|v| f32::from(*v)));
        }
        let valid = joined(jobs.iter().map(|job| &job.valid[..]));
        let state =
            |i| joined(jobs.iter().map(move |j| j.state.0.get(i).map_or(&[][..], Vec::as_slice)));
        let states: Few<_> = (0..face.states.len()).map(state).collect();
        let frame_dims = [tracks, ticks, px, px];
        let valid_dims = [tracks, ticks];
        let dims = |shape: &[usize]| std::iter::once(tracks).chain(shape.iter().copied()).collect();
        let state_dims: Few<Few<usize>> = face.states.iter().map(|s| dims(&s.shape)).collect();
        let mut inputs: Few<Input<'_>> = smallvec![
            (face.frames.as_str(), &frame_dims[..], &frames[..]),
            (face.valid.as_str(), &valid_dims[..], &valid[..]),
        ];
        for ((state, dims), values) in face.states.iter().zip(&state_dims).zip(&states) {
            inputs.push((state.input.as_str(), dims, values));
        }
        let mut outputs: Few<&str> =
            smallvec![face.embedding.name.as_str(), face.map.name.as_str()];
        outputs.extend(face.gate.iter().map(|g| g.as_str()));
        let asked = jobs.iter().any(|job| job.contributions);
        let shares = face.contributions.as_ref().filter(|_| asked);
        outputs.extend(shares.map(|s| s.as_str()));
        outputs.extend(face.states.iter().map(|s| s.output.as_str()));
        let rows: Few<usize> = SmallVec::from_elem(1, tracks);
        let (first_state, mut place) = (outputs.len() - face.states.len(), 0_usize);
        let results = self.graph.run_with(&inputs, &outputs, |_, values| {
            place += 1;
            match (place - 1).checked_sub(first_state) {
                Some(state) if tracks == 1 => Some(smallvec![self.spare.fill(state, values)]),
                _ => split(values, &rows),
            }
        });
        drop(inputs);
        drop((states, valid));
        self.frames = frames;
        if let [job] = jobs {
            self.spare.keep(std::mem::take(&mut job.state.0));
        }
        let results = results.map_err(|e| fault(&self.package, "face", &e))?;
        let optional = [face.gate.is_some(), shares.is_some()];
        Ok(taken_apart(results, tracks, optional))
    }
}

/// What a run gave for each of `tracks` tracks: embeddings, maps, where there are such gates and
/// contributions, and states.
fn taken_apart(
    results: Vec<Few<Vec<f32>>>,
    tracks: usize,
    [gates, contributions]: [bool; 2],
) -> Vec<FaceFeatures> {
    let mut parts = results.into_iter().map(Few::into_iter);
    let mut next = || parts.next().unwrap_or_else(|| Few::new().into_iter());
    let (mut embeddings, mut maps) = (next(), next());
    let mut gates = gates.then(&mut next);
    let mut contributions = contributions.then(&mut next);
    let mut states: Few<_> = parts.collect();
    let features = |_| FaceFeatures {
        embeddings: embeddings.next().unwrap_or_default(),
        maps: maps.next().unwrap_or_default(),
        gates: gates.as_mut().and_then(Iterator::next),
        contributions: contributions.as_mut().and_then(Iterator::next),
        state: FaceState(states.iter_mut().filter_map(Iterator::next).collect()),
    };
    (0..tracks).map(features).collect()
}
