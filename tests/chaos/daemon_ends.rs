//! The daemon is killed or told to end at any moment: what was recorded is there, and it starts again.

use std::time::{Duration, Instant};

use crate::kit::camera::Camera;
use crate::kit::daemon::{PATIENCE, Plan, RECORD, SERVE, Start};
use crate::kit::row::Row;
use crate::kit::{files, free_port, kept, sleep, times, until};
use locutor::core::rng::SeededRng;

#[test]
fn daemon_killed() {
    let what = "kill -9 of the daemon at random moments: the recording plays, what is lost of it, \
                and after the next start no .part is left of it";
    let Some(mut row) = Row::begin("daemon_killed", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let start = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]);
    let mut chance = SeededRng::new(u64::from(std::process::id()));
    for _ in 0..times(20, 2) {
        row.ran();
        let before = kept::recordings(&dir.join("kept"));
        let begun = Instant::now();
        let mut daemon = start.spawn();
        daemon.until("cam", "live");
        daemon.until_frame("cam");
        row.recovered(begun.elapsed());
        let renamed = kept::recordings(&dir.join("kept"));
        let parts = renamed.iter().filter(|p| p.extension().is_some_and(|e| e == "part"));
        assert!(parts.count() <= 1, "one is being written, no more: {renamed:?}");
        sleep(3.0 + 4.0 * f64::from(chance.next_f32()));
        let shown = daemon.frames("cam");
        daemon.process.kill();
        let new = kept::recordings(&dir.join("kept"));
        let new: Vec<_> = new.iter().filter(|p| !before.contains(p)).collect();
        // What the run before left behind was given its name by this one.
        let unnamed = |p: &std::path::Path| {
            let mut name = p.as_os_str().to_owned();
            name.push(".part");
            std::path::PathBuf::from(name)
        };
        let new: Vec<_> = new.into_iter().filter(|p| !before.contains(&unnamed(p))).collect();
        let is_part = |p: &&&std::path::PathBuf| p.extension().is_some_and(|e| e == "part");
        let parts = new.iter().filter(is_part).count();
        assert_eq!(parts, 1, "one recording of this run is open: {new:?}");
        // A full minute may have begun meanwhile, and with it another segment.
        let mut there = 0;
        for film in &new {
            let said = kept::complaints(film);
            assert!(said.is_empty(), "{}: {said}", film.display());
            there += kept::without_slates(&kept::frames(film));
        }
        let lost = shown.saturating_sub(there as u64) as f64 / 25.0;
        row.lost(lost);
        // A fragment is half a second; what was encoded and not muxed yet comes on top.
        assert!(lost <= 1.0, "{shown} frames shown, {there} kept");
    }
    let mut daemon = start.spawn();
    daemon.until("cam", "live");
    daemon.stop();
    let left = files(&dir.join("kept"));
    assert!(left.iter().all(|(path, _)| path.extension().is_some_and(|e| e == "mp4")), "{left:?}");
    kept::all_play(&dir.join("kept"));
}

#[test]
fn port_taken() {
    let what = "a port is taken when the daemon starts: it says which, and ends with an exit code";
    let Some(mut row) = Row::begin("port_taken", what) else { return };
    for (what, of_health) in [("health", true), ("RTSP", false)] {
        row.ran();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let dir = row.dir.path().join(what);
        std::fs::create_dir(&dir).expect("a folder");
        let mut start = Start::new(&dir, &[]);
        *(if of_health { &mut start.health } else { &mut start.rtsp }) = port;
        let start = start.of(&[Plan::new("cam", &crate::kit::camera::uri(free_port()), SERVE)]);
        let mut daemon = start.spawn();
        let code = daemon.ended(Duration::from_secs(30));
        let log = daemon.log();
        assert!(log.contains(&port.to_string()), "the port is not named: {log}");
        assert!(matches!(code, Some(69 | 73)), "exit code {code:?}: {log}");
        row.note(format!("{what}: exit code {}", code.unwrap_or(-1)));
    }
}

#[test]
fn analyse_only() {
    let what = "a stream without a video sink writes nothing but its events, and encodes nothing";
    let Some(mut row) = Row::begin("analyse_only", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), "")]).spawn();
    daemon.until("cam", "live");
    until("a turn is told", PATIENCE, || !daemon.events("cam").is_empty());
    sleep(f64::from(times(20, 6)));
    let mine = |path: &std::path::Path| {
        let name = path.strip_prefix(&dir).unwrap_or(path).to_string_lossy().into_owned();
        // GStreamer keeps its registry under HOME.
        !["cam.toml", "cam.jsonl", "log"].contains(&name.as_str()) && !name.starts_with(".cache")
    };
    let others: Vec<_> = files(&dir).into_iter().filter(|(path, _)| mine(path)).collect();
    assert!(others.is_empty(), "written beside events: {others:?}");
    let fds = format!("/proc/{}/fd", daemon.process.0.id());
    let open = std::fs::read_dir(fds).expect("its descriptors").flatten();
    let open = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let open: Vec<_> = open.filter(|to| to.starts_with(&dir) && mine(to)).collect();
    assert!(open.is_empty(), "open beside events: {open:?}");
    let encoded = daemon.metric(&["locutor_frames_total", "stage=\"encode\""]);
    assert!(encoded.is_none_or(|n| n == 0.0), "{encoded:?} frames were encoded");
    row.ran();
    daemon.stop();
}
