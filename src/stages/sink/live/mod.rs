//! Where a live stream goes: each sink on a thread of its own, none able to hold up another.
//!
//! Takes a sink as configured and what the stream has ([`SinkContext`]); gives a handle to its
//! thread ([`SinkHandle`]). Promises: a sink reads its own edge and nothing else; it recovers by
//! itself, with back-off; it says in [`Status`] when it is in trouble; it ends when the edge ends.

pub mod file;
mod gather;
pub mod gst;
pub mod hls;
pub mod push;
pub mod record;
pub mod rtsp_server;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::settings::SinkSettings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;
use rtsp_server::gst::MountPlan;
use rtsp_server::{RtspError, RtspServer};

/// What a sink that sends at once may be behind, in bytes.
const BEHIND_BYTES: usize = 8 << 20;

/// What a stream gives its sinks.
pub struct SinkContext<'a> {
    /// Where packets come from.
    pub fan_out: &'a FanOut,
    /// The stream's status, and its name.
    pub status: &'a Status,
    /// Where sinks count.
    pub metrics: &'a Metrics,
    /// The process' RTSP server, where there is one.
    pub rtsp: Option<&'a RtspServer>,
    /// Asks the encoder for a keyframe; must not block.
    pub ask_for_key: Arc<dyn Fn() + Send + Sync>,
}

/// Why a sink cannot be opened. What may mend itself is no error: the sink tries again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The RTSP server has no place for it.
    #[error("{0}")]
    Rtsp(#[from] RtspError),
    /// A mount without a server.
    #[error("the sink `rtsp-server` needs a server: set `serve.rtsp.listen`")]
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

/// A sink at work. It ends with its edge; a dropped handle leaves it alone.
#[derive(Debug)]
pub struct SinkHandle(JoinHandle<()>);

impl SinkHandle {
    fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        // The system shows fifteen characters of a name.
        let name: String = name.chars().filter(|c| *c != '\0').take(15).collect();
        std::thread::Builder::new().name(name).spawn(work).map(Self)
    }

    /// Waits until the sink has ended, no longer than `patience`: a disk may never answer. Whether
    /// it has.
    pub fn join(self, patience: Duration) -> bool {
        let began = Instant::now();
        while !self.0.is_finished() {
            if began.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.0.join().is_ok()
    }
}

/// Opens a sink. From now on it takes what the stream gives.
///
/// # Errors
/// Where it can never work as configured.
pub fn open(sink: &SinkSettings, context: &SinkContext<'_>) -> Result<SinkHandle, SinkError> {
    match sink {
        SinkSettings::RtspServer { mount } => {
            let server = context.rtsp.ok_or(SinkError::NoServer)?;
            let (packets, _) = context.fan_out.add("rtsp-server", BEHIND_BYTES);
            let plan = MountPlan {
                mount: mount.clone(),
                packets,
                status: context.status.clone(),
                metrics: context.metrics.clone(),
                on_new_reader: Arc::clone(&context.ask_for_key),
            };
            Ok(server.mount(plan)?)
        }
        SinkSettings::Record(recording) => record::open(recording, context),
        SinkSettings::File { path } => file::open(path, context),
        SinkSettings::RtspPush { uri, login, tls_ca_file } => {
            let peer = push::Peer {
                uri: uri.clone(),
                login: login.clone(),
                tls_ca_file: tls_ca_file.clone(),
            };
            push::open(peer, context)
        }
        SinkSettings::Hls { directory, segment, keep } => {
            hls::open(directory, *segment, *keep, context)
        }
        SinkSettings::Events { .. } | SinkSettings::Mqtt(_) | SinkSettings::Webhook { .. } => {
            Err(SinkError::NotVideo)
        }
    }
}
