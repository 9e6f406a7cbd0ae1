//! What a live source is opened by. The configuration fills it; nothing here opens anything.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::credentials::Login;

/// Where a live stream comes from.
#[derive(Clone, Debug)]
pub struct SourceSettings {
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
