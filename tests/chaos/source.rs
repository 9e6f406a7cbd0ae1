//! The camera goes away and comes back, in each of the ways that cameras do.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::camera::{Camera, uri};
use crate::kit::daemon::{PATIENCE, Plan, RECORD, Start};
use crate::kit::proxy::Proxy;
use crate::kit::row::Row;
use crate::kit::{free_port, kept, sleep, times, until};

#[test]
fn camera_killed() {
    let Some(mut row) = Row::begin("camera_killed", "the camera is killed and started again")
    else {
        return;
    };
    let mut camera = Camera::start(&[]);
    let (port, dir) = (camera.port, row.dir.path().to_owned());
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    daemon.until_frame("cam");
    for _ in 0..times(20, 3) {
        row.ran();
        camera.process.kill();
        daemon.until("cam", "lost");
        sleep(1.0);
        camera = Camera::on(port, &[]);
        let back = Instant::now();
        daemon.until("cam", "live");
        daemon.until_frame("cam");
        row.recovered(back.elapsed());
    }
    // The states that events tell go by twos.
    let (away, backs) = (daemon.events_of("cam", "source-lost"), || {
        daemon.events_of("cam", "source-restored").len()
    });
    until("every return is told", PATIENCE, || backs() >= times(20, 3) as usize);
    assert!(away.len() >= times(20, 3) as usize, "{away:?}");
    row.note(format!("SIGTERM: ended in {:.1} s", daemon.stop().as_secs_f64()));
    kept::all_play(&dir.join("kept"));
}

#[test]
fn camera_stalls() {
    let what = "the camera stops sending and keeps its connections (SIGSTOP), then goes on; then \
                it is killed while stopped";
    let Some(mut row) = Row::begin("camera_stalls", what) else { return };
    let camera = Camera::start(&[]);
    let port = camera.port;
    let plan = Plan::new("cam", &camera.uri(), "");
    let mut daemon = Start::new(row.dir.path(), &[plan]).spawn();
    daemon.until("cam", "live");
    let mut camera = camera;
    for kill in [false, true] {
        row.ran();
        let since = Instant::now();
        camera.process.signal(Signal::STOP);
        daemon.until("cam", "lost");
        row.note(format!("away {:.1} s after the last frame", since.elapsed().as_secs_f64()));
        sleep(2.0);
        if kill {
            camera.process.kill();
            camera = Camera::on(port, &[]);
        } else {
            camera.process.signal(Signal::CONT);
        }
        let back = Instant::now();
        daemon.until("cam", "live");
        row.recovered(back.elapsed());
    }
    let reasons = daemon.metric(&["locutor_reconnects_total", "reason=\"stalled\""]);
    assert!(reasons.is_some_and(|n| n >= 2.0), "stalled: {reasons:?}");
    daemon.stop();
}

#[test]
fn camera_pauses_without_a_word() {
    let what = "RTSP answers, but no packet comes; then packets come again";
    let Some(mut row) = Row::begin("camera_pauses_without_a_word", what) else { return };
    let mut camera = Camera::start(&[]);
    let plan = Plan::new("cam", &camera.uri(), "");
    let mut daemon = Start::new(row.dir.path(), &[plan]).spawn();
    daemon.until("cam", "live");
    camera.say("pause");
    daemon.until("cam", "lost");
    sleep(2.0);
    camera.say("play");
    let back = Instant::now();
    daemon.until("cam", "live");
    row.recovered(back.elapsed());
    daemon.stop();
}

#[test]
fn wrong_password() {
    let what = "the camera does not take the password, then it does; no password is told anywhere";
    let Some(mut row) = Row::begin("wrong_password", what) else { return };
    let secret = "r1ght-and-secret";
    let mut camera = Camera::start(&["--user", "me", "--password", "another"]);
    let port = camera.port;
    let mut plan = Plan::new("cam", &camera.uri(), "");
    plan.source = "credentials = \"door\"\n".into();
    let start = Start::new(row.dir.path(), &[plan]);
    let start = start.with("LOCUTOR_CREDENTIAL_DOOR", &format!("me:{secret}"));
    let mut daemon = start.with("LOCUTOR_LOG", "debug").spawn();
    daemon.until("cam", "lost");
    let refused = || daemon.metric(&["locutor_reconnects_total", "reason=\"refused\""]);
    until("the refusal is counted as one", PATIENCE, || refused().is_some_and(|n| n >= 1.0));
    camera.process.kill();
    let camera = Camera::on(port, &["--user", "me", "--password", secret]);
    let back = Instant::now();
    daemon.until("cam", "live");
    row.recovered(back.elapsed());
    drop(camera);
    daemon.until("cam", "lost");
    let pages = ["/readyz", "/metrics"].map(|page| daemon.get(page).map(|p| p.1));
    let told = format!("{pages:?}{}{:?}", daemon.log(), daemon.events("cam"));
    assert!(!told.contains(secret), "the password was told");
    daemon.stop();
}

#[test]
fn connections_reset() {
    let what = "all TCP connections to the camera are reset at once";
    let Some(mut row) = Row::begin("connections_reset", what) else { return };
    let camera = Camera::start(&[]);
    let proxy = Proxy::to(camera.port);
    let plan = Plan::new("cam", &uri(proxy.port), "");
    let mut daemon = Start::new(row.dir.path(), &[plan]).spawn();
    daemon.until("cam", "live");
    for _ in 0..times(10, 2) {
        row.ran();
        sleep(2.0);
        proxy.reset();
        let since = Instant::now();
        until("it is noticed", PATIENCE, || daemon.state("cam") != "live");
        daemon.until("cam", "live");
        row.recovered(since.elapsed());
    }
    daemon.stop();
}

#[test]
fn never_there_then_there() {
    let what = "the camera is not there when the daemon starts, and comes half a minute later";
    let Some(mut row) = Row::begin("never_there_then_there", what) else { return };
    let port = free_port();
    let plan = Plan::new("cam", &uri(port), RECORD);
    let mut daemon = Start::new(row.dir.path(), &[plan]).spawn();
    daemon.until("cam", "lost");
    sleep(f64::from(times(30, 4)));
    assert!(daemon.runs(), "the daemon went away with its camera");
    let _camera = Camera::on(port, &[]);
    let back = Instant::now();
    daemon.until("cam", "live");
    daemon.until_frame("cam");
    row.recovered(back.elapsed());
    daemon.stop();
    kept::all_play(&row.dir.path().join("kept"));
}

#[test]
fn lost_packets() {
    let what = "1 %, then 10 % of RTP packets are lost (UDP), then 1 % and 10 % have a wrong byte \
                (TCP): frames go on, or come back when the loss ends";
    let Some(mut row) = Row::begin("lost_packets", what) else { return };
    for (transport, order) in [("udp", "loss"), ("tcp", "corrupt")] {
        let mut camera = Camera::start(&[]);
        let name = format!("cam-{transport}");
        let mut plan = Plan::new(&name, &camera.uri(), "");
        plan.rest = "[[sink]]\ntype = \"file\"\npath = \"out.mkv\"\n".into();
        plan.source = format!("transport = \"{transport}\"\n");
        let mut daemon = Start::new(row.dir.path(), &[plan]).spawn();
        daemon.until(&name, "live");
        for percent in [1, 10] {
            row.ran();
            camera.say(&format!("{order} {percent}"));
            sleep(1.0);
            let rate = daemon.rate(&name, f64::from(times(20, 6)));
            row.note(format!("{order} {percent} %: {rate:.1} of 25 frames a second shown"));
            camera.say(&format!("{order} 0"));
            let since = Instant::now();
            daemon.until(&name, "live");
            until("all frames come", PATIENCE, || daemon.rate(&name, 1.0) > 20.0);
            row.recovered(since.elapsed().saturating_sub(Duration::from_secs(1)));
        }
        assert!(daemon.runs());
        daemon.stop();
    }
}

#[test]
fn sigterm_while_away() {
    let what = "SIGTERM while the camera is away, and while it answers nothing at all";
    let Some(mut row) = Row::begin("sigterm_while_away", what) else { return };
    for silent in [false, true] {
        row.ran();
        // A listener that takes connections and never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let listener = silent.then_some(listener);
        let plan = Plan::new("cam", &uri(port), RECORD);
        let dir = row.dir.path().join(format!("{silent}"));
        std::fs::create_dir(&dir).expect("a folder");
        let mut daemon = Start::new(&dir, &[plan]).spawn();
        until("it runs", Duration::from_secs(30), || !daemon.state("cam").is_empty());
        sleep(1.5);
        let took = daemon.stop();
        row.note(format!("ended with 0 after {:.1} s", took.as_secs_f64()));
        drop(listener);
    }
}
