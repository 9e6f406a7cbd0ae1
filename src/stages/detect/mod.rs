//! Detect: finds the faces of a frame.
//!
//! Takes frames; gives face boxes with five landmarks, in pixels of the source frame.
//! [`plan`] decides which frames are searched and at what resolution (the tracker fills the rest),
//! `search_region` which part of them, and [`cuts`] finds shot cuts. All of these are pure; only a
//! [`crate::models::face_detector::FaceDetector`] uses an inference engine.
//! Boxes have no identity: that is the tracker's task.

pub mod cuts;
pub(crate) mod plan;
mod search_region;
