//! A playlist that ffprobe reads, with a bounded number of segments, also after its folder was removed.

use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::live::testing::gst::{LiveEncoder, wait_until};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;

fn segments(directory: &Path) -> usize {
    let all = fs::read_dir(directory).into_iter().flatten().flatten();
    all.filter(|f| is_segment(&f.file_name().to_string_lossy())).count()
}

#[test]
fn a_playlist_plays_stays_short_and_is_restored() {
    let dir = tempfile::tempdir().expect("temp");
    let place = dir.path().join("hls");
    fs::create_dir(&place).expect("made");
    fs::write(place.join("segment-1-00000.ts"), b"old").expect("written");
    fs::write(place.join("mine.ts"), b"mine").expect("written");
    let (fan_out, status, metrics) = (FanOut::default(), Status::new("cam"), Metrics::new());
    let request_keyframe: Arc<dyn Fn() + Send + Sync> = Arc::new(|| {});
    let context =
        SinkContext { fan_out: &fan_out, status: &status, metrics: &metrics, request_keyframe };
    let handle = open(&place, Duration::from_secs(1), 3, &context).expect("opens");
    let encoder = LiveEncoder::start(&fan_out, 2.0);
    let number = |text: &str| text.lines().filter(|l| l.ends_with(".ts")).count();
    let list = || fs::read_to_string(place.join(PLAYLIST)).unwrap_or_default();
    let sequence = |text: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        line.and_then(|n| n.trim().parse::<u32>().ok()).unwrap_or(0)
    };
    wait_until("segments leave the list", || sequence(&list()) >= 5);
    assert_eq!(number(&list()), 3, "{}", list());
    assert!(segments(&place) <= 6, "{} segments", segments(&place));
    assert!(place.join("mine.ts").exists() && !place.join("segment-1-00000.ts").exists());
    fs::remove_dir_all(&place).expect("removed");
    wait_until("it is there again", || number(&list()) >= 2);
    assert!(status.sink_errors().is_empty());
    drop((encoder, fan_out));
    assert!(handle.join(Duration::from_secs(30)), "it ends with its queue");
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-count_packets", "-show_entries"]);
    probe.args(["stream=codec_name,nb_read_packets", "-of", "csv=p=0"]);
    let out = probe.arg(place.join(PLAYLIST)).output().expect("ffprobe is installed");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("h264") && text.contains("aac"), "{text}");
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}
