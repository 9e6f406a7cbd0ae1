//! The stall detector alone, and the pings that a service manager receives.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use super::*;

#[test]
fn stages_without_progress_are_named() {
    let (door, mut detector) = (Status::new("door"), StallDetector::default());
    let start = Instant::now();
    let at = |s: u64| start + Duration::from_secs(s);
    door.set_source(SourceState::Live { since: start });
    let (encoder, scorer) = (door.heartbeat("encoder"), door.heartbeat("scorer"));
    let streams = [door.clone()];
    assert!(detector.check(&streams, at(0)).is_empty(), "nothing to compare with");
    encoder.heartbeat();
    scorer.heartbeat();
    assert!(detector.check(&streams, at(5)).is_empty());
    encoder.heartbeat();
    assert_eq!(detector.check(&streams, at(10)), ["door: scorer"]);
    // A new stage and an ended stage are no fault.
    drop(scorer);
    let _recorder = door.heartbeat("recorder");
    encoder.heartbeat();
    assert!(detector.check(&streams, at(15)).is_empty());
}

#[test]
fn a_lost_source_is_no_fault_while_it_is_tried_again() {
    let (door, mut detector) = (Status::new("door"), StallDetector::default());
    let start = Instant::now();
    let at = |s: u64| start + Duration::from_secs(s);
    let _encoder = door.heartbeat("encoder");
    let streams = [door.clone()];
    detector.check(&streams, at(0));
    door.set_source(SourceState::Lost { since: start, why: "gone".into(), next_try: at(30) });
    assert!(detector.check(&streams, at(80)).is_empty());
    assert_eq!(detector.check(&streams, at(91)), ["door: the source is not tried again"]);
    door.set_source(SourceState::Connecting { since: at(91) });
    assert!(detector.check(&streams, at(100)).is_empty());
    assert_eq!(detector.check(&streams, at(160)), ["door: the source connects for too long"]);
    // It was restored since the last check: its stages get time to start.
    door.set_source(SourceState::Live { since: at(161) });
    assert!(detector.check(&streams, at(165)).is_empty());
    assert_eq!(detector.check(&streams, at(170)), ["door: encoder"]);
}

#[test]
fn a_disk_that_does_not_answer_is_an_error_of_the_sink_only() {
    let (door, mut detector) = (Status::new("door"), StallDetector::default());
    let start = Instant::now();
    let at = |s: u64| start + Duration::from_secs(s);
    door.set_source(SourceState::Live { since: start });
    let recorder = door.external_heartbeat("record");
    let streams = [door.clone()];
    detector.check(&streams, at(0));
    assert!(door.sink_errors().is_empty());
    assert!(detector.check(&streams, at(5)).is_empty(), "the watchdog is pinged");
    assert!(door.sink_errors()["record"].contains("does not answer"));
    recorder.heartbeat();
    detector.check(&streams, at(10));
    assert!(door.sink_errors().is_empty());
}

/// The child process of [`pings_stop_while_a_stage_is_stuck`], with a service manager's environment.
#[test]
#[ignore = "run by another test, as its child"]
fn child() {
    let (streams, door) = (StreamList::default(), Status::new("door"));
    door.set_source(SourceState::Live { since: Instant::now() });
    let encoder = door.heartbeat("encoder");
    streams.insert(door.clone());
    let _watchdog = Watchdog::start(streams).expect("a thread");
    ready();
    for _ in 0..50 {
        encoder.heartbeat();
        std::thread::sleep(Duration::from_millis(20));
    }
    reloading();
    ready();
    std::thread::sleep(Duration::from_millis(1_500));
    let (since, why) = (Instant::now(), "unplugged".to_owned());
    door.set_source(SourceState::Lost { since, why, next_try: since });
    std::thread::sleep(Duration::from_millis(1_500));
    stopping();
}

#[test]
fn pings_stop_while_a_stage_is_stuck() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "live::watchdog::tests::child", "--ignored"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .env_remove("WATCHDOG_PID")
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let mut messages = Vec::new();
    while !messages.iter().any(|(line, _): &(String, Instant)| line == "STOPPING=1") {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("a message");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        messages.extend(text.lines().map(|line| (line.to_owned(), Instant::now())));
    }
    assert!(child.wait().expect("ended").success());
    let place = |wanted: &str| messages.iter().position(|(line, _)| line == wanted);
    let stuck = place("STATUS=1 of 1 streams live; stuck: door: encoder").expect("sent");
    let lost = place("STATUS=0 of 1 streams live").expect("sent");
    let pings =
        |range: &[(String, Instant)]| range.iter().filter(|(line, _)| line == "WATCHDOG=1").count();
    assert!(pings(&messages[..stuck]) >= 2, "{messages:?}");
    assert_eq!(pings(&messages[stuck..lost]), 0, "{messages:?}");
    assert!(pings(&messages[lost..]) >= 2, "{messages:?}");
    let (ready, reloading) = (place("READY=1").expect("sent"), place("RELOADING=1").expect("sent"));
    assert!(ready < reloading && messages[reloading..].iter().any(|(line, _)| line == "READY=1"));
}
