//! Settings of the sinks and of the live encoders, filled from the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::credentials::Login;

/// How a live stream is encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSettings {
    /// The encoder element; `None` for the best one that works.
    pub element: Option<String>,
    /// Video bit rate in kbit/s.
    pub kbit_per_second: u32,
    /// Speed, as an x264 preset.
    pub preset: String,
    /// Time between two keyframes.
    pub keyframe_interval: Duration,
    /// Audio bit rate in kbit/s.
    pub audio_kbit_per_second: u32,
}

/// One sink of a live stream.
#[derive(Clone, Debug)]
pub enum SinkSettings {
    /// Served by this process under `/mount`.
    RtspServer {
        /// The path, without the slash.
        mount: String,
    },
    /// Sent to another RTSP server with RECORD.
    RtspPush {
        /// The address of the server.
        uri: url::Url,
        /// Credentials.
        login: Option<Login>,
        /// Certificates that are trusted, as
        /// [`crate::stages::source::live::settings::SourceSettings::tls_ca_file`].
        tls_ca_file: Option<PathBuf>,
    },
    /// Recorded in segments.
    Record(RecorderSettings),
    /// Recorded in one file until the stream ends.
    File {
        /// The file: .mp4 or .mkv.
        path: PathBuf,
    },
    /// HLS: a playlist and its segments in a folder.
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
        /// Size at which the file is rotated.
        rotate_bytes: u64,
        /// Number of rotated files to keep.
        keep: u32,
        /// Whether every frame has a line; otherwise events only.
        frames: bool,
    },
    /// Messages to an MQTT broker.
    Mqtt(MqttSettings),
    /// HTTP POST of every event.
    Webhook {
        /// The address.
        uri: url::Url,
        /// Credentials.
        login: Option<Login>,
        /// Trusted certificates, instead of the system's.
        tls_ca_file: Option<PathBuf>,
        /// The folder for messages while the server is unreachable.
        spool: PathBuf,
        /// Limit of the spool; the oldest messages are dropped first.
        spool_bytes: u64,
    },
}

impl SinkSettings {
    /// Whether the sink takes encoded video.
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

/// Settings of a recording in segments.
#[derive(Clone, Debug, PartialEq)]
pub struct RecorderSettings {
    /// The folder of the recording. Created if it is missing, also later.
    pub directory: PathBuf,
    /// File names in it as a strftime pattern in UTC, e.g. `%Y-%m-%d/%H-%M-%S`; `.mp4` is added.
    pub name: String,
    /// Length of a segment; segments begin at multiples of it on the wall clock.
    pub segment: Duration,
    /// Age at which segments are removed.
    pub max_age: Option<Duration>,
    /// The oldest segments are removed while the total size is above this.
    pub max_total_bytes: Option<u64>,
    /// The oldest segments are removed while less than this is free. If that does not help,
    /// recording stops until there is room again.
    pub min_free_bytes: u64,
}

/// Settings of an MQTT broker.
#[derive(Clone, Debug)]
pub struct MqttSettings {
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub broker: url::Url,
    /// Credentials.
    pub login: Option<Login>,
    /// Trusted certificates, instead of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// The first level of all topics.
    pub topic: String,
    /// The discovery prefix of Home Assistant, e.g. `homeassistant`.
    pub discovery_prefix: Option<String>,
    /// Whether every frame is published, too (QoS 0, not retained).
    pub frames: bool,
    /// The folder for messages while the broker is unreachable.
    pub spool: PathBuf,
    /// Limit of the spool; the oldest messages are dropped first.
    pub spool_bytes: u64,
}

/// Settings of the RTSP server.
#[derive(Clone, Debug)]
pub struct RtspServerSettings {
    /// The listening address.
    pub listen: SocketAddr,
    /// Credentials of readers (digest); `None` for no authentication.
    pub login: Option<Login>,
    /// PEM files with certificate and key, for RTSPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether reading without credentials is intended.
    pub allow_anonymous: bool,
    /// Maximum number of readers; more are refused.
    pub max_readers: usize,
}
