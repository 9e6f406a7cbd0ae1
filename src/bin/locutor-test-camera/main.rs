//! An RTSP test camera: loops a clip with audio and injects faults on demand.
//!
//! Takes a clip and fault settings as options, then commands on standard input (see
//! [`Controls::execute`]). Prints `ready URI` once it serves. Encodes once at the start and caches
//! the result in `--cache`; serving then costs almost nothing. Promises: frames and audio arrive in
//! real time, with a keyframe every second and without a gap where the clip repeats.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};

mod controls;
mod gst;

use controls::Controls;

/// The video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Codec {
    H264,
    H265,
    Mjpeg,
    Vp8,
}

/// An RTSP test camera with fault injection.
#[derive(Debug, Parser)]
struct Options {
    /// The clip; it needs frames and audio.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/sample.mp4"))]
    clip: PathBuf,
    /// Seconds of the clip to loop.
    #[arg(long, default_value_t = 8)]
    seconds: u32,
    /// The port to listen on, on this machine only; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// User name for viewers; without it no login is needed.
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// The user's password.
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// The video codec.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Width and height in pixels, multiples of 8.
    #[arg(long, default_value = "640x360", value_parser = size)]
    size: (u32, u32),
    /// Frames per second, e.g. 30000/1001.
    #[arg(long, default_value = "25", value_parser = rate)]
    rate: (u32, u32),
    /// Whether there is an audio track.
    #[arg(long, default_value = "on", action = clap::ArgAction::Set, value_parser = on)]
    audio: bool,
    /// How much faster the audio's clock runs, in parts per million.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    drift: i64,
    /// Percentage of RTP packets that are not sent.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Percentage of RTP packets with a wrong bit.
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// Seconds until the video's RTP timestamps wrap; they start at a random value without it.
    #[arg(long)]
    wraps_after: Option<u32>,
    /// Draws each frame's number in the clip into its lower left corner: a black and a white
    /// reference square, then twelve bits of the number, the highest first.
    #[arg(long)]
    numbered: bool,
    /// Writes a line for every sent frame to this file: its number in the clip and the Unix time
    /// in nanoseconds.
    #[arg(long)]
    sent: Option<PathBuf>,
    /// Folder for caching encoded clips.
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
