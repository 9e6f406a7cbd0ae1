//! Who is speaking in this video, right now, and what the model looked at.

pub mod core;
pub mod stages;
