//! Types that every stage uses: time, geometry, frames, evidence, the queues between stages, and
//! the retry backoff.

pub mod address;
pub mod backoff;
pub mod credentials;
pub mod evidence;
pub mod exit;
pub mod fault_point;
pub mod frame;
mod gate;
pub mod geometry;
pub mod image_resize;
pub mod meter;
pub mod notify;
pub mod preset;
pub mod progress;
pub mod queue;
pub mod rng;
pub mod signal;
pub mod time;
pub mod timed_thread;
