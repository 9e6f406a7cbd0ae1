//! The floor's first part: decodes and encodes the recording with nothing in between.

use std::sync::atomic::AtomicBool;

use crate::config::Pipeline;
use crate::core::evidence::FrameEvidence;
use crate::core::progress::Progress;
use crate::models::registry::{Role, find};
use crate::pipeline::two_passes::draw;
use crate::run::outputs::Outputs;
use crate::run::{RunError, settings};
use crate::stages::sink::records::Ending;
use crate::stages::source::gst::Recording;

/// Writes `pipeline`'s output without analysis, with the same elements, settings and code.
///
/// # Errors
/// As a run.
pub(crate) fn transcode(pipeline: &Pipeline) -> Result<(), RunError> {
    let recording = Recording::open(&pipeline.input, pipeline.audio_track)?;
    let speaker = find(Role::Speaker, pipeline.package.as_deref())?;
    let detector = find(Role::Detector, pipeline.detector.as_deref())?;
    let settings = settings(pipeline, (&speaker, &detector), &recording.shape().video)?;
    let outputs = Outputs::create(pipeline, &recording)?;
    if let Some(named) = &outputs.output {
        let nothing = |frame| Ok(Some(FrameEvidence { frame, faces: Vec::new(), floor: None }));
        let how = (&Progress::default(), &AtomicBool::new(false));
        draw(&settings, &recording, &named.output, nothing, how)?;
    }
    outputs.close(Ending::Complete)?;
    Ok(())
}
