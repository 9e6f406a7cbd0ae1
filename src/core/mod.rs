//! Types that every stage uses: time, geometry, frames, evidence, the queues between stages, and
//! the retry backoff.

pub mod address;
pub(crate) mod backoff;
pub(crate) mod credentials;
pub mod evidence;
pub(crate) mod exit;
pub(crate) mod fault_point;
pub mod frame;
mod gate;
pub mod geometry;
pub(crate) mod image_resize;
pub(crate) mod meter;
pub mod notify;
pub(crate) mod preset;
pub mod progress;
pub mod queue;
pub mod rng;
pub(crate) mod signal;
pub mod time;
pub(crate) mod timed_thread;
