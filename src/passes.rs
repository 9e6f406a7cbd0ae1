//! A recording read twice: scores first, pictures second. For pictures so large that holding them
//! until their scores are certain would take too much memory.

use std::sync::atomic::AtomicBool;

use crate::config::Pipeline;
use crate::onnx::engine::Engine;
use crate::run::{RunError, Setting};
use crate::stages::sink::gst::Film;
use crate::stages::sink::stage::{Progress, Records};
use crate::stages::source::gst::Recording;
use crate::wiring::Passed;

/// PLACEHOLDER
///
/// # Errors
/// none
pub fn two(
    _pipeline: &Pipeline,
    _setting: &Setting,
    _recording: &Recording,
    _engine: &Engine,
    _film: &Film,
    _records: &mut Records,
    (_progress, _stop): (&Progress, &AtomicBool),
) -> Result<Passed, RunError> {
    unimplemented!()
}
