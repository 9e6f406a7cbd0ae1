//! The interface of a speaker model, independent of the runtime.
//!
//! The models are streaming: a face encoder gets every frame once and carries its own state; an
//! audio encoder works on windows of rows; a head works on windows of embeddings, and either
//! carries a forward state or gets past ticks again. Shapes are row-major; T is ticks of the 25 fps
//! grid, N independent rows of a batch.

use crate::core::geometry::Rect;
use crate::core::notify::Notify;
use crate::models::manifest::{AudioRecipe, SpeakerManifest};

/// Sizes and context lengths of a model, from its package's manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Side of the grey crop in pixels.
    pub crop_px: usize,
    /// Values of one embedding, the same for face and audio.
    pub embedding: usize,
    /// Channels of the face encoder's last map.
    pub map_channels: usize,
    /// Cells down of that map.
    pub map_height: usize,
    /// Cells across of that map.
    pub map_width: usize,
    /// The part of the crop that the map covers, in shares of its sides.
    pub map_area: Rect,
    /// Whether the face encoder outputs each channel's contribution to the embedding. Otherwise
    /// the embedding has one value per channel.
    pub contributions: bool,
    /// Ticks by which the face encoder's output lags its input.
    pub face_delay_ticks: usize,
    /// Ticks of audio that the audio encoder needs on either side.
    pub audio_reach_ticks: usize,
    /// Values of one audio row.
    pub row_width: usize,
    /// Audio rows per tick.
    pub rows_per_tick: usize,
    /// Values of each of the face encoder's states, for one track.
    pub face_states: Vec<usize>,
    /// Values of the head's forward state.
    pub forward_state: usize,
    /// Past ticks that the head gets again; 0 if its state is carried.
    pub past_ticks: usize,
    /// Past ticks that the cross-face graph needs; `None` if the package has none.
    pub cross_face_past_ticks: Option<usize>,
    /// The source of the SE vector.
    pub gate: GateSource,
}

impl ModelShape {
    /// The sizes in a manifest.
    pub fn of(manifest: &SpeakerManifest) -> Self {
        let gate = match (&manifest.face.gate, &manifest.head.gate) {
            (Some(_), _) => GateSource::Face,
            (None, Some(_)) => GateSource::Head,
            (None, None) => GateSource::None,
        };
        Self {
            crop_px: manifest.features.crop.size_px(),
            embedding: manifest.face.embedding.width,
            map_channels: manifest.face.map.channels,
            map_height: manifest.face.map.height,
            map_width: manifest.face.map.width,
            map_area: map_area(manifest),
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

    /// Pixels of one crop.
    pub const fn crop_len(&self) -> usize {
        self.crop_px * self.crop_px
    }

    /// Values of one feature map.
    pub const fn map_len(&self) -> usize {
        self.map_channels * self.map_height * self.map_width
    }

    /// A new track's face state: zeros, as before a track's start.
    pub fn fresh_face_state(&self) -> FaceState {
        FaceState(self.face_states.iter().map(|n| vec![0.0; *n]).collect())
    }

    /// A new track's forward state.
    pub fn fresh_forward_state(&self) -> Vec<f32> {
        vec![0.0; self.forward_state]
    }
}

/// The part of the crop that the map covers, as fractions of its sides.
fn map_area(manifest: &SpeakerManifest) -> Rect {
    let (area, side) = (manifest.face.map.area, manifest.features.crop.size_px() as f32);
    let fraction = |px: usize| px as f32 / side;
    Rect::new(
        fraction(area.left),
        fraction(area.top),
        fraction(area.left + area.width),
        fraction(area.top + area.height),
    )
}

#[cfg(test)]
impl ModelShape {
    /// All sizes one, MFCC rows, no delay and no context; tests override what they need.
    pub(crate) const fn smallest() -> Self {
        Self {
            crop_px: 112,
            embedding: 1,
            map_channels: 1,
            map_height: 1,
            map_width: 1,
            map_area: Rect::new(0.0, 0.0, 1.0, 1.0),
            contributions: false,
            face_delay_ticks: 0,
            audio_reach_ticks: 0,
            row_width: 13,
            rows_per_tick: 4,
            face_states: Vec::new(),
            forward_state: 1,
            past_ticks: 0,
            cross_face_past_ticks: None,
            gate: GateSource::None,
        }
    }
}

/// Which graph gives the SE vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateSource {
    /// The face encoder, with the map it scales.
    Face,
    /// The head, over audio|face channels: the face's are the last `map_channels`.
    Head,
    /// Neither: all channels have the same weight.
    None,
}

/// The face encoder's state for one track.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceState(pub Vec<Vec<f32>>);

/// New frames of one track for the face encoder.
#[derive(Debug)]
pub struct FaceJob {
    /// The state; returned updated.
    pub state: FaceState,
    /// T crops, grey 0..=255. Crops after the track's true end are ignored.
    pub crops: Vec<u8>,
    /// T flags: 1 for a frame of the track, 0 after its true end.
    pub valid: Vec<f32>,
    /// Whether to output each channel's contribution, if the encoder can.
    pub contributions: bool,
}

/// The face encoder's result for T ticks; the first belongs to the job's first frame minus the
/// encoder's delay.
#[derive(Debug)]
pub struct FaceFeatures {
    /// The state for the next job.
    pub state: FaceState,
    /// T × embedding.
    pub embeddings: Vec<f32>,
    /// T × C × h × w, after the last activation, before the gate.
    pub maps: Vec<f32>,
    /// T × C, if the gate comes from the face encoder.
    pub gates: Option<Vec<f32>>,
    /// T × C × embedding: each channel's contribution to the embedding, if requested.
    pub contributions: Option<Vec<f32>>,
}

/// Windows for the head, all of T ticks.
#[derive(Debug)]
pub struct HeadJob {
    /// N, the number of windows.
    pub rows: usize,
    /// T, the ticks of each.
    pub ticks: usize,
    /// N × T × embedding.
    pub audio: Vec<f32>,
    /// N × T × embedding.
    pub face: Vec<f32>,
    /// N × forward state.
    pub forward: Vec<f32>,
}

/// One face's logits and the largest logits of the other faces, for cross-face rescoring.
#[derive(Debug)]
pub struct CrossFaceJob {
    /// T: z = z1 − z0 of the face.
    pub score: Vec<f32>,
    /// T: the largest z of the other faces; ignored where there is none.
    pub rival: Vec<f32>,
    /// T: 1 where there is another face, else 0.
    pub present: Vec<f32>,
}

/// The head's result.
#[derive(Debug)]
pub struct HeadResult {
    /// N × T × 2.
    pub logits: Vec<f32>,
    /// N × T × forward state: the state after each tick.
    pub forward: Vec<f32>,
    /// N × T × G, if the gate comes from the head.
    pub gates: Option<Vec<f32>>,
}

impl HeadResult {
    /// z = z1 − z0 of window `row` at `tick`.
    pub fn z(&self, row: usize, tick: usize, ticks: usize) -> f32 {
        let at = (row * ticks + tick) * 2;
        self.logits[at + 1] - self.logits[at]
    }
}

/// A run of the model failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the model {package} failed in its {graph} graph: {reason}")]
pub struct InferenceError {
    /// The package's name.
    pub package: String,
    /// The graph.
    pub graph: &'static str,
    /// The runtime's reason.
    pub reason: String,
}

/// Face features of an asynchronous run.
pub trait PendingFeatures: Send {
    /// The results, one per job in order; `None` while they are pending. Not called again after
    /// that.
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, InferenceError>>;

    /// Waits for the results.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn wait(&mut self) -> Result<Vec<FaceFeatures>, InferenceError>;
}

/// Jobs that are being encoded.
pub struct StartedBatch {
    /// The number of jobs.
    pub jobs: usize,
    /// Their results.
    pub pending: Box<dyn PendingFeatures>,
}

/// Results of a synchronous run.
struct ReadyFeatures(Option<Vec<FaceFeatures>>);

impl PendingFeatures for ReadyFeatures {
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, InferenceError>> {
        self.0.take().map(Ok)
    }

    fn wait(&mut self) -> Result<Vec<FaceFeatures>, InferenceError> {
        Ok(self.0.take().unwrap_or_default())
    }
}

/// A speaker model.
pub trait SpeakerModel: Send {
    /// Its sizes.
    fn shape(&self) -> &ModelShape;

    /// Encodes new frames of several tracks at once.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError>;

    /// Starts to encode new frames of several tracks. Does not wait if other threads do the work;
    /// they notify `notify` when a batch is done. The batches together cover all jobs, in order.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn start_faces(
        &mut self,
        jobs: Vec<FaceJob>,
        _notify: Option<&Notify>,
    ) -> Result<Vec<StartedBatch>, InferenceError> {
        let count = jobs.len();
        let done = ReadyFeatures(Some(self.encode_faces(jobs)?));
        Ok(vec![StartedBatch { jobs: count, pending: Box::new(done) }])
    }

    /// Encodes `rows` (`ticks` × `rows_per_tick` × `row_width`) into `ticks` × embedding.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn encode_audio(&mut self, rows: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError>;

    /// Runs the head.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError>;

    /// Runs the head over windows of several tracks.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn run_heads(&mut self, jobs: Vec<HeadJob>) -> Result<Vec<HeadResult>, InferenceError> {
        jobs.into_iter().map(|job| self.run_head(job)).collect()
    }

    /// The face's T logits after cross-face rescoring; called only if the shape has a cross-face
    /// graph.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn run_cross_face(&mut self, job: CrossFaceJob) -> Result<Vec<f32>, InferenceError> {
        Ok(job.score)
    }

    /// As [`Self::run_cross_face`], for several faces.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn run_cross_faces(
        &mut self,
        jobs: Vec<CrossFaceJob>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        jobs.into_iter().map(|job| self.run_cross_face(job)).collect()
    }
}
