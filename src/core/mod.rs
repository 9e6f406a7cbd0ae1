//! Words that every stage uses: time, geometry, pictures, evidence. Nothing here does any work.

pub mod evidence;
pub mod exit;
pub mod geometry;
pub mod picture;
pub mod time;
