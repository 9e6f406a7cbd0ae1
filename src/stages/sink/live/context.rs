//! What a sink gets from its stream, and the handle that the stream has of it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::rtsp_server::error::RtspError;
use crate::core::queue::{ByteSize, Capacity, NoItem, Overflow, Receiver, Sender, bounded};
use crate::stages::sink::fan_out::FanOut;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;

/// What a stream gives its sinks.
pub struct SinkContext<'a> {
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
pub enum SinkError {
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

/// Nothing is ever sent: the queue ends with the thread that holds the sender.
struct Alive;

impl ByteSize for Alive {
    fn byte_size(&self) -> usize {
        0
    }
}

/// A sink at work. It ends with its queue; a dropped handle leaves it running.
pub struct SinkHandle {
    thread: JoinHandle<()>,
    ended: Receiver<Alive>,
}

impl SinkHandle {
    pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        // The system shows fifteen characters of a name.
        let name: String = name.chars().filter(|c| *c != '\0').take(15).collect();
        let one = Capacity { items: 1, bytes: usize::MAX };
        let (alive, ended) = bounded("sink→end", one, Overflow::Block);
        let work = move || {
            let _alive: Sender<Alive> = alive;
            work();
        };
        let thread = std::thread::Builder::new().name(name).spawn(work)?;
        Ok(Self { thread, ended })
    }

    /// Whether the sink has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the sink has ended, no longer than `timeout`: a disk may never answer. Returns
    /// whether it has.
    pub fn join(self, timeout: Duration) -> bool {
        let ended = matches!(self.ended.recv_timeout(timeout), Err(NoItem::Ended));
        ended && self.thread.join().is_ok()
    }
}
