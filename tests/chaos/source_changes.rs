//! What the camera sends changes: its clock, its size, its codec, its rate, its audio.

use std::time::Instant;

use crate::kit::camera::Camera;
use crate::kit::daemon::{Daemon, PATIENCE, Plan, RECORD, Start};
use crate::kit::row::Row;
use crate::kit::{kept, sleep, times, until};

#[test]
fn clock_jumps() {
    let what = "the camera's RTP clock jumps an hour ahead, ten minutes back, and wraps";
    let Some(mut row) = Row::begin("clock_jumps", what) else { return };
    // Wraps long after the jumps where all is run, and while they happen otherwise.
    let wraps = times(40, 10).to_string();
    let mut camera = Camera::start(&["--wraps-after", &wraps]);
    let dir = row.dir.path().to_owned();
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    sleep(2.0);
    for jump in ["3600", "-600", "-7200", "0.7"] {
        row.ran();
        camera.say(&format!("jump {jump}"));
        let still = daemon.longest_still("cam", 6);
        row.note(format!("{jump} s: {:.2} s without a frame", still.as_secs_f64()));
        row.recovered(still);
        daemon.until("cam", "live");
        until("frames go on", PATIENCE, || daemon.rate("cam", 1.0) > 12.0);
    }
    sleep(f64::from(times(20, 4)));
    assert!(daemon.rate("cam", 2.0) > 12.0, "after the wrap");
    daemon.stop();
    kept::all_play(&dir.join("kept"));
    for file in kept::recordings(&dir.join("kept")) {
        let at = kept::frames(&file);
        let longest = at.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(longest < 5.0, "a hole of {longest:.1} s in {}", file.display());
    }
}

#[test]
fn other_camera() {
    let what = "the camera comes back with another size and codec, without audio, at another rate";
    let Some(mut row) = Row::begin("other_camera", what) else { return };
    let mut camera = Camera::start(&[]);
    let (port, dir) = (camera.port, row.dir.path().to_owned());
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    let all: [&[&str]; 7] = [
        &["--size", "320x240"],
        &["--codec", "mjpeg", "--size", "480x360", "--audio", "off"],
        &["--codec", "h265"],
        &["--codec", "vp8"],
        &["--rate", "30000/1001"],
        &["--audio", "off", "--rate", "10"],
        &[],
    ];
    for options in all.iter().take(times(7, 3) as usize) {
        row.ran();
        sleep(3.0);
        camera.process.kill();
        daemon.until("cam", "lost");
        camera = Camera::on(port, options);
        let since = Instant::now();
        daemon.until("cam", "live");
        daemon.until_frame("cam");
        row.recovered(since.elapsed());
        let shown = daemon.rate("cam", 2.0);
        row.note(format!("{options:?}: {shown:.0} frames a second"));
        assert!(shown > 5.0, "{options:?}: {shown} frames a second");
    }
    sleep(2.0);
    daemon.stop();
    kept::all_play(&dir.join("kept"));
    let sizes = daemon.events_of("cam", "epoch").len();
    assert!(sizes > times(7, 3) as usize, "{sizes} epochs");
}

#[test]
fn audio_stops() {
    let what = "audio stops within a session and comes back: frames and the recording go on";
    let Some(mut row) = Row::begin("audio_stops", what) else { return };
    let mut camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    sleep(3.0);
    for order in ["mute", "unmute"] {
        row.ran();
        camera.say(order);
        sleep(2.0);
        let shown = daemon.rate("cam", f64::from(times(15, 4)));
        row.note(format!("after {order}: {shown:.1} frames a second"));
        assert!(shown > 12.0, "after {order}: {shown} frames a second");
        assert_eq!(daemon.state("cam"), "live");
    }
    daemon.stop();
    kept::all_play(&dir.join("kept"));
}

#[test]
#[ignore = "a drift shows after minutes only"]
fn audio_drifts() {
    let what = "the camera's audio clock is 500 parts in a million fast, for five minutes";
    let Some(mut row) = Row::begin("audio_drifts", what) else { return };
    let camera = Camera::start(&["--drift", "500"]);
    let dir = row.dir.path().to_owned();
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    let skew = |daemon: &Daemon| {
        let each = (0..20).filter_map(|_| {
            sleep(0.1);
            daemon.metric(&["locutor_av_skew_seconds", "cam"])
        });
        let all: Vec<f64> = each.collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    sleep(10.0);
    let first = skew(&daemon);
    sleep(300.0);
    let last = skew(&daemon);
    row.note(format!("audio minus frame {first:+.3} s at first, {last:+.3} s at the end"));
    assert!((last - first).abs() < 0.15, "the drift adds up: {first} {last}");
    row.ran();
    daemon.stop();
    kept::all_play(&dir.join("kept"));
}
