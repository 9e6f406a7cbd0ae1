//! The floor's first part: the recording decoded and encoded again, with nothing in between.

use std::sync::atomic::AtomicBool;

use crate::config::Pipeline;
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::models::shelf::{Role, find};
use crate::run::outputs::Outputs;
use crate::run::{RunError, setting};
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::Blender;
use crate::stages::sink::records::Ending;
use crate::stages::source::gst::Recording;
use crate::stages::sync::timeline::{JumpPolicy, Timeline};
use crate::wiring::keep_sound;

/// Writes `pipeline`'s film without looking at it: the same elements and settings, the same hands.
///
/// # Errors
/// As a run.
pub fn transcode(pipeline: &Pipeline) -> Result<(), RunError> {
    let recording = Recording::open(&pipeline.input, pipeline.audio_track)?;
    let speaker = find(Role::Speaker, pipeline.package.as_deref())?;
    let setting = setting(pipeline, &speaker, &recording.shape().video)?;
    let outputs = Outputs::create(pipeline, &setting, &recording)?;
    let stop = AtomicBool::new(false);
    recording.play()?;
    if let Some(named) = &outputs.film {
        let film = &named.film;
        std::thread::scope(|scope| -> Result<(), RunError> {
            if let Some(packets) = recording.packets() {
                let stop = &stop;
                std::thread::Builder::new()
                    .name("packets".into())
                    .spawn_scoped(scope, move || keep_sound(packets, film, stop))?;
            }
            // The model's sound is decoded in the whole path; here nobody wants it, but the
            // demuxer does not go on without.
            if let Some(sound) = recording.sound() {
                std::thread::Builder::new()
                    .name("sound".into())
                    .spawn_scoped(scope, move || sound.for_each(drop))?;
            }
            let mut timeline = Timeline::new(JumpPolicy::default(), recording.shape().video.rate);
            let mut blender = Blender::new(Painter::new(setting.style));
            for raw in recording.pictures() {
                let id = timeline.advance_to(raw.pts);
                let frame = Frame { id, span: raw.span, picture: raw.picture };
                let nothing = FrameEvidence { frame: id, faces: Vec::new(), floor: None };
                let buffer = blender.draw(frame, &nothing)?;
                film.push_picture(buffer, id.pts, raw.span)?;
            }
            film.end_pictures();
            Ok(())
        })?;
    }
    outputs.close(Ending::Complete)?;
    Ok(())
}
