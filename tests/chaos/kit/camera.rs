//! The test camera as a child process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use super::{Own, free_port, results, root};

/// The clip that cameras serve, where it is there.
pub fn clip() -> Option<PathBuf> {
    let made = root().join("demo/sample.mp4");
    let clip = std::env::var_os("CHAOS_CLIP").map_or(made, PathBuf::from);
    clip.is_file().then_some(clip)
}

/// A camera at work.
pub struct Camera {
    pub process: Own,
    pub port: u16,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Camera {
    /// A camera on a port of its own.
    pub fn start(options: &[&str]) -> Self {
        Self::on(free_port(), options)
    }

    /// A camera that can be asked on `port` when this returns.
    pub fn on(port: u16, options: &[&str]) -> Self {
        Self::of(&clip().expect("a row begins with a clip"), port, options)
    }

    /// One that shows `clip`.
    pub fn of(clip: &Path, port: u16, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_locutor-test-camera"));
        command.arg("--clip").arg(clip);
        command.arg("--cache").arg(results().join("clips")).args(["--port", &port.to_string()]);
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the camera starts");
        let orders = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut camera = Self { process: Own(child), port, orders, answers };
        let said = camera.hear();
        assert!(said.starts_with("ready "), "the camera says {said:?}");
        camera
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the camera answers");
        line
    }

    /// Gives an order and waits until it is obeyed.
    pub fn say(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the camera listens");
        let said = self.hear();
        assert!(said.starts_with("done "), "the camera says {said:?}");
    }

    /// Where the daemon is sent.
    pub fn uri(&self) -> String {
        uri(self.port)
    }
}

/// Where a camera on `port` is found.
pub fn uri(port: u16) -> String {
    format!("rtsp://127.0.0.1:{port}/camera")
}
