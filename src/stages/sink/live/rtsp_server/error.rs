//! Why there is no RTSP server, or no mount.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why there is no server, or no mount. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RtspError {
    /// GStreamer does not start.
    #[error("{0}")]
    Start(#[from] crate::gst::StartError),
    /// Everyone in the network could read.
    #[error(
        "the RTSP server would be open to everyone on {0}: set a login for it, or listen on \
         127.0.0.1 or [::1]"
    )]
    Open(SocketAddr),
    /// Somebody else listens there.
    #[error(
        "the RTSP server cannot listen on {address}: the port is taken; stop what uses it (ss -ltnp \
         names it), or choose another port"
    )]
    Taken {
        /// Where.
        address: SocketAddr,
    },
    /// The system does not let it listen there.
    #[error(
        "the RTSP server cannot listen on {address}: {reason}; choose an address of this machine \
         and a port above 1023"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// Certificate and key cannot be used.
    #[error(
        "the RTSP server cannot use the certificate {certificate} with the key {key}: {reason}; both \
         must be PEM files that belong together"
    )]
    Tls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// Two streams want the same mount.
    #[error("the RTSP mount /{0} is taken by another stream; choose another `mount`")]
    MountTaken(String),
    /// No thread can be made.
    #[error("the RTSP server cannot have a thread: {0}; raise the limit (ulimit -u)")]
    Thread(std::io::Error),
}
