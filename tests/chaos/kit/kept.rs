//! Recordings as a player sees them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::files;

/// The recordings below `dir`, those that are being written as well, oldest first.
pub fn recordings(dir: &Path) -> Vec<PathBuf> {
    let media = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".mp4") || name.ends_with(".mp4.part")
    };
    files(dir).into_iter().map(|(path, _)| path).filter(media).collect()
}

/// Times of the frames in seconds, as stored.
pub fn frames(file: &Path) -> Vec<f64> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "quiet", "-select_streams", "v:0", "-show_entries", "packet=pts_time"]);
    let out = command.args(["-of", "csv=p=0"]).arg(file).output().expect("ffprobe");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut times: Vec<f64> =
        text.lines().filter_map(|l| l.trim_end_matches(',').parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Frames of the camera: slates come five times a second, frames oftener.
pub fn without_slates(times: &[f64]) -> usize {
    let gaps = times.windows(2).filter(|pair| pair[1] - pair[0] <= 0.15).count();
    gaps + usize::from(gaps > 0)
}

/// What a decoder complains about; empty where the file plays from end to end.
pub fn complaints(file: &Path) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(file).args(["-f", "null", "-"]);
    let out = command.output().expect("ffmpeg");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    // What the end of ffmpeg's own chain says when frames do not come at an even rate.
    let own = |line: &str| line.starts_with("[null @") || line.contains("Last message repeated");
    let of_the_file = said.lines().filter(|line| !own(line));
    of_the_file.collect::<Vec<_>>().join("\n")
}

/// Whether every recording plays.
#[track_caller]
pub fn all_play(dir: &Path) {
    for file in recordings(dir) {
        let said = complaints(&file);
        assert!(said.is_empty(), "{}: {said}", file.display());
    }
}
