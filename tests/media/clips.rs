//! The recordings in `../shared/clips`, as the program's own source reads them. The films of all of them
//! are in the test binary `paths`.

use std::path::Path;

use locutor::stages::source::gst::Recording;

use crate::ffprobe::frame_times;
use crate::kit::Origin::File;
use crate::kit::check_list;
use crate::needs::shared;

/// The frame times that the program reads from `path`, in seconds.
fn read(path: &Path) -> Vec<Option<f64>> {
    let recording = Recording::open(path, 1).unwrap_or_else(|e| panic!("{e}"));
    recording.play().unwrap();
    std::thread::scope(|scope| {
        if let Some(audio) = recording.audio() {
            scope.spawn(move || audio.for_each(drop));
        }
        if let Some(packets) = recording.packets() {
            scope.spawn(move || packets.for_each(drop));
        }
        recording.frames().map(|frame| frame.pts.map(|pts| pts.seconds())).collect()
    })
}

#[test]
fn all_clips_have_the_times_that_ffprobe_shows() {
    let Some(folder) = shared("clips") else { return };
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_media = |path: &Path| path.extension().is_some_and(|end| end != "md" && end != "tsv");
    let mut clips: Vec<_> = paths.filter(|path| is_media(path)).collect();
    clips.sort();
    assert!(!clips.is_empty());
    for clip in clips {
        let Some(times) = frame_times(&clip) else { return };
        check_list(&clip.display().to_string(), &times, ("source", &read(&clip)), File);
    }
}
