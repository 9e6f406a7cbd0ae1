//! Live streams: cameras in, annotated streams out, for years.

mod bounded;
pub mod check;
pub mod health;
pub mod meters;
pub mod status;
pub mod streams;
pub mod watchdog;
