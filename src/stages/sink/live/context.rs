//! The context that a stream gives its sinks, and the handle of a sink.

use std::sync::Arc;
use std::time::Duration;

use super::rtsp_server::error::RtspError;
use crate::core::timed_thread::TimedThread;
use crate::stages::sink::fan_out::FanOut;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;

/// The context that a stream gives its sinks.
pub(crate) struct SinkContext<'a> {
    /// The source of packets.
    pub fan_out: &'a FanOut,
    /// The stream's status and name.
    pub status: &'a Status,
    /// The metrics of the process.
    pub metrics: &'a Metrics,
    /// Requests a keyframe from the encoder; must not block.
    pub request_keyframe: Arc<dyn Fn() + Send + Sync>,
}

/// Why a sink cannot be opened. Errors that may go away are not reported here: the sink retries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    /// The RTSP server refuses the mount.
    #[error("{0}")]
    Rtsp(#[from] RtspError),
    /// A mount without a server.
    #[error("the sink `rtsp-server` needs a server: set `serve.rtsp`")]
    NoServer,
    /// The sink takes events, not encoded frames.
    #[error("this sink takes no encoded frames")]
    NotVideo,
    /// The configuration is invalid.
    #[error("{0}")]
    Config(String),
    /// The thread cannot be started.
    #[error("the sink's thread cannot be started: {0}; raise the limit (ulimit -u)")]
    Thread(#[from] std::io::Error),
}

/// A running sink. It ends with its queue; it continues if the handle is dropped.
pub(crate) struct SinkHandle(TimedThread<()>);

impl SinkHandle {
    pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        TimedThread::spawn(name, work).map(Self)
    }

    #[cfg(test)]
    /// Whether the sink has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until the sink has ended, at most `timeout`, as a disk may never answer. Returns whether it
    /// has ended.
    pub(crate) fn join(self, timeout: Duration) -> bool {
        self.0.join_within(timeout).is_some()
    }
}
