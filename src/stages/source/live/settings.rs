//! Settings of a live source, filled from the configuration.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::credentials::Login;

/// Settings of a live source.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Its address, without user and password. Schemes: rtsp, rtsps, http, https, srt,
    /// rtmp, udp, v4l2, file, fd (standard input), test.
    pub uri: url::Url,
    /// Credentials, looked up when the file is read.
    pub login: Option<Login>,
    /// The transport of RTP (rtsp only).
    pub transport: Transport,
    /// How long to wait for packets that arrive out of order.
    pub jitter: Duration,
    /// The audio track to use, from 1.
    pub audio_track: u32,
    /// Whether a file restarts at its end.
    pub looped: bool,
    /// PEM file with trusted certificates: the camera's own, or its CA's. `None` for the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// The source is lost if nothing arrives for this long.
    pub stall_timeout: Duration,
    /// The first wait before the next try; doubles up to `retry_max`.
    pub retry_min: Duration,
    /// The longest wait.
    pub retry_max: Duration,
}

impl SourceSettings {
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

/// The transport of RTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// UDP where possible, otherwise TCP.
    Auto,
    /// Inside the RTSP connection: no packet loss.
    #[default]
    Tcp,
    /// UDP only.
    Udp,
}
