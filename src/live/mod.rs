//! Live streams: cameras in, annotated streams out, for years.
//!
//! [`stream`] runs one: a [`session`] for every time its source is there, [`show`] for good. The
//! stages are those of recordings, wired in [`session`] so that nothing live ever waits.

mod bounded;
pub mod chaos;
pub mod check;
pub mod clock;
pub mod edges;
pub mod health;
pub mod latency;
pub mod load;
pub mod meters;
mod pace;
pub mod prepared;
pub mod probe;
pub mod process;
pub mod running;
pub mod session;
pub mod setting;
pub mod show;
pub mod slate;
mod stage_threads;
pub mod status;
pub mod stream;
pub mod streams;
mod studio;
pub mod watchdog;
