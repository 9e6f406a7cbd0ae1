//! Sends a stream to another RTSP server by RECORD, with retries.

mod gst;

use std::path::PathBuf;

use super::context::{SinkContext, SinkError, SinkHandle};
use super::preroll::Formats;
use super::worker::{self, PacketSink, SinkFault};
use crate::core::credentials::Login;
use crate::core::time::Span;
use crate::gst::packet::Packet;
use gst::PushSession;

/// The server to send to.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub uri: url::Url,
    /// Credentials.
    pub login: Option<Login>,
    /// Trusted certificates; `None` for the system's.
    pub tls_ca_file: Option<PathBuf>,
}

/// Starts the sink.
///
/// # Errors
/// Where the thread cannot be started.
pub(crate) fn open(peer: Peer, context: &SinkContext<'_>) -> Result<SinkHandle, SinkError> {
    worker::spawn(PushSink { peer }, context)
}

struct PushSink {
    peer: Peer,
}

impl PushSink {
    fn fault(&self, why: &str) -> SinkFault {
        let host = self.peer.uri.host_str().unwrap_or_default();
        SinkFault::new(format!("cannot send to {host}: {why}"))
    }
}

impl PacketSink for PushSink {
    type Output = PushSession;

    const NAME: &'static str = "rtsp-push";
    const QUEUE_BYTES: usize = 8 << 20;

    fn open(&mut self, formats: &Formats) -> Result<PushSession, SinkFault> {
        PushSession::start(&self.peer, formats.clone()).map_err(|why| self.fault(&why))
    }

    fn is_over(&self, output: &PushSession, formats: &Formats, _gap: Span) -> bool {
        output.outdated(formats)
    }

    fn push(&mut self, output: &mut PushSession, packet: &Packet) -> Result<(), SinkFault> {
        output.push(packet).map_err(|why| self.fault(&why))
    }

    fn poll(&mut self, output: Option<&mut PushSession>) -> Result<bool, SinkFault> {
        output.map_or(Ok(false), |sending| sending.progress().map_err(|why| self.fault(&why)))
    }

    fn close(&mut self, output: PushSession) -> Result<(), SinkFault> {
        drop(output);
        Ok(())
    }

    fn abandon(&mut self, output: PushSession) {
        drop(output);
    }
}
