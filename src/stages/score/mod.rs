//! From features to a score per face and frame, and from scores to decisions.

pub mod decide;
pub mod floor;
