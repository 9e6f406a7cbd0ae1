//! Score: from crops and sound to P(speaking) per face and frame, and from scores to decisions.
//!
//! [`lane`] takes one track through the face encoder, [`hearing`] the stream's sound through the
//! sound encoder, [`judge`] runs the head over windows of both, [`rivals`] lets the faces on screen
//! compete; [`scorer`] drives all four.
//! [`decide`] and [`floor`] turn scores into decisions, [`join`] puts them back on source frames.
//! [`model`] is the seam: whoever runs a model implements it.

pub mod ablate;
pub mod budget;
pub mod decide;
pub mod floor;
pub mod hearing;
pub mod join;
pub mod judge;
pub mod lane;
pub mod model;
pub mod rivals;
pub mod scorer;
pub mod stage;
