//! Score: from crops and audio to P(speaking) per face and frame, and from scores to decisions.
//!
//! [`face_stream`] takes one track through the face encoder, [`audio_encoder`] the stream's audio through the
//! audio encoder, [`head_runner`] runs the head over windows of both, [`cross_face`] lets the faces on screen
//! compete; [`scorer`] drives all four.
//! [`decide`] and [`floor`] turn scores into decisions, [`join`] puts them back on source frames.
//! [`model`] is the seam: whoever runs a model implements it.

pub mod ablate;
pub mod audio_encoder;
pub mod budget;
pub mod cross_face;
pub mod decide;
pub mod face_stream;
pub mod floor;
pub mod frame_assembler;
pub mod head_runner;
pub mod model;
pub mod scorer;
pub mod stage;
