//! Errors of event sinks that cannot be started.

use std::path::PathBuf;

/// Why a sink can never work. A failure that may pass (an unreachable broker, a full disk) is not
/// among them.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It takes frames, not events.
    #[error("this is not a sink for events")]
    NotEvents,
    /// The address cannot be used.
    #[error("{address}: {why}")]
    Address {
        /// Without user and password.
        address: String,
        /// What is wrong, and how to fix it.
        why: &'static str,
    },
    /// Another process writes to the same spool.
    #[error(
        "the spool {} is in use by another process or sink; give each sink a folder of its own",
        .0.display()
    )]
    SpoolInUse(PathBuf),
    /// The system cannot start a thread.
    #[error("a thread for the sink `{sink}` cannot be started: {reason}")]
    Thread {
        /// The sink.
        sink: String,
        /// The system's error.
        reason: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS for {address} cannot be set up: {why}")]
    Tls {
        /// Without user and password.
        address: String,
        /// What is wrong.
        why: String,
    },
}
