//! A camera to torture: a clip served as RTSP with audio, for ever, with faults on demand.
//!
//! Takes a clip and what to do to it as options, then lines on standard input (see [`Controls::execute`]);
//! prints `ready URI` when it can be asked. Encodes once at the start, remembers the result in
//! `--cache`, and then costs next to nothing. Promises: frames and audio come at their real pace,
//! with a keyframe every second and no break where the clip begins anew.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};

mod controls;
mod gst;

use controls::Controls;

/// What the frames are encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Codec {
    H264,
    H265,
    Mjpeg,
    Vp8,
}

/// A camera to torture.
#[derive(Debug, Parser)]
struct Options {
    /// The clip; it needs frames and audio.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/sample.mp4"))]
    clip: PathBuf,
    /// Seconds of it that are served, again and again.
    #[arg(long, default_value_t = 8)]
    seconds: u32,
    /// Where to listen on this machine; 0 takes any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Who may watch; everyone without it.
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Their password.
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// What frames are encoded as.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Width and height in pixels, multiples of 8.
    #[arg(long, default_value = "640x360", value_parser = size)]
    size: (u32, u32),
    /// Frames a second, e.g. 30000/1001.
    #[arg(long, default_value = "25", value_parser = rate)]
    rate: (u32, u32),
    /// Whether there is an audio track.
    #[arg(long, default_value = "on", action = clap::ArgAction::Set, value_parser = on)]
    audio: bool,
    /// The audio's clock is faster by so many parts in a million.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    drift: i64,
    /// Per cent of RTP packets that are never sent.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Per cent of RTP packets with a wrong byte.
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// Seconds until the frame's RTP clock wraps; it starts at chance without it.
    #[arg(long)]
    wraps_after: Option<u32>,
    /// Draws each frame's number in the clip into its lower left corner: two squares that say
    /// what is black and what white, then twelve for the number, the highest bit first.
    #[arg(long)]
    numbered: bool,
    /// Writes a line for every frame that is sent to this file: its number in the clip and when,
    /// in nanoseconds of Unix time.
    #[arg(long)]
    sent: Option<PathBuf>,
    /// Where encoded clips are remembered.
    #[arg(long)]
    cache: Option<PathBuf>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let whole = parts.filter(|(w, h): &(u32, u32)| w * h > 0 && w % 8 == 0 && h % 8 == 0);
    whole.ok_or_else(|| "write it as 640x360, in multiples of 8".to_owned())
}

fn rate(text: &str) -> Result<(u32, u32), String> {
    let (n, d) = text.split_once('/').unwrap_or((text, "1"));
    let parts = n.parse().ok().zip(d.parse().ok());
    parts
        .filter(|(n, d): &(u32, u32)| *n > 0 && *d > 0)
        .ok_or_else(|| "write 25 or 30000/1001".into())
}

fn on(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".into()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let controls = Arc::new(Controls::new(&options));
    let camera = match gst::Camera::start(&options, &controls) {
        Ok(camera) => camera,
        Err(e) => {
            eprintln!("locutor-test-camera: {e}");
            return ExitCode::from(69);
        }
    };
    println!("ready {}", camera.uri());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match controls.execute(&line) {
            Ok(true) => println!("done {line}"),
            Ok(false) => return ExitCode::SUCCESS,
            Err(e) => println!("unknown {line}: {e}"),
        }
    }
    ExitCode::SUCCESS
}
