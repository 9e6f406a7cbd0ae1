//! What a sink gets from its stream, and the handle that the stream has of it.

use std::sync::Arc;
use std::time::Duration;

use super::rtsp_server::error::RtspError;
use crate::core::timed_thread::TimedThread;
use crate::stages::sink::fan_out::FanOut;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;

/// What a stream gives its sinks.
pub(crate) struct SinkContext<'a> {
    /// Where packets come from.
    pub fan_out: &'a FanOut,
    /// The stream's status, and its name.
    pub status: &'a Status,
    /// Where sinks count.
    pub metrics: &'a Metrics,
    /// Asks the encoder for a keyframe; must not block.
    pub ask_for_key: Arc<dyn Fn() + Send + Sync>,
}

/// Why a sink cannot be opened. What can recover by itself is no error: the sink tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    /// The RTSP server has no place for it.
    #[error("{0}")]
    Rtsp(#[from] RtspError),
    /// A mount without a server.
    #[error("the sink `rtsp-server` needs a server: set `serve.rtsp`")]
    NoServer,
    /// The sink takes no frames: it is another part's.
    #[error("this sink takes no encoded frames")]
    NotVideo,
    /// What is configured cannot be.
    #[error("{0}")]
    Config(String),
    /// No thread can be made.
    #[error("the sink cannot have a thread: {0}; raise the limit (ulimit -u)")]
    Thread(#[from] std::io::Error),
}

/// A sink at work. It ends with its queue; a dropped handle leaves it running.
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

    /// Waits until the sink has ended, no longer than `timeout`: a disk may never answer. Returns
    /// whether it has.
    pub(crate) fn join(self, timeout: Duration) -> bool {
        self.0.join_within(timeout).is_some()
    }
}
