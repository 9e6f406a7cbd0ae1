//! How late a frame is, seen by a client: from the moment that the camera sends it to the moment
//! that a reader of the daemon's RTSP server has decoded it. The camera draws each frame's number
//! into it. The reader's jitter buffer is set to 0; its decoder and both RTSP connections are within
//! what is measured.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::kit::camera::Camera;
use crate::kit::daemon::{PATIENCE, Plan, SERVE, Start};
use crate::kit::gst::numbers::Watched;
use crate::kit::row::Row;
use crate::kit::{root, sleep, times, until};

/// A clip of which twelve bits can number all frames.
const SECONDS: &str = "20";
/// What is drawn first is still being set up.
const WARM_UP_S: f64 = 8.0;

/// Milliseconds, sorted.
struct Lateness(Vec<f64>);

impl Lateness {
    /// When each frame was sent, from the camera's log, beside when it was seen.
    fn of(log: &Path, seen: &[(usize, u128)]) -> Self {
        let mut sent: HashMap<usize, Vec<u128>> = HashMap::new();
        for line in std::fs::read_to_string(log).expect("the camera's log").lines() {
            let (index, at) = line.split_once(' ').expect("index and time");
            sent.entry(index.parse().expect("index")).or_default().push(at.parse().expect("time"));
        }
        let late = |(index, at): &(usize, u128)| {
            // The last time that this frame of the looped clip was sent before it was seen.
            let before = sent.get(index)?.iter().rev().find(|sent| *sent <= at)?;
            Some((at - before) as f64 / 1e6)
        };
        let mut all: Vec<f64> = seen.iter().filter_map(late).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    fn words(&self) -> String {
        let (p50, p95, p99) = (self.at(0.5), self.at(0.95), self.at(0.99));
        format!("p50 {p50:.0}, p95 {p95:.0}, p99 {p99:.0} ms of {} frames", self.0.len())
    }
}

/// Watches `uri` for a while, with what the camera logs; how late frames were.
fn watch(uri: &str, log: &Path, seconds: f64) -> Lateness {
    let watched = Watched::of(uri);
    until("frames", PATIENCE, || !watched.seen().is_empty());
    sleep(WARM_UP_S);
    let from = watched.seen().len();
    sleep(seconds);
    let seen = watched.seen();
    assert!(seen.len() - from > (20.0 * seconds) as usize, "25 frames a second are sent");
    Lateness::of(log, &seen[from..])
}

/// Debate of two, where the material is there; the sample otherwise.
fn clip() -> PathBuf {
    let debate = root().join("../shared/clips/debate_mexca.mp4");
    if debate.is_file() { debate } else { root().join("demo/sample.mp4") }
}

/// With `models` and `policy` as TOML; the client must see frames within `limit_ms`.
fn client(row: &mut Row, name: &str, tables: &str, limit_ms: f64) {
    let dir = row.dir.path().to_owned();
    let log = dir.join("sent");
    let sent = log.to_str().expect("a name");
    let options = ["--size", "1280x720", "--seconds", SECONDS, "--numbered", "--sent", sent];
    let camera = Camera::of(&clip(), crate::kit::free_port(), &options);
    let direct = watch(&camera.uri(), &log, 10.0);
    let plan = Plan::new("cam", &camera.uri(), &format!("{SERVE}{tables}"));
    let mut daemon = Start::new(&dir, &[plan]).spawn();
    daemon.until("cam", "live");
    sleep(2.0);
    let late =
        watch(&format!("rtsp://127.0.0.1:{}/cam", daemon.rtsp), &log, f64::from(times(40, 10)));
    row.note(format!("{name}: {}; the camera itself: {}", late.words(), direct.words()));
    daemon.stop();
    let own = late.at(0.95) - direct.at(0.5);
    assert!(own < limit_ms, "{name}: {own:.0} ms more than the camera itself at p95");
    row.ran();
}

#[test]
#[ignore = "two minutes"]
fn seen_by_a_client() {
    let what = "no fault: 720p25, how late a frame is for a client of the RTSP server (jitter buffer \
                0, decoded), from the moment that the camera sends it";
    let Some(mut row) = Row::begin("seen_by_a_client", what) else { return };
    client(&mut row, "own model, delay", "", 800.0);
    client(&mut row, "own model, latest", "[output]\npolicy = \"latest\"\n", 200.0);
    let light_asd = root().join(".models/light-asd");
    if !light_asd.is_dir() {
        return crate::needs::skip("Light-ASD, imported into .models/light-asd");
    }
    let models = format!(
        "[models]\ndevice = \"cpu\"\nspeaker = \"{}\"\nlookahead = 6\nhop_ticks = 2\n",
        light_asd.display()
    );
    client(&mut row, "Light-ASD, delay", &models, 800.0);
}
