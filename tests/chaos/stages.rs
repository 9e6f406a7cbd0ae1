//! Stages of the program fail: they panic, or hang. And systemd, as far as it is heard.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::kit::camera::Camera;
use crate::kit::daemon::{PATIENCE, Plan, RECORD, Start};
use crate::kit::row::Row;
use crate::kit::{kept, sleep, until};

/// A stage panics once; the stream must come back by itself, beside another that does not notice.
fn panics(name: &'static str, stage: &str) {
    let Some(mut row) = Row::begin(name, "a stage panics after 100 rounds: the stream comes back")
    else {
        return;
    };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let start = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]);
    let mut daemon = start.with("LOCUTOR_CHAOS", &format!("{stage}=panic@100")).spawn();
    daemon.until("cam", "live");
    let lost = || {
        let count = |stage| daemon.metric(&["locutor_reconnects_total", stage, "cam"]);
        count("reason=\"stage\"").or(count("stage=\"stream\"")).unwrap_or(0.0)
    };
    until("the stage panics", PATIENCE, || lost() >= 1.0);
    let since = Instant::now();
    assert!(daemon.runs(), "the process is gone: {}", daemon.log());
    daemon.until("cam", "live");
    daemon.until_frame("cam");
    row.recovered(since.elapsed());
    let log = daemon.log();
    assert!(log.contains("an injected fault"), "the panic is not in the log: {log}");
    sleep(3.0);
    assert_eq!(daemon.state("cam"), "live", "it stays");
    row.ran();
    daemon.stop();
    kept::all_play(&dir.join("kept"));
}

#[test]
fn track_panics() {
    panics("track_panics", "track");
}

#[test]
#[ignore = "as long as track_panics, of the same kind"]
fn score_panics() {
    panics("score_panics", "score");
}

#[test]
fn present_panics() {
    panics("present_panics", "present");
}

/// What systemd is told.
struct Systemd {
    socket: UnixDatagram,
    heard: String,
}

impl Systemd {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_nonblocking(true).expect("set");
        Self { socket, heard: String::new() }
    }

    /// Messages since the last call.
    fn listen(&mut self) -> String {
        let mut new = String::new();
        let mut bytes = [0; 4096];
        while let Ok(n) = self.socket.recv(&mut bytes) {
            new.push_str(&String::from_utf8_lossy(&bytes[..n]));
            new.push('\n');
        }
        self.heard.push_str(&new);
        new
    }
}

/// A stage hangs for good: READY comes, then pings, then no more, and `/livez` says why.
fn hangs(name: &'static str, stage: &str) {
    let what = "a stage hangs for good: systemd's watchdog is not fed any more, /livez says why";
    let Some(mut row) = Row::begin(name, what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let notify = dir.join("notify");
    let mut systemd = Systemd::at(&notify);
    let start = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]);
    let start = start.with("NOTIFY_SOCKET", &notify.to_string_lossy());
    let start = start.with("WATCHDOG_USEC", "4000000");
    let daemon = start.with("LOCUTOR_CHAOS", &format!("{stage}=hang@300")).spawn();
    until("READY is told", PATIENCE, || {
        systemd.listen();
        systemd.heard.contains("READY=1")
    });
    until("it pings", PATIENCE, || {
        systemd.listen();
        systemd.heard.contains("WATCHDOG=1")
    });
    let since = Instant::now();
    let mut last_ping = Instant::now();
    // Twice what systemd would wait.
    until("no more pings", Duration::from_secs(90), || {
        if systemd.listen().contains("WATCHDOG=1") {
            last_ping = Instant::now();
        }
        last_ping.elapsed() > Duration::from_secs(8)
    });
    row.note(format!("last ping {:.0} s after the first", since.elapsed().as_secs_f64() - 8.0));
    let (code, said) = daemon.get("/livez").expect("the health page answers still");
    assert_eq!(code, 503, "{said}");
    assert!(said.contains(stage), "the stage is not named: {said}");
    row.ran();
}

#[test]
fn track_hangs() {
    hangs("track_hangs", "track");
}

#[test]
#[ignore = "as long as track_hangs, of the same kind"]
fn score_hangs() {
    hangs("score_hangs", "score");
}

#[test]
#[ignore = "as long as track_hangs, of the same kind"]
fn present_hangs() {
    hangs("present_hangs", "present");
}

#[test]
fn watchdog_while_away() {
    let what = "the camera is away for long: the watchdog is fed all the time";
    let Some(mut row) = Row::begin("watchdog_while_away", what) else { return };
    let mut camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let notify = dir.join("notify");
    let mut systemd = Systemd::at(&notify);
    let start = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]);
    let start = start.with("NOTIFY_SOCKET", &notify.to_string_lossy());
    let mut daemon = start.with("WATCHDOG_USEC", "4000000").spawn();
    daemon.until("cam", "live");
    camera.process.kill();
    daemon.until("cam", "lost");
    let mut longest = Duration::ZERO;
    let (since, mut last) = (Instant::now(), Instant::now());
    while since.elapsed() < Duration::from_secs(u64::from(crate::kit::times(60, 12))) {
        if systemd.listen().contains("WATCHDOG=1") {
            last = Instant::now();
        }
        longest = longest.max(last.elapsed());
        sleep(0.05);
    }
    row.note(format!("longest time between two pings: {:.1} s of 4", longest.as_secs_f64()));
    assert!(longest < Duration::from_secs(4), "systemd would have ended it");
    row.ran();
    daemon.stop();
    systemd.listen();
    assert!(systemd.heard.contains("STOPPING=1"), "the end is not told: {}", systemd.heard);
}
