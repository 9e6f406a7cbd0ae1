//! Sync: one clock for frames and audio.
//!
//! [`timeline`] gives every source frame a position in an epoch, however good its timestamps are.
//! [`grid`] assigns source frames to ticks of the model's 25 fps grid. The output keeps every
//! source frame; only the model uses the grid. [`gapless_audio`] fills the gaps in live audio. [`feed`]
//! sends a recording's frames to the fast and the slow path.

pub(crate) mod feed;
pub(crate) mod gapless_audio;
pub(crate) mod grid;
pub(crate) mod timeline;
