//! What ffprobe says that a media file holds.
//!
//! Its demuxers and decoders are not the program's: a fault that the program's make in a recording and
//! again in its film cancels out between the two, but not here.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The times of a media file's frames and audio, after edit lists. In seconds.
#[derive(Debug)]
pub struct Times {
    /// Every frame, in the order in which they are shown.
    pub frames: Vec<f64>,
    /// Where the audio track starts and ends.
    pub audio: Option<(f64, f64)>,
}

impl Times {
    /// Frame times since the first frame.
    pub fn since_first(&self) -> impl Iterator<Item = f64> {
        self.frames.iter().map(|time| time - self.frames[0])
    }
}

/// Decodes the video and the audio track `track` of `path`.
pub fn times(path: &Path, track: u32) -> Times {
    Times { frames: frame_times(path), audio: audio_times(path, track) }
}

fn time(frame: &Value) -> f64 {
    let time = frame["best_effort_timestamp_time"].as_str().and_then(|t| t.parse().ok());
    time.unwrap_or_else(|| panic!("a frame has no time: {frame}"))
}

fn frame_times(path: &Path) -> Vec<f64> {
    let video = decoded(path, "v:0", "frame=best_effort_timestamp_time");
    let frames: Vec<f64> = list(&video, "frames").iter().map(time).collect();
    assert!(!frames.is_empty(), "{}: ffprobe finds no frame", path.display());
    assert!(frames.is_sorted(), "{}: ffprobe's times go back: {frames:?}", path.display());
    frames
}

fn audio_times(path: &Path, track: u32) -> Option<(f64, f64)> {
    let wanted = "frame=best_effort_timestamp_time,nb_samples:stream=sample_rate";
    let audio = decoded(path, &format!("a:{}", track - 1), wanted);
    let blocks = list(&audio, "frames");
    let (first, last) = blocks.first().zip(blocks.last())?;
    let rate: f64 = audio["streams"][0]["sample_rate"].as_str().unwrap().parse().unwrap();
    Some((time(first), time(last) + last["nb_samples"].as_f64().unwrap() / rate))
}

fn list<'a>(found: &'a Value, key: &str) -> &'a [Value] {
    found[key].as_array().map_or(&[], Vec::as_slice)
}

fn decoded(path: &Path, stream: &str, entries: &str) -> Value {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", stream, "-show_entries", entries]);
    let output = ffprobe.args(["-of", "json"]).arg(path).output();
    let output = output.expect("ffprobe is in the package ffmpeg");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffprobe {}: {complaint}", path.display());
    serde_json::from_slice(&output.stdout).unwrap()
}
