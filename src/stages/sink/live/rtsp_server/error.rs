//! Errors of the RTSP server and its mounts.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server or a mount cannot start. Every message says how to fix it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RtspError {
    /// GStreamer does not start.
    #[error("{0}")]
    Start(#[from] crate::gst::StartError),
    /// Anyone in the network could read.
    #[error(
        "the RTSP server would be open to anyone on {0}: set a login, or listen on 127.0.0.1 or \
         [::1]"
    )]
    Unprotected(SocketAddr),
    /// Another process listens there.
    #[error(
        "the RTSP server cannot listen on {address}: the port is taken; stop the process that uses \
         it (see ss -ltnp), or choose another port"
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system does not allow it to listen there.
    #[error(
        "the RTSP server cannot listen on {address}: {reason}; choose an address of this machine \
         and a port above 1023"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// Certificate and key cannot be used.
    #[error(
        "the RTSP server cannot use the certificate {certificate} with the key {key}: {reason}; \
         both must be PEM files that belong together"
    )]
    Tls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// Two streams use the same mount.
    #[error("the RTSP mount /{0} is taken by another stream; choose another `mount`")]
    MountTaken(String),
    /// No thread can be started.
    #[error("the RTSP server cannot start a thread: {0}; raise the limit (ulimit -u)")]
    Thread(std::io::Error),
}
