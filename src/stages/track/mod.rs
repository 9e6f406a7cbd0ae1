//! Track: turns detections into tracks, so that each face has an identity.
//!
//! Takes every source frame in order, with its detections if a detector ran on it (detection runs
//! on a stride). Gives the same frames in the same order, each with a box and landmarks for every
//! tracked face.
//!
//! Guarantees: every frame comes out exactly once. A track number is never reused and means
//! continuous presence in one shot of one epoch. A track that is never confirmed does not appear.
//! The number of frames held back is bounded ([`Tracker::max_lag`]), and so is memory.
//!
//! Not guaranteed: a person who leaves and returns gets a new number. Keeping it would need face
//! recognition, which this program does not do.

mod assign;
pub(crate) mod front_end;
mod motion;
mod policy;
#[cfg(test)]
mod tests;
mod tracker;

pub use policy::{BoxFill, LagBound, Policy};
pub use tracker::{TrackedFace, TrackedFaces, TrackedFrame, Tracker};
