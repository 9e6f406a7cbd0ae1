//! What every row needs: processes that end with it, a folder of its own, waiting with a limit.

pub mod camera;
pub mod daemon;
pub mod gst;
pub mod kept;
pub mod proxy;
pub mod row;

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where results and encoded clips lie.
pub fn results() -> PathBuf {
    root().join("target/chaos")
}

/// Whether everything is run as often as `make chaos` does.
pub fn full() -> bool {
    std::env::var_os("CHAOS_FULL").is_some_and(|v| v == "1")
}

/// How often: in full, or in short.
pub fn times(full_times: u32, short: u32) -> u32 {
    if full() { full_times } else { short }
}

/// A process that ends with its owner.
pub struct Own(pub Child);

impl Own {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("a process of ours");
    }

    /// Ends it at once. One that has crashed before is told: a row that fails then is no fault of
    /// the daemon.
    pub fn kill(&mut self) {
        if let Ok(Some(status)) = self.0.try_wait()
            && status.code() != Some(0)
            && status.signal() != Some(9)
        {
            eprintln!("process {} had ended: {status}", self.0.id());
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until `done`; how long that took.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(25));
    }
    since.elapsed()
}

pub fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// All files below `dir`, with their sizes.
pub fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => found.extend(files(&entry.path())),
            Ok(meta) => found.push((entry.path(), meta.len())),
            Err(_) => {}
        }
    }
    found.sort();
    found
}
