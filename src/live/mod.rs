//! The daemon: runs all live streams of a process, with health page, watchdog and reload.
//!
//! The stages of one stream are in `pipeline::live`.

pub mod check;
pub(crate) mod health;
mod limited_listener;
pub(crate) mod prepared_stream;
pub(crate) mod probe;
pub mod process;
pub(crate) mod running_stream;
pub(crate) mod streams;
pub(crate) mod watchdog;
