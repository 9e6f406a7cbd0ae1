//! Score: from crops and audio to P(speaking) per face and frame, and from scores to decisions.
//!
//! [`face_stream`] runs one track through the face encoder, [`audio_encoder`] the stream's audio
//! through the audio encoder, [`head_runner`] the head over windows of both. [`cross_face`]
//! rescores faces by the other faces on screen; [`scorer`] drives all four.
//! [`decide`] and [`floor`] turn scores into decisions; [`frame_assembler`] assigns them to source
//! frames. [`crate::models::speaker_model`] is the interface to the model, [`explainer`] to what
//! makes heatmaps.

pub(crate) mod ablate;
pub mod audio_encoder;
pub mod budget;
pub(crate) mod cross_face;
pub(crate) mod decide;
pub(crate) mod explainer;
pub mod face_stream;
pub(crate) mod floor;
pub(crate) mod frame_assembler;
pub mod head_runner;
pub mod scorer;
pub(crate) mod stage;
pub mod window;
