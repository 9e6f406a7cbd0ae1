//! Sync: one clock for frames and audio.
//!
//! [`timeline`] gives every source frame a place in an epoch, whatever its timestamps are worth;
//! [`grid`] tells which source frame stands for which tick of the model's 25 fps grid. The output
//! keeps every source frame; only the model sees the grid.

pub mod gapless_audio;
pub mod grid;
pub mod timeline;
