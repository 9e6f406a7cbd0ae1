//! The MQTT sink against a real broker: nothing is lost or reordered while that is away, the last
//! will is seen, and who comes late finds what holds. Skipped where mosquitto is missing.

#![cfg(all(feature = "gst", feature = "onnx"))]

#[path = "support/needs.rs"]
mod needs;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use locutor::stages::sink::events::hub::EventHub;
use locutor::stages::sink::events::{EventContext, EventSinkHandle, open};
use locutor::stages::sink::records::event::Event;
use locutor::stages::sink::settings::MqttSettings;
use locutor::stages::sink::settings::SinkSettings;
use locutor::telemetry::metrics::Metrics;
use locutor::telemetry::status::Status;

/// A process that ends with the test.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Own {
    /// Lets it write down what it has.
    fn terminate(mut self) {
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(told.expect("kill").success());
        self.0.wait().expect("it ends");
    }
}

fn mosquitto() -> Option<PathBuf> {
    let places = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];
    let found = places.iter().map(PathBuf::from).find(|p| p.exists());
    let clients = Command::new("mosquitto_sub").arg("--help").output().is_ok();
    if found.is_none() || !clients {
        needs::skip("mosquitto and mosquitto_sub (packages mosquitto*)");
    }
    found.filter(|_| clients)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn broker(program: &Path, dir: &Path, port: u16) -> Own {
    let config = dir.join("mosquitto.conf");
    // What it holds for subscribers outlives it; `user` counts only where root runs this.
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
         persistence_location {}/\n",
        dir.display()
    );
    std::fs::write(&config, text).expect("config");
    let mut command = Command::new(program);
    command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Own(command.spawn().expect("mosquitto starts"));
    until("the broker listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    child
}

/// Collects `topic payload` lines in a file, so that a subscriber cannot block.
fn subscribe(port: u16, topic: &str, out: &Path) -> Own {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(out).expect("a file");
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-v", "-t", topic]);
    // A session of its own that the broker keeps, so that nothing passes it while it reconnects.
    command.args(["-c", "-i", &out.file_name().expect("a name").to_string_lossy()]);
    Own(command.stdout(file).stderr(Stdio::null()).spawn().expect("mosquitto_sub starts"))
}

fn lines(file: &Path) -> Vec<String> {
    let Ok(file) = std::fs::File::open(file) else { return Vec::new() };
    BufReader::new(file).lines().map_while(Result::ok).collect()
}

fn numbers(file: &Path) -> Vec<u32> {
    let payloads = lines(file);
    let payloads = payloads.iter().filter_map(|l| l.strip_prefix("t/hall/event "));
    let values = payloads.filter_map(|p| serde_json::from_str::<serde_json::Value>(p).ok());
    values.filter_map(|v| v["what"].as_str()?.parse().ok()).collect()
}

fn start(dir: &Path, port: u16) -> (EventHub, Status, EventSinkHandle) {
    start_with(dir, &format!("mqtt://127.0.0.1:{port}"), None)
}

fn start_with(
    dir: &Path,
    broker: &str,
    trust: Option<&Path>,
) -> (EventHub, Status, EventSinkHandle) {
    let hub = EventHub::new("hall");
    let status = Status::new("hall");
    let context =
        EventContext { hub: hub.clone(), status: status.clone(), metrics: Metrics::new() };
    let mqtt = MqttSettings {
        broker: broker.parse().expect("an address"),
        login: None,
        tls_ca_file: trust.map(Path::to_owned),
        topic: "t".to_owned(),
        discovery_prefix: Some("ha".to_owned()),
        frames: false,
        spool: dir.join("spool"),
        spool_bytes: 8 << 20,
    };
    let handle = open(&SinkSettings::Mqtt(mqtt), &context).expect("the sink starts");
    (hub, status, handle)
}

fn happen(hub: &EventHub, numbers: std::ops::Range<u32>) {
    for n in numbers {
        hub.event(&Event::Degraded { epoch: 0, pts_ns: None, what: n.to_string() });
    }
}

/// First occurrences only.
fn without_repeats(numbers: &[u32]) -> Vec<u32> {
    let mut seen = std::collections::BTreeSet::new();
    numbers.iter().copied().filter(|n| seen.insert(*n)).collect()
}

#[test]
fn nothing_is_lost_or_reordered_while_the_broker_is_away() {
    let Some(program) = mosquitto() else { return };
    let dir = tempfile::tempdir().expect("temp");
    let (port, out) = (free_port(), dir.path().join("out"));
    let first = broker(&program, dir.path(), port);
    let subscriber = subscribe(port, "t/hall/#", &out);
    let (hub, status, handle) = start(dir.path(), port);
    // The subscriber hears retained messages only once it is there.
    until("the subscriber is there", || lines(&out).contains(&"t/hall/available online".into()));
    happen(&hub, 0..400);
    until("the first ones arrive", || numbers(&out).len() >= 400);
    first.terminate();
    happen(&hub, 400..700);
    until("the trouble is told", || status.sink_errors().contains_key("mqtt"));
    let second = broker(&program, dir.path(), port);
    happen(&hub, 700..1000);
    until("the last one arrives", || numbers(&out).last() == Some(&999));
    until("the trouble is over", || !status.sink_errors().contains_key("mqtt"));
    assert_eq!(without_repeats(&numbers(&out)), (0..1000).collect::<Vec<_>>());
    // A late subscriber finds what holds, and what Home Assistant is to know.
    let late = dir.path().join("late");
    let late_subscriber = subscribe(port, "#", &late);
    until("retained messages", || lines(&late).len() >= 5);
    let found = lines(&late);
    assert!(found.contains(&"t/hall/available online".to_owned()), "{found:?}");
    assert!(found.iter().any(|l| l.starts_with("t/hall/state {\"schema\":\"locutor.state/1\"")));
    assert_eq!(found.iter().filter(|l| l.starts_with("ha/")).count(), 3);
    // It says good-bye itself; what it had is gone from the spool.
    hub.close();
    handle.join();
    until("offline", || lines(&late).contains(&"t/hall/available offline".to_owned()));
    drop((second, subscriber, late_subscriber));
}

#[test]
fn what_waited_when_the_process_ended_is_sent_by_the_next_one() {
    let Some(program) = mosquitto() else { return };
    let dir = tempfile::tempdir().expect("temp");
    let port = free_port();
    let (hub, _, handle) = start(dir.path(), port);
    happen(&hub, 0..50);
    hub.close();
    handle.join();
    let _broker = broker(&program, dir.path(), port);
    let out = dir.path().join("out");
    let _subscriber = subscribe(port, "t/hall/#", &out);
    std::thread::sleep(Duration::from_millis(500));
    let (hub, _, handle) = start(dir.path(), port);
    happen(&hub, 50..60);
    until("all arrive", || numbers(&out).last() == Some(&59));
    assert_eq!(without_repeats(&numbers(&out)), (0..60).collect::<Vec<_>>());
    hub.close();
    handle.join();
}

/// Runs the sink in a process of its own, to be killed; does nothing by itself.
#[test]
fn helper_process() {
    let (Ok(port), Ok(dir)) = (std::env::var("LOCUTOR_MQTT_PORT"), std::env::var("LOCUTOR_DIR"))
    else {
        return;
    };
    let (_hub, _, _handle) = start(Path::new(&dir), port.parse().expect("a port"));
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_last_will_is_seen_when_the_process_is_killed() {
    let Some(program) = mosquitto() else { return };
    let dir = tempfile::tempdir().expect("temp");
    let (port, out) = (free_port(), dir.path().join("out"));
    let _broker = broker(&program, dir.path(), port);
    let _subscriber = subscribe(port, "t/hall/#", &out);
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "helper_process", "--nocapture"]);
    command.env("LOCUTOR_MQTT_PORT", port.to_string()).env("LOCUTOR_DIR", dir.path());
    let process = Own(command.stdout(Stdio::null()).spawn().expect("it starts"));
    until("online", || lines(&out).contains(&"t/hall/available online".to_owned()));
    drop(process);
    until("offline", || lines(&out).contains(&"t/hall/available offline".to_owned()));
}

/// A CA of its own, and a certificate for `localhost` by it; whether openssl could make them.
fn certificates(dir: &Path) -> bool {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=CA -keyout ca.key \
                  -out ca.pem && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj \
                  /CN=Other -keyout other.key -out other.pem && openssl req -newkey rsa:2048 \
                  -nodes -subj /CN=localhost -keyout s.key -out s.csr && \
                  echo subjectAltName=DNS:localhost > ext && openssl x509 -req -in s.csr -CA \
                  ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out s.pem";
    let out = Command::new("sh").args(["-c", script]).current_dir(dir).output().expect("sh");
    if !out.status.success() {
        needs::skip(format_args!("openssl: {}", String::from_utf8_lossy(&out.stderr)));
    }
    out.status.success()
}

#[test]
fn a_broker_with_tls_is_trusted_by_its_ca_and_no_other() {
    let Some(program) = mosquitto() else { return };
    let dir = tempfile::tempdir().expect("temp");
    if !certificates(dir.path()) {
        return;
    }
    let (port, plain, out) = (free_port(), free_port(), dir.path().join("out"));
    let config = dir.path().join("mosquitto.conf");
    let at = dir.path().display();
    let text = format!(
        "listener {plain} 127.0.0.1\nallow_anonymous true\nuser root\nlistener {port} 127.0.0.1\n\
         allow_anonymous true\ncertfile {at}/s.pem\nkeyfile {at}/s.key\n"
    );
    std::fs::write(&config, text).expect("config");
    let mut command = Command::new(program);
    command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let _broker = Own(command.spawn().expect("mosquitto starts"));
    until("the broker listens", || TcpStream::connect(("127.0.0.1", plain)).is_ok());
    let _subscriber = subscribe(plain, "t/hall/#", &out);
    let address = format!("mqtts://localhost:{port}");
    let other = dir.path().join("other.pem");
    let (hub, status, handle) = start_with(dir.path(), &address, Some(&other));
    happen(&hub, 0..10);
    until("the wrong CA is told", || status.sink_errors().contains_key("mqtt"));
    let said = status.sink_errors()["mqtt"].clone();
    println!("{said}");
    assert!(said.contains("not trusted") && said.contains("tls_ca_file"), "{said}");
    hub.close();
    handle.join();
    // What waited is sent once the right one is trusted.
    let ca = dir.path().join("ca.pem");
    let (hub, _, handle) = start_with(dir.path(), &address, Some(&ca));
    until("all arrive", || numbers(&out).last() == Some(&9));
    hub.close();
    handle.join();
}
