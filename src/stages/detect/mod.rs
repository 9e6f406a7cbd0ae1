//! Detect: where the faces of a frame are.
//!
//! Takes frames; gives face boxes with five landmarks, in pixels of the source frame.
//! [`plan`] says which frames are looked at and how finely (tracks carry the rest), `near` which part of
//! them is enough, [`cuts`] where a new shot begins. All of these are pure; only a
//! [`crate::models::face_detector::FaceDetector`] knows an inference engine.
//! Promises nothing about identity: that is the tracker's.

pub mod cuts;
pub mod plan;
mod search_region;
