//! The health page, read over a plain TCP connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|c| c.parse().ok()).expect("a code");
    (code, head.to_lowercase(), body.to_owned())
}

fn page() -> (HealthServer, StreamList, Metrics) {
    let (streams, metrics) = (StreamList::default(), Metrics::new());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let health = HealthServer::start(any, streams.clone(), metrics.clone()).expect("a free port");
    (health, streams, metrics)
}

#[test]
fn ready_needs_all_streams_live() {
    let (health, streams, _) = page();
    let at = health.address();
    assert_eq!(get(at, "/readyz").0, 503, "there is no stream");
    let (door, room) = (Status::new("door"), Status::new("room"));
    streams.set(vec![door.clone(), room.clone()]);
    let now = Instant::now();
    door.set_source(SourceState::Live { since: now });
    assert_eq!(get(at, "/readyz").0, 503, "one is connecting");
    room.set_source(SourceState::Live { since: now });
    assert_eq!(get(at, "/v1/health/ready").0, 200);
    let (why, next_try) = ("no route".to_owned(), now + Duration::from_secs(90));
    room.set_source(SourceState::Lost { since: now, why, next_try });
    room.set_sink_error("record", Some("disk full".into()));
    let (code, _, body) = get(at, "/readyz");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((code, &json["ready"]), (503, &false.into()));
    assert_eq!(json["streams"][0]["state"], "live");
    let room = &json["streams"][1];
    assert_eq!((&room["state"], &room["reason"]), (&"lost".into(), &"no route".into()));
    assert_eq!(room["sink_errors"]["record"], "disk full");
    assert!(room["next_try_seconds"].as_u64().is_some_and(|s| s > 30 && s <= 90), "{room}");
    assert!(room["since"].as_str().is_some_and(|s| s.ends_with('Z')), "{room}");
}

#[test]
fn live_while_nothing_is_stuck() {
    let (health, streams, _) = page();
    assert_eq!(get(health.address(), "/livez").0, 200);
    streams.set_stuck(vec!["door: encoder".into()]);
    let (code, _, body) = get(health.address(), "/v1/health/live");
    assert_eq!((code, body.as_str()), (503, "stuck: door: encoder\n"));
    assert_eq!(get(health.address(), "/nothing").0, 404);
}

#[test]
fn metrics_are_in_open_metrics_format() {
    let (health, _, metrics) = page();
    metrics
        .frames
        .get_or_create(&crate::telemetry::metrics::stage_labels("door", "encoder"))
        .inc_by(7);
    metrics.set_provider("CPU");
    let (code, head, body) = get(health.address(), "/metrics");
    assert_eq!(code, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    for line in [
        "locutor_frames_total{stream=\"door\",stage=\"encoder\"} 7",
        concat!("locutor_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "locutor_inference_provider_info{provider=\"CPU\"} 1",
    ] {
        assert!(body.lines().any(|l| l == line), "{line} is not in:\n{body}");
    }
    assert!(body.ends_with("# EOF\n"));
}

#[test]
fn a_port_in_use_is_reported_and_a_stopped_page_frees_it() {
    let (health, streams, metrics) = page();
    let at = health.address();
    let taken = HealthServer::start(at, streams.clone(), metrics.clone()).expect_err("taken");
    assert!(taken.to_string().contains("another program listens there"), "{taken}");
    // A silent client does not delay the shutdown.
    let _silent = TcpStream::connect(at).expect("it listens");
    drop(health);
    drop(HealthServer::start(at, streams, metrics).expect("free again"));
}

#[test]
fn a_client_that_never_ends_is_disconnected() {
    let (health, _, _) = page();
    let mut stream = TcpStream::connect(health.address()).expect("it listens");
    stream.write_all(b"GET /livez HTTP/1.1\r\nX: ").expect("sent");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut rest = Vec::new();
    // Closed or reset by the other side, not timed out here.
    let end = stream.read_to_end(&mut rest);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
}
