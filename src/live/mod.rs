//! Live streams: cameras in, annotated streams out, for years.
//!
//! [`stream`] runs one: a [`session`] for every time its source is there, [`show`] for good. The
//! stages are those of recordings, wired in [`session`] so that nothing live ever waits.

pub mod check;
pub(crate) mod health;
mod limited_listener;
pub(crate) mod prepared_stream;
pub(crate) mod probe;
pub mod process;
pub(crate) mod running_stream;
pub(crate) mod streams;
pub(crate) mod watchdog;
