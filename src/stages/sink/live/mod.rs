//! The sinks of a live stream, each on its own thread; none can block another.
//!
//! Takes a sink's settings and its stream's [`SinkContext`]; gives a handle to its thread
//! ([`SinkHandle`]). A sink reads only its own queue. It recovers by itself, with back-off, reports
//! errors in its stream's status, and ends when the queue ends. [`worker`] is the loop of all sinks but
//! the RTSP server.

pub(crate) mod context;
pub(crate) mod file;
pub(crate) mod gst;
pub(crate) mod hls;
mod preroll;
pub(crate) mod push;
pub(crate) mod record;
pub(crate) mod rtsp_server;
#[cfg(test)]
mod testing;
mod worker;

use std::sync::Arc;

use crate::stages::sink::settings::SinkSettings;
use context::{SinkContext, SinkError, SinkHandle};
use rtsp_server::RtspServer;
use rtsp_server::gst::MountPlan;

/// Bytes that may wait in the queue of the RTSP server.
const RTSP_QUEUE_BYTES: usize = 8 << 20;

/// Opens a sink, which takes the stream's packets from now on; `server` is the process' RTSP server, if
/// there is one.
///
/// # Errors
/// Where it can never work as configured.
pub(crate) fn open(
    sink: &SinkSettings,
    context: &SinkContext<'_>,
    server: Option<&RtspServer>,
) -> Result<SinkHandle, SinkError> {
    match sink {
        SinkSettings::RtspServer { mount } => {
            let server = server.ok_or(SinkError::NoServer)?;
            let (packets, _) = context.fan_out.add("rtsp-server", RTSP_QUEUE_BYTES);
            let plan = MountPlan {
                mount: mount.clone(),
                packets,
                status: context.status.clone(),
                metrics: context.metrics.clone(),
                on_new_reader: Arc::clone(&context.request_keyframe),
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
