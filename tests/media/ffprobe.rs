//! Frame times by ffprobe.

use std::path::Path;
use std::process::Command;

use crate::needs::skip;

/// Runs `command` to its end; `None`, said loudly, where it is not installed.
pub fn run(command: &mut Command) -> Option<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Ok(output) = command.output() else {
        skip(format_args!("{name} (apt-get install ffmpeg)"));
        return None;
    };
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {complaint}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// When each frame of `path` is shown, in seconds, in the order of showing; `None` inside where
/// ffprobe cannot tell.
pub fn frame_times(path: &Path) -> Option<Vec<Option<f64>>> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-of", "json", "-show_entries"]);
    let text = run(command.arg("frame=best_effort_timestamp_time").arg(path))?;
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let time =
        |frame: &serde_json::Value| frame["best_effort_timestamp_time"].as_str()?.parse().ok();
    Some(told["frames"].as_array().unwrap().iter().map(time).collect())
}
