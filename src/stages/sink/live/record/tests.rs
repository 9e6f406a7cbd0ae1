//! Recordings that play: in segments, after a kill, on a full disk, in a removed folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::gst::packet::PacketKind;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::live::testing::gst::{LiveEncoder, common_packets, wait_until};
use crate::telemetry::status::Status;

struct Stage {
    fan_out: FanOut,
    status: Status,
    metrics: Metrics,
    handle: SinkHandle,
}

fn record(directory: &Path, change: impl FnOnce(&mut RecorderSettings)) -> Stage {
    let mut recording = RecorderSettings {
        directory: directory.to_owned(),
        name: "%Y-%m-%d/%H-%M-%S".into(),
        segment: Duration::from_secs(3600),
        max_age: None,
        max_total_bytes: None,
        min_free_bytes: 0,
    };
    change(&mut recording);
    let (fan_out, status, metrics) = (FanOut::default(), Status::new("cam"), Metrics::new());
    let context = SinkContext {
        fan_out: &fan_out,
        status: &status,
        metrics: &metrics,
        request_keyframe: Arc::new(|| {}),
    };
    let handle = open(&recording, &context).expect("opens");
    Stage { fan_out, status, metrics, handle }
}

impl Stage {
    fn end(self) {
        drop(self.fan_out);
        assert!(self.handle.join(Duration::from_secs(30)), "the recorder ends with its queue");
    }
}

fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let days = fs::read_dir(directory).into_iter().flatten().flatten();
    let all = days.flat_map(|day| fs::read_dir(day.path()).into_iter().flatten().flatten());
    let mut all: Vec<_> = all.map(|f| f.path()).collect();
    all.retain(|f| f.to_string_lossy().ends_with(ending));
    all.sort();
    all
}

/// Packets of a track as ffprobe reads them: their times in seconds.
fn times(file: &Path, track: &str) -> Vec<f64> {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", track, "-show_entries", "packet=pts_time"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8_lossy(&probe.stdout).into_owned();
    text.lines().filter_map(|l| l.trim_end_matches(',').parse().ok()).collect()
}

fn plays(file: &Path) {
    let mut run = Command::new("ffmpeg");
    run.args(["-v", "error", "-xerror", "-i"]).arg(file).args(["-f", "null", "-"]);
    let run = run.output().expect("ffmpeg is installed");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && errors.is_empty(), "{}: {errors}", file.display());
}

#[test]
fn a_recording_has_every_frame_and_its_audio_in_sync() {
    let dir = tempfile::tempdir().expect("temp");
    let stage = record(dir.path(), |_| {});
    for packet in common_packets() {
        stage.fan_out.offer(packet);
        std::thread::sleep(Duration::from_millis(1));
    }
    let bytes = stage.metrics.recorded_bytes.get_or_create(&stream_labels("cam")).clone();
    stage.end();
    let all = files(dir.path(), ".mp4");
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(files(dir.path(), ".part").is_empty());
    plays(&all[0]);
    let of = |image: bool| {
        let of = common_packets().iter().filter(|p| (p.kind != PacketKind::Audio) == image);
        of.map(|p| p.at.ns() as f64 / 1e9).collect::<Vec<_>>()
    };
    let (frames, audio) = (times(&all[0], "v"), times(&all[0], "a"));
    assert_eq!(frames.len(), of(true).len());
    assert!(audio.len() + 2 >= of(false).len(), "{} of {}", audio.len(), of(false).len());
    let first = of(true)[0];
    for (got, put) in frames.iter().zip(of(true)) {
        assert!((got - (put - first)).abs() < 0.002, "a frame of {put} s lies at {got} s");
    }
    let kept: Vec<_> = of(false).into_iter().filter(|t| *t >= first).collect();
    for (got, put) in audio.iter().rev().zip(kept.iter().rev()) {
        assert!((got - (put - first)).abs() < 0.03, "audio of {put} s lies at {got} s");
    }
    assert!(bytes.get() > 10_000);
}

#[test]
fn segments_follow_the_clock_and_a_copy_taken_midway_plays() {
    let dir = tempfile::tempdir().expect("temp");
    let stage = record(dir.path(), |r| r.segment = Duration::from_secs(3));
    let encoder = LiveEncoder::start(&stage.fan_out, 1.0);
    wait_until("two segments are whole", || files(dir.path(), ".mp4").len() >= 2);
    wait_until("a third is being written", || {
        let part = files(dir.path(), ".part").pop();
        part.is_some_and(|p| whole_bytes(&p).is_ok_and(|b| b.is_some()))
    });
    let part = files(dir.path(), ".part").pop().expect("a part");
    // As after a kill: cut off in the middle of the next fragment.
    let copy = tempfile::tempdir().expect("temp");
    let day = copy.path().join("2026-01-02");
    fs::create_dir(&day).expect("made");
    let mut bytes = fs::read(&part).expect("read");
    bytes.extend_from_slice(&[0, 0, 9, 0, b'm', b'o', b'o', b'f', 1, 2, 3]);
    fs::write(day.join("03-04-05.mp4.part"), bytes).expect("written");
    fs::write(day.join("03-04-06.mp4.part"), b"nothing whole").expect("written");
    fs::write(day.join("other.mp4.part"), b"not ours").expect("written");
    let naming = Naming::new("%Y-%m-%d/%H-%M-%S").expect("a pattern");
    SegmentStore { directory: copy.path().into(), naming }.adopt();
    assert_eq!(files(copy.path(), ""), [day.join("03-04-05.mp4"), day.join("other.mp4.part")]);
    plays(&day.join("03-04-05.mp4"));
    assert!(times(&day.join("03-04-05.mp4"), "v").len() > 10);
    drop(encoder);
    stage.end();
    let all = files(dir.path(), ".mp4");
    all.iter().for_each(|file| plays(file));
    // Each begins with a keyframe, about in the first of its three seconds.
    let starts =
        all.iter().skip(1).map(|f| f.file_stem().expect("named").to_string_lossy().into_owned());
    for start in starts {
        let second: u64 = start.rsplit('-').next().and_then(|s| s.parse().ok()).expect("seconds");
        assert!(second % 3 <= 1, "a segment begins at {start}");
    }
}

#[test]
fn a_full_disk_is_reported_and_a_removed_folder_is_created_again() {
    let dir = tempfile::tempdir().expect("temp");
    let full = record(&dir.path().join("full"), |r| r.min_free_bytes = u64::MAX);
    let encoder = LiveEncoder::start(&full.fan_out, 1.0);
    wait_until("it reports the full disk", || {
        full.status.sink_errors().get("record").is_some_and(|t| t.contains("full"))
    });
    drop(encoder);
    full.end();
    let place = dir.path().join("gone");
    let stage = record(&place, |_| {});
    let encoder = LiveEncoder::start(&stage.fan_out, 1.0);
    wait_until("it records", || !files(&place, ".part").is_empty());
    fs::remove_dir_all(&place).expect("removed");
    wait_until("it records again", || !files(&place, ".part").is_empty());
    wait_until("the error is cleared", || stage.status.sink_errors().is_empty());
    drop(encoder);
    stage.end();
    assert_eq!(files(&place, ".mp4").len(), 1);
    plays(&files(&place, ".mp4")[0]);
}

/// A small file system, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().expect("temp");
        let size = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path());
        let done = mount.output().is_ok_and(|out| out.status.success());
        done.then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_stops_the_recording_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(3 << 10) else {
        crate::needs::skip_on_this_machine("root, who can mount a tmpfs");
        return;
    };
    let place = disk.0.path();
    let ballast = place.join("ballast");
    fs::write(&ballast, vec![1; (3 << 20) - (160 << 10)]).expect("fits");
    let stage = record(place, |_| {});
    let (beside, counts) = stage.fan_out.add("beside", 8 << 20);
    let encoder = LiveEncoder::start(&stage.fan_out, 4.0);
    wait_until("it reports the full disk", || {
        let _ = std::iter::from_fn(|| beside.try_recv().ok()).count();
        stage.status.sink_errors().contains_key("record")
    });
    assert_eq!(counts.dropped.load(std::sync::atomic::Ordering::Relaxed), 0, "another sink lost");
    let first = files(place, ".mp4");
    fs::remove_file(&ballast).expect("removed");
    wait_until("it records again", || {
        let part = files(place, ".part").pop();
        part.is_some_and(|p| whole_bytes(&p).is_ok_and(|b| b.is_some()))
    });
    assert!(stage.status.sink_errors().is_empty());
    drop((encoder, beside));
    stage.end();
    let all = files(place, ".mp4");
    assert!(all.len() > first.len(), "{all:?}");
    all.iter().for_each(|file| plays(file));
}

#[test]
fn old_segments_are_removed_and_other_files_stay() {
    let dir = tempfile::tempdir().expect("temp");
    let day = dir.path().join("2020-01-02");
    fs::create_dir(&day).expect("made");
    fs::write(day.join("03-04-05.mp4"), vec![0; 100]).expect("written");
    fs::write(dir.path().join("mine.mp4"), b"mine").expect("written");
    let naming = Naming::new("%Y-%m-%d/%H-%M-%S").expect("a pattern");
    let segment_store = SegmentStore { directory: dir.path().into(), naming };
    let rules = retention::Rules { max_age: None, max_total_bytes: Some(50), min_free_bytes: 0 };
    assert_eq!(segment_store.tidy(rules, SystemTime::now()), 100);
    assert!(!day.exists() && dir.path().join("mine.mp4").exists());
}

use super::segment_store::whole_bytes;
