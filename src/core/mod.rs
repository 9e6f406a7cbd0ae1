//! Words that every stage uses: time, geometry, pictures, evidence, the edges between stages,
//! and how long to wait before something is tried again.

pub mod backoff;
pub mod bell;
pub mod edge;
pub mod evidence;
pub mod exit;
pub mod geometry;
pub mod meter;
pub mod picture;
pub mod seeded;
pub mod time;
