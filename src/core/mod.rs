//! Words that every stage uses: time, geometry, frames, evidence, the edges between stages,
//! and how long to wait before something is tried again.

pub mod backoff;
pub mod evidence;
pub mod exit;
pub mod frame;
pub mod geometry;
pub mod meter;
pub mod notify;
pub mod queue;
pub mod seeded;
pub mod time;
