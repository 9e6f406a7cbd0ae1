//! What the scorer asks of a speaker model, whoever runs it.
//!
//! Streaming kind: a face encoder that is given every frame once and carries its own state, a
//! audio encoder over windows of rows, and a head over windows of embeddings whose forward state
//! is carried or whose past is given again. Shapes are row-major; T is ticks of the 25 fps grid, N
//! independent rows of a batch.

use crate::core::geometry::Rect;
use crate::core::notify::Notify;

/// Sizes and reaches of a model: what its package's manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Side of the grey crop in pixels.
    pub crop_px: usize,
    /// Values of one embedding, face and audio alike.
    pub embedding: usize,
    /// Channels of the face encoder's last map.
    pub map_channels: usize,
    /// Cells down of that map.
    pub map_height: usize,
    /// Cells across of that map.
    pub map_width: usize,
    /// The part of the crop that the map covers, as shares of its sides.
    pub map_area: Rect,
    /// Whether the face encoder says what each channel adds to the embedding. Where it does not,
    /// the embedding has one value a channel.
    pub contributions: bool,
    /// Ticks by which the face encoder's output lags its input.
    pub face_delay_ticks: usize,
    /// Ticks of audio that the audio encoder needs on either side.
    pub audio_reach_ticks: usize,
    /// Values of one audio row.
    pub row_width: usize,
    /// Audio rows a tick.
    pub rows_per_tick: usize,
    /// Values of each of the face encoder's states, for one track.
    pub face_states: Vec<usize>,
    /// Values of the head's forward state.
    pub forward_state: usize,
    /// Ticks before the scored ones that the head is given again; 0 where its state is carried.
    pub past_ticks: usize,
    /// Ticks before the new ones that competition between faces needs; `None` where faces do not
    /// compete.
    pub cross_face_past_ticks: Option<usize>,
    /// Where the SE vector comes from.
    pub gate: GateSource,
}

impl ModelShape {
    /// Pixels of one crop.
    pub const fn crop_len(&self) -> usize {
        self.crop_px * self.crop_px
    }

    /// Values of one feature map.
    pub const fn map_len(&self) -> usize {
        self.map_channels * self.map_height * self.map_width
    }

    /// A new track's face state: zeros, which is also what lies before a track's start.
    pub fn fresh_face_state(&self) -> FaceState {
        FaceState(self.face_states.iter().map(|n| vec![0.0; *n]).collect())
    }

    /// A new track's forward state.
    pub fn fresh_forward_state(&self) -> Vec<f32> {
        vec![0.0; self.forward_state]
    }
}

#[cfg(test)]
impl ModelShape {
    /// One of everything, MFCC rows, no lag and no reach: tests change what they are about.
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
    /// Neither: all channels count alike.
    None,
}

/// What the face encoder remembers of one track.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceState(pub Vec<Vec<f32>>);

/// New frames of one track for the face encoder.
#[derive(Debug)]
pub struct FaceJob {
    /// What it remembers; comes back updated.
    pub state: FaceState,
    /// T crops, grey 0..=255. Rows after the track's true end hold anything.
    pub crops: Vec<u8>,
    /// T flags: 1 for a frame of the track, 0 for one after its true end.
    pub valid: Vec<f32>,
    /// Whether what each channel adds is asked for, where the encoder can say it.
    pub contributions: bool,
}

/// What the face encoder says of T ticks; the first belongs to the job's first frame minus the
/// encoder's delay.
#[derive(Debug)]
pub struct FaceFeatures {
    /// The state for the next job.
    pub state: FaceState,
    /// T × embedding.
    pub embeddings: Vec<f32>,
    /// T × C × h × w, after the last activation, before the gate.
    pub maps: Vec<f32>,
    /// T × C, where the gate comes from the face encoder.
    pub gates: Option<Vec<f32>>,
    /// T × C × embedding: what each channel adds to the embedding, where that was asked for.
    pub contributions: Option<Vec<f32>>,
}

/// Windows for the head, all of T ticks.
#[derive(Debug)]
pub struct HeadJob {
    /// N, how many windows.
    pub rows: usize,
    /// T, ticks of each.
    pub ticks: usize,
    /// N × T × embedding.
    pub audio: Vec<f32>,
    /// N × T × embedding.
    pub face: Vec<f32>,
    /// N × forward state.
    pub forward: Vec<f32>,
}

/// One face's logits beside its best rival's, for competition.
#[derive(Debug)]
pub struct CrossFaceJob {
    /// T: z = z1 − z0 of the face.
    pub score: Vec<f32>,
    /// T: the largest z of the others; anything where there is none.
    pub rival: Vec<f32>,
    /// T: 1 where there is another, else 0.
    pub present: Vec<f32>,
}

/// What the head says.
#[derive(Debug)]
pub struct HeadResult {
    /// N × T × 2.
    pub logits: Vec<f32>,
    /// N × T × forward state: the state after each tick.
    pub forward: Vec<f32>,
    /// N × T × G, where the gate comes from the head.
    pub gates: Option<Vec<f32>>,
}

impl HeadResult {
    /// z = z1 − z0 of window `row` at `tick`.
    pub fn z(&self, row: usize, tick: usize, ticks: usize) -> f32 {
        let at = (row * ticks + tick) * 2;
        self.logits[at + 1] - self.logits[at]
    }
}

/// The model could not be run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the model {package} failed in its {graph} graph: {reason}")]
pub struct InferenceError {
    /// The package's name.
    pub package: String,
    /// Which graph.
    pub graph: &'static str,
    /// The runtime's reason.
    pub reason: String,
}

/// Face features that may still be on their way.
pub trait PendingFeatures: Send {
    /// What came, one for each job in their order; `None` while it is on its way. Asked no more
    /// once it came.
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, InferenceError>>;

    /// The same, waited for.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn wait(&mut self) -> Result<Vec<FaceFeatures>, InferenceError>;
}

/// Some jobs that are being encoded.
pub struct StartedBatch {
    /// How many of those that were given.
    pub jobs: usize,
    /// What will come of them.
    pub pending: Box<dyn PendingFeatures>,
}

/// An encoding that was done at once.
struct ReadyFeatures(Option<Vec<FaceFeatures>>);

impl PendingFeatures for ReadyFeatures {
    fn poll(&mut self) -> Option<Result<Vec<FaceFeatures>, InferenceError>> {
        self.0.take().map(Ok)
    }

    fn wait(&mut self) -> Result<Vec<FaceFeatures>, InferenceError> {
        Ok(self.0.take().unwrap_or_default())
    }
}

/// A speaker model that can be run.
pub trait SpeakerModel: Send {
    /// Its sizes.
    fn shape(&self) -> &ModelShape;

    /// Encodes new frames of several tracks at once.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError>;

    /// Starts to encode new frames of several tracks, and does not wait where others do the work;
    /// they ring `notify` when something is done. Together what comes back covers all jobs, in order.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn start_faces(
        &mut self,
        jobs: Vec<FaceJob>,
        _bell: Option<&Notify>,
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

    /// The face's T logits after competition; asked only where the shape says that faces compete.
    ///
    /// # Errors
    /// Where the runtime fails.
    fn run_cross_face(&mut self, job: CrossFaceJob) -> Result<Vec<f32>, InferenceError> {
        Ok(job.score)
    }

    /// The same for several faces.
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
