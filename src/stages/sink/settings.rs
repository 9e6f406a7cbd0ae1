//! What each sink and the encoders before them are opened by. The configuration fills it; nothing here
//! opens anything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::credentials::Login;

/// How a live stream is encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSettings {
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
pub enum SinkSettings {
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
        /// Certificates that are trusted, as [`crate::stages::source::live::settings::SourceSettings::tls_ca_file`].
        tls_ca_file: Option<PathBuf>,
    },
    /// Kept on disk in segments.
    Record(RecorderSettings),
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
    Mqtt(MqttSettings),
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

impl SinkSettings {
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
pub struct RecorderSettings {
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
pub struct MqttSettings {
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

/// The RTSP server.
#[derive(Clone, Debug)]
pub struct RtspServerSettings {
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
