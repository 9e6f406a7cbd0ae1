//! The daemon as a child process, seen as an operator sees it: health page, metrics, events, log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{Own, free_port, root, until};

/// A source that is there is found within this, on a slow machine, too.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// One stream as its file says it.
#[derive(Clone)]
pub struct Plan {
    pub name: String,
    pub uri: String,
    /// More keys of `[source]`.
    pub source: String,
    /// More tables: sinks, encoder, show.
    pub rest: String,
}

/// Whether the process has ended; it is not reaped.
fn has_ended(process: &Own) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id()));
    state.is_ok_and(|s| s.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

/// Sinks as TOML.
pub const RECORD: &str = "[[sink]]\ntype = \"record\"\ndirectory = \"kept\"\nsegment_seconds = 60\n\
                          min_free_gib = 0.001\n";
pub const SERVE: &str = "[[sink]]\ntype = \"rtsp-server\"\n";

impl Plan {
    pub fn new(name: &str, uri: &str, rest: &str) -> Self {
        Self { name: name.into(), uri: uri.into(), source: String::new(), rest: rest.into() }
    }

    fn text(&self, health: u16, rtsp: u16) -> String {
        let Self { name, uri, source, rest } = self;
        let rtsp = match rest.contains("rtsp-server") {
            true => format!("rtsp = \"127.0.0.1:{rtsp}\"\n"),
            false => String::new(),
        };
        let models = if rest.contains("[models]") { "" } else { "[models]\ndevice = \"cpu\"\n" };
        format!(
            "name = \"{name}\"\n[source]\nuri = \"{uri}\"\nstall_timeout_seconds = 3\n\
             retry_min_seconds = 1\nretry_max_seconds = 4\n{source}\n{models}\
             [explain]\nmode = \"none\"\n[encoder]\npreset = \"ultrafast\"\n\
             [[sink]]\ntype = \"events\"\npath = \"{name}.jsonl\"\n{rest}\n\
             [serve]\nhealth = \"127.0.0.1:{health}\"\n{rtsp}"
        )
    }
}

/// How a daemon is started.
pub struct Start {
    pub dir: PathBuf,
    pub health: u16,
    pub rtsp: u16,
    pub env: Vec<(String, String)>,
    files: Vec<PathBuf>,
}

impl Start {
    /// In `dir`, with these streams.
    pub fn new(dir: &Path, plans: &[Plan]) -> Self {
        let start = Self {
            dir: dir.to_owned(),
            health: free_port(),
            rtsp: free_port(),
            env: Vec::new(),
            files: Vec::new(),
        };
        start.of(plans)
    }

    /// With these streams.
    pub fn of(mut self, plans: &[Plan]) -> Self {
        self.files = plans.iter().map(|plan| self.write(plan)).collect();
        self
    }

    /// Writes a stream's file (again).
    pub fn write(&self, plan: &Plan) -> PathBuf {
        let file = self.dir.join(format!("{}.toml", plan.name));
        std::fs::write(&file, plan.text(self.health, self.rtsp)).expect("a file");
        file
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn spawn(&self) -> Daemon {
        let log = self.dir.join("log");
        let out = std::fs::File::options().create(true).append(true).open(&log).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
        command.arg("run").args(&self.files).current_dir(&self.dir);
        command.env("HOME", &self.dir).env("LOCUTOR_MODELS", root().join("models"));
        command.env_remove("LOCUTOR_LOG").env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        let process = Own(command.spawn().expect("locutor starts"));
        Daemon { process, health: self.health, rtsp: self.rtsp, dir: self.dir.clone() }
    }
}

/// A daemon at work.
pub struct Daemon {
    pub process: Own,
    health: u16,
    pub rtsp: u16,
    pub dir: PathBuf,
}

impl Daemon {
    /// Status and body of a page; `None` where nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.health)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: h\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// What `/readyz` says of a stream.
    pub fn ready(&self, stream: &str) -> Option<Value> {
        let page: Value = serde_json::from_str(&self.get("/readyz")?.1).ok()?;
        page["streams"].as_array()?.iter().find(|s| s["stream"] == stream).cloned()
    }

    /// `connecting`, `live`, `lost`, `ended`; empty where nobody answers.
    pub fn state(&self, stream: &str) -> String {
        let said = self.ready(stream).and_then(|s| s["state"].as_str().map(str::to_owned));
        said.unwrap_or_default()
    }

    /// Waits for a state; how long it took.
    #[track_caller]
    pub fn until(&self, stream: &str, state: &str) -> Duration {
        let since = Instant::now();
        while self.state(stream) != state {
            let over = has_ended(&self.process);
            if over || since.elapsed() > PATIENCE {
                panic!("{stream} is not {state}: {:?}\n{}", self.ready(stream), self.log_end());
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        since.elapsed()
    }

    /// A metric whose name and labels hold all of `words`.
    pub fn metric(&self, words: &[&str]) -> Option<f64> {
        let (_, page) = self.get("/metrics")?;
        let mut lines = page.lines().filter(|l| !l.starts_with('#'));
        let line = lines.find(|l| words.iter().all(|word| l.contains(word)))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Frames (no slates) drawn on so far.
    pub fn frames(&self, stream: &str) -> u64 {
        let of = format!("stream=\"{stream}\"");
        let count = self.metric(&["locutor_latency_seconds_count", &of, "stage=\"overlay\""]);
        count.map_or(0, |n| n as u64)
    }

    /// Waits until a frame is shown that was not there yet; how long that took.
    #[track_caller]
    pub fn until_frame(&self, stream: &str) -> Duration {
        let before = self.frames(stream);
        until("a frame", PATIENCE, || self.frames(stream) > before)
    }

    /// The longest time in which a stream shows no new frame, over `seconds`.
    pub fn longest_still(&self, stream: &str, seconds: u32) -> Duration {
        let begun = Instant::now();
        let (mut count, mut since) = (self.frames(stream), begun);
        let mut longest = Duration::ZERO;
        while begun.elapsed() < Duration::from_secs(u64::from(seconds)) {
            std::thread::sleep(Duration::from_millis(25));
            let now = self.frames(stream);
            longest = longest.max(since.elapsed());
            if now != count {
                (count, since) = (now, Instant::now());
            }
        }
        longest
    }

    /// Frames a second over `seconds`.
    pub fn rate(&self, stream: &str, seconds: f64) -> f64 {
        let (before, since) = (self.frames(stream), Instant::now());
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let new = self.frames(stream).saturating_sub(before);
        new as f64 / since.elapsed().as_secs_f64()
    }

    /// The stream's events so far.
    pub fn events(&self, stream: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join(format!("{stream}.jsonl")));
        let text = text.unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Those of one kind.
    pub fn events_of(&self, stream: &str, kind: &str) -> Vec<Value> {
        self.events(stream).into_iter().filter(|e| e["event"] == kind).collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(25).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub fn runs(&mut self) -> bool {
        self.process.0.try_wait().expect("a child").is_none()
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    pub fn ended(&mut self, limit: Duration) -> Option<i32> {
        let mut code = None;
        until("the daemon ends", limit, || {
            code = self.process.0.try_wait().expect("a child");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }

    /// SIGTERM; how long it took to end, which must be well and in time.
    #[track_caller]
    pub fn stop(&mut self) -> Duration {
        let since = Instant::now();
        self.process.signal(Signal::TERM);
        let code = self.ended(Duration::from_secs(20));
        assert_eq!(code, Some(0), "after SIGTERM; {}", self.log_end());
        let took = since.elapsed();
        assert!(took < Duration::from_secs(15), "it took {took:?} to end");
        took
    }
}
