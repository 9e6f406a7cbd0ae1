//! The watchdog: its judgement by itself, and its pings as a service manager gets them.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use super::*;

#[test]
fn who_moves_is_well_and_who_does_not_is_named() {
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
    // A new stage, and one that has ended, are no fault.
    drop(scorer);
    let _recorder = door.heartbeat("recorder");
    encoder.heartbeat();
    assert!(detector.check(&streams, at(15)).is_empty());
}

#[test]
fn a_source_that_is_away_is_no_fault_as_long_as_it_is_tried_again() {
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
    // It has come back since the last look: its stages get time to begin.
    door.set_source(SourceState::Live { since: at(161) });
    assert!(detector.check(&streams, at(165)).is_empty());
    assert_eq!(detector.check(&streams, at(170)), ["door: encoder"]);
}

#[test]
fn a_disk_that_does_not_answer_is_the_sinks_trouble_and_no_fault_of_the_process() {
    let (door, mut detector) = (Status::new("door"), StallDetector::default());
    let start = Instant::now();
    let at = |s: u64| start + Duration::from_secs(s);
    door.set_source(SourceState::Live { since: start });
    let recorder = door.external_heartbeat("record");
    let streams = [door.clone()];
    detector.check(&streams, at(0));
    assert!(door.sink_errors().is_empty());
    assert!(detector.check(&streams, at(5)).is_empty(), "the watchdog is fed");
    assert!(door.sink_errors()["record"].contains("does not answer"));
    recorder.heartbeat();
    detector.check(&streams, at(10));
    assert!(door.sink_errors().is_empty());
}

/// What [`pings_end_when_a_stage_does`] runs in a process with a service manager's environment.
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
fn pings_end_when_a_stage_does() {
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
    let mut said = Vec::new();
    while !said.iter().any(|(line, _): &(String, Instant)| line == "STOPPING=1") {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("it goes on to its end");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        said.extend(text.lines().map(|line| (line.to_owned(), Instant::now())));
    }
    assert!(child.wait().expect("ended").success());
    let place = |wanted: &str| said.iter().position(|(line, _)| line == wanted);
    let stuck = place("STATUS=1 of 1 streams live; stuck: door: encoder").expect("told");
    let away = place("STATUS=0 of 1 streams live").expect("told");
    let pings =
        |range: &[(String, Instant)]| range.iter().filter(|(line, _)| line == "WATCHDOG=1").count();
    assert!(pings(&said[..stuck]) >= 2, "{said:?}");
    assert_eq!(pings(&said[stuck..away]), 0, "{said:?}");
    assert!(pings(&said[away..]) >= 2, "{said:?}");
    let (ready, reloading) = (place("READY=1").expect("told"), place("RELOADING=1").expect("told"));
    assert!(ready < reloading && said[reloading..].iter().any(|(line, _)| line == "READY=1"));
}
