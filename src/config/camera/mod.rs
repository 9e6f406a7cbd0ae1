//! A live stream as its TOML file describes it, checked: what `locutor run CAMERA.toml` is told.
//!
//! [`mod@file`] reads it; nothing here opens a device, a port or a file.

pub mod address;
pub mod file;
pub mod name;
mod raw;
pub(in crate::config) mod redact;
pub mod secret;
mod serve;
pub mod sinks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::LookaheadChoice;
use crate::models::device::Device;
use crate::stages::explain::Mode;
use crate::stages::overlay::Style;
use crate::stages::score::floor::FloorRules;

/// A live stream.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Its name: letters, digits, `-`, `_` and `.`, not starting with a dot. Names its mount, its
    /// events, its metrics.
    pub name: String,
    /// Where frames and audio come from.
    pub source: Source,
    /// The speaker package's name or directory; the best one here by default.
    pub package: Option<String>,
    /// The detector package's name or directory.
    pub detector: Option<String>,
    /// Where inference runs.
    pub device: Device,
    /// How far ahead a score may look.
    pub lookahead: LookaheadChoice,
    /// Ticks of 40 ms that are scored at once.
    pub hop_ticks: usize,
    /// How heatmaps are made; the package's own choice by default.
    pub explain: Option<Mode>,
    /// Who-has-the-floor timing.
    pub floor: FloorRules,
    /// What is drawn.
    pub style: Style,
    /// When a frame is shown.
    pub output_policy: OutputPolicy,
    /// How it is encoded.
    pub encoder: LiveEncoder,
    /// Where it goes; may be empty of video sinks (analyse only).
    pub sinks: Vec<Sink>,
    /// What this process serves.
    pub serve: Serve,
}

/// Where a live stream comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its address, never with a user or password in it. Schemes: rtsp, rtsps, http, https, srt,
    /// rtmp, udp, v4l2, file, fd (standard input), test.
    pub uri: url::Url,
    /// Who to be there, looked up when the file is read.
    pub login: Option<Login>,
    /// How RTP comes (rtsp only).
    pub transport: Transport,
    /// How long packets may be waited for that come out of order.
    pub jitter: Duration,
    /// Which of its audio tracks is listened to, from 1.
    pub audio_track: u32,
    /// Whether a file begins anew at its end.
    pub looped: bool,
    /// Certificates in PEM that are trusted, of the camera itself or of who vouches for it; the
    /// system's where it is `None`.
    pub tls_ca_file: Option<PathBuf>,
    /// Nothing for so long means that the source is gone.
    pub stall_timeout: Duration,
    /// The first wait before it is tried again; doubles up to `retry_max`.
    pub retry_min: Duration,
    /// The longest wait.
    pub retry_max: Duration,
}

impl Source {
    /// A source at `uri` with the defaults of pipelines/camera.toml.
    pub const fn with_defaults(uri: url::Url) -> Self {
        Self {
            uri,
            login: None,
            transport: Transport::Tcp,
            jitter: Duration::from_millis(100),
            audio_track: 1,
            looped: false,
            tls_ca_file: None,
            stall_timeout: Duration::from_secs(10),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}

/// A user and the password, never shown.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password; `Debug` does not show it.
    pub password: SecretString,
}

/// How RTP is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// UDP where it gets through, else TCP.
    Auto,
    /// Inside the RTSP connection: nothing is lost on the way.
    #[default]
    Tcp,
    /// UDP only.
    Udp,
}

/// When a frame is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputPolicy {
    /// When its own scores are certain: late by the lookahead, and true.
    #[default]
    Delay,
    /// At once, with the newest boxes and scores that are there.
    Latest,
}

/// How a live stream is encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveEncoder {
    /// The element; `None` for the best one that starts.
    pub element: Option<String>,
    /// Bits a second of the frame, in thousands.
    pub kbit_per_second: u32,
    /// Speed, in x264's words.
    pub preset: String,
    /// Time between two keyframes.
    pub keyframe_interval: Duration,
    /// Bits a second of the audio, in thousands.
    pub audio_kbit_per_second: u32,
}

/// One place that a live stream goes to.
#[derive(Clone, Debug)]
pub enum Sink {
    /// This process serves it under `/mount`.
    RtspServer {
        /// The path, without the slash.
        mount: String,
    },
    /// Sent to another RTSP server by RECORD.
    RtspPush {
        /// Its address.
        uri: url::Url,
        /// Who to be there.
        login: Option<Login>,
        /// Certificates that are trusted, as [`Source::tls_ca_file`].
        tls_ca_file: Option<PathBuf>,
    },
    /// Kept on disk in segments.
    Record(RecorderConfig),
    /// Kept on disk in one file until the stream ends; named like the film of a recording.
    File {
        /// The file: .mp4 or .mkv.
        path: PathBuf,
    },
    /// HTTP Live Streaming: a playlist and its segments in a folder.
    Hls {
        /// The folder.
        directory: PathBuf,
        /// Length of a segment.
        segment: Duration,
        /// Segments in the playlist; older ones are removed.
        keep: u32,
    },
    /// JSON Lines in a file.
    Events {
        /// The file.
        path: PathBuf,
        /// Renamed when it is larger than this.
        rotate_bytes: u64,
        /// Renamed files kept.
        keep: u32,
        /// Whether every frame has a line; else events only.
        frames: bool,
    },
    /// Messages to an MQTT broker.
    Mqtt(Mqtt),
    /// HTTP POST of every event.
    Webhook {
        /// Where to.
        uri: url::Url,
        /// Who to be there.
        login: Option<Login>,
        /// Certificates that are trusted instead of the system's.
        tls_ca_file: Option<PathBuf>,
        /// The folder in which messages wait while it is away.
        spool: PathBuf,
        /// No more than this waits; the oldest go first.
        spool_bytes: u64,
    },
}

impl Sink {
    /// Whether it takes encoded frames.
    pub const fn takes_video(&self) -> bool {
        matches!(
            self,
            Self::RtspServer { .. }
                | Self::RtspPush { .. }
                | Self::Record(_)
                | Self::File { .. }
                | Self::Hls { .. }
        )
    }
}

/// A recording in segments.
#[derive(Clone, Debug, PartialEq)]
pub struct RecorderConfig {
    /// The folder that everything lies in. Made where it is missing, and again when it goes away.
    pub directory: PathBuf,
    /// Names under it, as strftime in UTC, e.g. `%Y-%m-%d/%H-%M-%S`; `.mp4` is added.
    pub name: String,
    /// Segments begin at multiples of this, on the wall clock.
    pub segment: Duration,
    /// Older segments are removed.
    pub max_age: Option<Duration>,
    /// The oldest segments are removed while all are larger than this.
    pub max_total_bytes: Option<u64>,
    /// The oldest segments are removed while less than this is free; recording stops where that
    /// does not help, and goes on when there is room again.
    pub min_free_bytes: u64,
}

/// An MQTT broker.
#[derive(Clone, Debug)]
pub struct Mqtt {
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub broker: url::Url,
    /// Who to be there.
    pub login: Option<Login>,
    /// Certificates that are trusted instead of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// The first level of all topics.
    pub topic: String,
    /// Home Assistant's discovery prefix, e.g. `homeassistant`.
    pub discovery_prefix: Option<String>,
    /// Whether every frame is published too (QoS 0, not kept).
    pub frames: bool,
    /// The folder in which messages wait while the broker is away.
    pub spool: PathBuf,
    /// No more than this waits; the oldest go first.
    pub spool_bytes: u64,
}

/// What a process serves; all streams of one process share it.
#[derive(Clone, Debug, Default)]
pub struct Serve {
    /// RTSP.
    pub rtsp: Option<ServeRtsp>,
    /// `/livez`, `/readyz` and `/metrics`.
    pub health: Option<SocketAddr>,
}

/// The RTSP server.
#[derive(Clone, Debug)]
pub struct ServeRtsp {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may read (digest); everyone where it is `None`.
    pub login: Option<Login>,
    /// Certificate and key in PEM, for RTSPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether it is meant that everyone may watch who can reach it.
    pub allow_anonymous: bool,
    /// Readers at once; more are refused.
    pub max_readers: usize,
}
