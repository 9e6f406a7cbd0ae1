//! Those who read the stream, and the broker that hears its events.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::camera::Camera;
use crate::kit::daemon::{PATIENCE, Plan, SERVE, Start};
use crate::kit::gst::Reader;
use crate::kit::row::Row;
use crate::kit::{Own, free_port, sleep, times, until};

#[test]
#[ignore = "fifty readers keep two cores busy"]
fn readers_come_and_go() {
    let what = "fifty readers come and leave, one asks and never reads: one that stays has its \
                frames all the time";
    let Some(mut row) = Row::begin("readers_come_and_go", what) else { return };
    let camera = Camera::start(&[]);
    let mut daemon = Start::new(row.dir.path(), &[Plan::new("cam", &camera.uri(), SERVE)]).spawn();
    daemon.until("cam", "live");
    daemon.until_frame("cam");
    sleep(2.0);
    let uri = format!("rtsp://127.0.0.1:{}/cam", daemon.rtsp);
    let stays = Reader::of(&uri);
    until("it is read", PATIENCE, || stays.packets() > 50);
    let _deaf = ask(daemon.rtsp, 2, true);
    stays.longest_gap();
    let mut served = 0;
    for _ in 0..times(50, 10) {
        row.ran();
        let comes = Reader::of(&uri);
        let since = Instant::now();
        while comes.packets() == 0 && since.elapsed() < Duration::from_secs(5) {
            sleep(0.02);
        }
        served += u32::from(comes.packets() > 0);
    }
    let gap = stays.longest_gap();
    row.note(format!("{served} were served; longest gap of the one that stays {gap:.2?}"));
    assert_eq!(stays.error(), None);
    assert!(gap < Duration::from_secs(2), "{gap:?}");
    assert_eq!(served, times(50, 10), "some got no frame within five seconds");
    drop(stays);
    daemon.stop();
}

#[test]
#[ignore = "of the RTSP server alone"]
fn reader_of_frames_only() {
    let what = "a reader sets up the frames only, plays and reads: one that was there has its \
                frames all the time";
    odd_reader("reader_of_pictures_only", what, &|port, _| {
        let mut reads = ask(port, 1, true);
        let got = bytes_within(&mut reads, 6);
        assert!(got > 100_000, "it got {got} bytes in six seconds");
    });
}

#[test]
#[ignore = "of the RTSP server alone"]
fn reader_without_describe() {
    let what = "a reader sets up the tracks without asking what there is: one that was there has its \
                frames all the time";
    odd_reader("reader_without_describe", what, &|port, _| {
        bytes_within(&mut ask(port, 2, false), 6);
    });
}

#[test]
#[ignore = "of the RTSP server alone"]
fn reader_with_a_query() {
    let what = "a reader asks for the same mount with ?name=value behind it: one that was there has \
                its frames all the time";
    odd_reader("reader_with_a_query", what, &|_, uri| {
        let other = Reader::of(&format!("{uri}?name=value"));
        sleep(6.0);
        drop(other);
    });
}

fn bytes_within(stream: &mut TcpStream, seconds: u64) -> usize {
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    let (since, mut got) = (Instant::now(), 0);
    let mut bytes = [0; 16 << 10];
    while since.elapsed() < Duration::from_secs(seconds) {
        got += std::io::Read::read(stream, &mut bytes).unwrap_or(0);
    }
    got
}

/// Another reader comes beside one that stays, which must not notice.
fn odd_reader(name: &'static str, what: &'static str, comes: &dyn Fn(u16, &str)) {
    let Some(mut row) = Row::begin(name, what) else { return };
    let camera = Camera::start(&[]);
    let mut daemon = Start::new(row.dir.path(), &[Plan::new("cam", &camera.uri(), SERVE)]).spawn();
    daemon.until("cam", "live");
    daemon.until_frame("cam");
    sleep(2.0);
    let uri = format!("rtsp://127.0.0.1:{}/cam", daemon.rtsp);
    let stays = Reader::of(&uri);
    until("it is read", PATIENCE, || stays.packets() > 50);
    stays.longest_gap();
    comes(daemon.rtsp, &uri);
    let gap = stays.longest_gap();
    row.note(format!("longest gap of the one that stays {gap:.2?}"));
    row.ran();
    assert!(gap < Duration::from_secs(2), "{gap:?}");
    drop(stays);
    daemon.stop();
}

/// Asks for the first `tracks` of the stream inside its connection, after DESCRIBE where `asks_first`
/// is true; reads the answers to that, and nothing more.
fn ask(port: u16, tracks: u32, asks_first: bool) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let uri = format!("rtsp://127.0.0.1:{port}/cam");
    let mut session = String::new();
    let mut answer = [0; 4096];
    if asks_first {
        let describe = format!("DESCRIBE {uri} RTSP/1.0\r\nCSeq: 8\r\n\r\n");
        stream.write_all(describe.as_bytes()).expect("asked");
        let n = std::io::Read::read(&mut stream, &mut answer).expect("an answer");
        assert!(answer[..n].starts_with(b"RTSP/1.0 200"));
    }
    for track in 0..tracks {
        let channels = format!("{}-{}", track * 2, track * 2 + 1);
        let setup = format!(
            "SETUP {uri}/stream={track} RTSP/1.0\r\nCSeq: {}\r\n{session}\
             Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n\r\n",
            track + 1
        );
        stream.write_all(setup.as_bytes()).expect("asked");
        let n = std::io::Read::read(&mut stream, &mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
        let id = answer.lines().find_map(|l| l.strip_prefix("Session: "));
        let id = id.and_then(|s| s.split(';').next()).unwrap_or_default();
        session = format!("Session: {id}\r\n");
    }
    let play = format!("PLAY {uri}/ RTSP/1.0\r\nCSeq: 9\r\n{session}\r\n");
    stream.write_all(play.as_bytes()).expect("asked");
    stream
}

fn broker(dir: &Path, port: u16) -> Option<Own> {
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
    let config = dir.join("mosquitto.conf");
    std::fs::write(&config, text).expect("a file");
    let places = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"];
    let program = places.iter().find(|p| Path::new(p).exists());
    let Some(program) = program else {
        crate::needs::skip("mosquitto");
        return None;
    };
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    let own = Own(command.spawn().expect("mosquitto starts"));
    let there = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    until("the broker listens", PATIENCE, there);
    Some(own)
}

#[test]
fn broker_down() {
    let what = "the MQTT broker is away for a while: told as a trouble, events wait on disk and all \
                are sent when it is back; frames do not notice";
    let Some(mut row) = Row::begin("broker_down", what) else { return };
    let mut camera = Camera::start(&[]);
    let (dir, port) = (row.dir.path().to_owned(), free_port());
    let Some(mut first) = broker(&dir, port) else { return row.skipped() };
    let sink = format!(
        "[[sink]]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1:{port}\"\nspool = \"spool\"\n"
    );
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), &sink)]).spawn();
    daemon.until("cam", "live");
    first.kill();
    let troubled = || daemon.ready("cam").is_some_and(|s| !s["sink_errors"]["mqtt"].is_null());
    until("the trouble is told", PATIENCE, troubled);
    // Events happen meanwhile.
    let camera_port = camera.port;
    camera.process.kill();
    daemon.until("cam", "lost");
    let _camera = Camera::on(camera_port, &[]);
    daemon.until("cam", "live");
    let spooled = || daemon.metric(&["locutor_spool_bytes", "cam"]).unwrap_or(0.0);
    until("events wait", PATIENCE, || spooled() > 0.0);
    row.note(format!("{} bytes waited", spooled()));
    let _second = broker(&dir, port);
    let since = Instant::now();
    until("the trouble is over", PATIENCE, || !troubled());
    until("nothing waits", PATIENCE, || spooled() == 0.0);
    row.recovered(since.elapsed());
    row.ran();
    daemon.stop();
}

#[test]
#[ignore = "the clock of one process is moved by libfaketime"]
fn clock_step() {
    let what = "the machine's clock steps by an hour ahead, then two back: frames go on";
    let Some(mut row) = Row::begin("clock_step", what) else { return };
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    if !Path::new(library).exists() {
        crate::needs::skip("libfaketime");
        return row.skipped();
    }
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let clock = dir.join("faketime");
    std::fs::write(&clock, "+0s").expect("a file");
    let start = Start::new(&dir, &[Plan::new("cam", &camera.uri(), crate::kit::daemon::RECORD)]);
    let start = start.with("LD_PRELOAD", library).with("FAKETIME_NO_CACHE", "1");
    let start = start.with("DONT_FAKE_MONOTONIC", "1").with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut daemon = start.with("FAKETIME_TIMESTAMP_FILE", &clock.to_string_lossy()).spawn();
    daemon.until("cam", "live");
    sleep(3.0);
    for step in ["+3600s", "-3600s"] {
        row.ran();
        std::fs::write(&clock, step).expect("a file");
        let still = daemon.longest_still("cam", 10);
        row.note(format!("{step}: {:.2} s without a frame", still.as_secs_f64()));
        row.recovered(still);
        daemon.until("cam", "live");
        daemon.until_frame("cam");
    }
    daemon.stop();
    let kept = dir.join("kept");
    // The daemon has seen the clock step: it named what it kept by three different hours.
    let films = crate::kit::kept::recordings(&kept);
    let hours = films.iter().filter_map(|f| Some(f.file_name()?.to_str()?.get(..2)?.to_owned()));
    let hours: std::collections::BTreeSet<_> = hours.collect();
    assert!(hours.len() >= 3, "{films:?}");
    crate::kit::kept::all_play(&kept);
}
