//! Detections in, tracks out: which face in this frame is which person.
//!
//! Takes every source frame in order, with the faces that a detector found in it where one ran
//! (detection runs on a stride). Gives the same frames in the same order, each with a box and
//! landmarks for every tracked face.
//!
//! Promises: every frame comes out exactly once; a track number is never used twice and means
//! continuous presence in one shot of one epoch; a track that never gets confirmed leaves no
//! trace; what is held back is bounded ([`Tracker::max_lag`]), and so is memory.
//!
//! Does not promise that a person who leaves and comes back keeps the number: that takes
//! recognition of faces, which this program does not do.

mod assign;
pub mod front_end;
mod motion;
mod policy;
#[cfg(test)]
mod tests;
mod tracker;

pub use policy::{BoxFill, LagBound, Policy};
pub use tracker::{TrackedFace, TrackedFaces, TrackedFrame, Tracker};
