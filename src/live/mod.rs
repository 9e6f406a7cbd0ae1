//! Live streams: cameras in, annotated streams out, for years.
//!
//! [`stream`] runs one: a [`session`] for every time its source is there, [`show`] for good. The
//! stages are those of recordings, wired in [`session`] so that nothing live ever waits.

pub mod check;
pub mod health;
mod limited_listener;
pub mod prepared_stream;
pub mod probe;
pub mod process;
pub mod running_stream;
pub mod streams;
pub mod watchdog;
