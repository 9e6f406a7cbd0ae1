//! Where a live stream goes: each sink on a thread of its own, none able to hold up another.
//!
//! Takes a sink as configured and what the stream has ([`SinkContext`]); gives a handle to its thread
//! ([`SinkHandle`]). Promises: a sink reads its own queue and nothing else; it recovers by itself, with
//! back-off; it says in its stream's status when it fails; it ends when the queue ends. [`worker`] is the
//! loop that all but the RTSP server share.

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

/// What a sink that sends at once may be behind, in bytes.
const BEHIND_BYTES: usize = 8 << 20;

/// Opens a sink; `server` is the process' RTSP server, where there is one. From now on it takes what the
/// stream gives.
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
