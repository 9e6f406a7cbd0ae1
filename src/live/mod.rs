//! Live streams: cameras in, annotated streams out, for years.
//!
//! [`stream`] runs one: a [`session`] for every time its source is there, [`show`] for good. The
//! stages are those of recordings, wired in [`session`] so that nothing live ever waits.

pub mod chaos;
pub mod check;
mod compute_time;
pub mod health;
mod limited_listener;
pub mod load;
mod output_encoder;
pub mod prepared_stream;
pub mod presenter;
pub mod probe;
pub mod process;
pub mod queues;
pub mod running_stream;
pub mod session;
pub mod settings;
pub mod slate;
mod stage_threads;
pub mod stream;
pub mod streams;
pub mod watchdog;
