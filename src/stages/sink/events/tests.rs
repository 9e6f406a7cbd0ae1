//! Sinks with a hub: files that cannot be written, a failing web server, full queues.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::hub::EventHub;
use super::*;
use crate::core::evidence::{FrameEvidence, TrackId};
use crate::core::time::{Epoch, FrameRef, Pts};
use crate::stages::sink::records::FrameSize;
use crate::stages::sink::records::event::Event;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::{SourceState, Status};

const FRAME: FrameSize = FrameSize { width: 640, height: 360 };

fn context() -> EventContext {
    let (hub, status) = (EventHub::new("hall"), Status::new("hall"));
    EventContext { hub, status, metrics: Metrics::new() }
}

fn frame(n: u64, floor: Option<u32>) -> FrameEvidence {
    let frame = FrameRef { epoch: Epoch(0), seq: n, pts: Pts::from_ns(n as i64 * 40_000_000) };
    FrameEvidence { frame, faces: Vec::new(), floor: floor.map(TrackId) }
}

fn degraded(n: u64) -> Event {
    Event::Degraded { epoch: 0, pts_ns: None, what: n.to_string() }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn values(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn frames_turns_and_status_changes_are_written_in_order() {
    let dir = tempfile::tempdir().expect("temp");
    let (context, path) = (context(), dir.path().join("e.jsonl"));
    let sink =
        SinkSettings::Events { path: path.clone(), rotate_bytes: 1 << 20, keep: 1, frames: true };
    let handle = open(&sink, &context).expect("open");
    let utc: Timestamp = "2026-11-24T16:35:29.1209Z".parse().expect("a time");
    context.hub.frame(&frame(0, None), utc, FRAME);
    context.hub.frame(&frame(1, Some(2)), utc, FRAME);
    let now = Instant::now();
    let why = "nothing came".to_owned();
    context.status.set_source(SourceState::Lost { since: now, why, next_try: now });
    context.hub.status(&context.status);
    context.hub.status(&context.status);
    context.status.set_sink_error("record", Some("full".to_owned()));
    context.status.set_source(SourceState::Live { since: now + Duration::from_millis(1500) });
    context.hub.status(&context.status);
    context.status.set_sink_error("record", None);
    context.hub.status(&context.status);
    context.hub.close();
    handle.join();
    let lines = values(&path);
    let kinds: Vec<_> =
        lines.iter().map(|l| l["event"].as_str().unwrap_or("frame").to_owned()).collect();
    let want = [
        "frame",
        "turn",
        "frame",
        "source-lost",
        "source-restored",
        "sink-failed",
        "sink-recovered",
    ];
    assert_eq!(kinds, want);
    assert_eq!(lines[0]["utc"], "2026-11-24T16:35:29.120Z");
    assert_eq!(lines[4]["lost_seconds"], 1.5);
}

#[test]
fn a_file_that_could_not_be_written_resumes_and_reports_dropped_lines() {
    let dir = tempfile::tempdir().expect("temp");
    let folder = dir.path().join("events");
    fs::write(&folder, "a file where the folder should be").expect("write");
    let (context, path) = (context(), folder.join("e.jsonl"));
    let sink =
        SinkSettings::Events { path: path.clone(), rotate_bytes: 1 << 30, keep: 1, frames: false };
    let handle = open(&sink, &context).expect("open");
    let mut sent = 0;
    while !context.status.sink_errors().contains_key("events") || sent < 20_000 {
        context.hub.event(&degraded(sent));
        sent += 1;
        if sent % 1000 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    fs::remove_file(&folder).expect("remove");
    until("it works again", || context.status.sink_errors().is_empty());
    context.hub.close();
    handle.join();
    let lines = values(&path);
    let dropped: u64 = lines.iter().filter_map(|l| l["lines"].as_u64()).sum();
    let written: Vec<u64> = lines.iter().filter_map(|l| l["what"].as_str()?.parse().ok()).collect();
    assert!(dropped > 0 && lines[0]["event"] == "dropped", "{}", lines[0]);
    assert_eq!(written.len() as u64 + dropped, sent);
    assert!(written.is_sorted() && written.last() == Some(&(sent - 1)));
}

#[test]
fn a_sink_that_is_behind_drops_old_frames_and_no_event() {
    let context = context();
    let drops = event_queue::DropCounter::new("slow", &context);
    let (mut sender, mut receiver) = event_queue::channel(true, drops);
    context.hub.add(move |line| sender.offer(line));
    let utc = Timestamp::now();
    for n in 0..2000 {
        context.hub.frame(&frame(n, None), utc, FRAME);
        context.hub.event(&degraded(n));
    }
    context.hub.close();
    let mut got = Vec::new();
    while let Ok(line) = receiver.recv_timeout(Duration::ZERO) {
        let value: serde_json::Value = serde_json::from_str(&line.json).expect("JSON");
        let number = value["what"].as_str().and_then(|w| w.parse().ok());
        let number = number.or(value["seq"].as_u64());
        got.extend(number.map(|number| (number, line.kind == LineKind::Event)));
    }
    let events = got.iter().filter(|(_, event)| *event).count();
    let frames: Vec<u64> = got.iter().filter(|(_, event)| !event).map(|(n, _)| *n).collect();
    assert_eq!((events, frames.len(), frames.last()), (2000, 300, Some(&1999)));
    assert!(got.is_sorted(), "lines are not in the order in which they were sent");
    let why = crate::telemetry::metrics::reason_labels("hall", "slow", "behind");
    assert_eq!(context.metrics.drops.get_or_create(&why).get(), 1700);
}

/// Answers one request with `status`; returns the request's head and body.
fn serve(listener: &TcpListener, status: &str) -> (String, String) {
    let (mut stream, _) = listener.accept().expect("a request");
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                l.to_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).expect("answer");
                return (head.to_owned(), body.to_owned());
            }
        }
        let got = stream.read(&mut buffer).expect("read");
        assert!(got > 0, "the request ended early: {text}");
        all.extend(&buffer[..got]);
    }
}

#[test]
fn a_webhook_gets_every_event_and_its_secrets_are_not_shown() {
    let dir = tempfile::tempdir().expect("temp");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let context = context();
    let login =
        crate::core::credentials::Login { user: "me".to_owned(), password: "pw".to_owned().into() };
    let sink = SinkSettings::Webhook {
        uri: format!("http://127.0.0.1:{port}/secret-token?key=1").parse().expect("an address"),
        login: Some(login),
        tls_ca_file: None,
        spool: dir.path().join("spool"),
        spool_bytes: 1 << 20,
    };
    let handle = open(&sink, &context).expect("open");
    (0..3).for_each(|n| context.hub.event(&degraded(n)));
    let (head, body) = serve(&listener, "503 Busy");
    assert!(head.starts_with("POST /secret-token?key=1 ") && head.contains("Basic bWU6cHc="));
    assert!(body.contains("\"what\":\"0\""), "{body}");
    until("the sink fails", || !context.status.sink_errors().is_empty());
    let errors = format!("{:?}", context.status.sink_errors());
    assert!(errors.contains("503") && !errors.contains("secret"), "{errors}");
    for (n, status) in [(0, "200 OK"), (1, "400 No"), (2, "204 OK")] {
        let (_, body) = serve(&listener, status);
        assert!(body.contains(&format!("\"what\":\"{n}\"")), "{body}");
    }
    until("the sink recovers", || context.status.sink_errors().is_empty());
    context.hub.close();
    handle.join();
    let why = crate::telemetry::metrics::reason_labels("hall", "webhook", "refused");
    assert_eq!(context.metrics.drops.get_or_create(&why).get(), 1);
}
