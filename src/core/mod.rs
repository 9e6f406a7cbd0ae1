//! Words that every stage uses: time, geometry, pictures, evidence, and the edges between stages.

pub mod edge;
pub mod evidence;
pub mod exit;
pub mod geometry;
pub mod meter;
pub mod picture;
pub mod seeded;
pub mod time;
