//! Sent to another RTSP server by RECORD, again and again until it accepts.

mod gst;

use std::path::PathBuf;

use super::context::{SinkContext, SinkError, SinkHandle};
use super::preroll::Formats;
use super::worker::{self, PacketSink, SinkFault};
use crate::core::credentials::Login;
use crate::core::time::Span;
use crate::gst::packet::Packet;
use gst::Sending;

/// The server that it is sent to.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub uri: url::Url,
    /// The login there.
    pub login: Option<Login>,
    /// Certificates that are trusted; the system's where it is `None`.
    pub tls_ca_file: Option<PathBuf>,
}

/// Starts the sink.
///
/// # Errors
/// Where there is no thread.
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
    type Output = Sending;

    const NAME: &'static str = "rtsp-push";
    const QUEUE_BYTES: usize = 8 << 20;

    fn open(&mut self, formats: &Formats) -> Result<Sending, SinkFault> {
        Sending::start(&self.peer, formats.clone()).map_err(|why| self.fault(&why))
    }

    fn is_over(&self, output: &Sending, formats: &Formats, _gap: Span) -> bool {
        output.outdated(formats)
    }

    fn push(&mut self, output: &mut Sending, packet: &Packet) -> Result<(), SinkFault> {
        output.push(packet).map_err(|why| self.fault(&why))
    }

    fn poll(&mut self, output: Option<&mut Sending>) -> Result<bool, SinkFault> {
        output.map_or(Ok(false), |sending| sending.progress().map_err(|why| self.fault(&why)))
    }

    fn close(&mut self, output: Sending) -> Result<(), SinkFault> {
        drop(output);
        Ok(())
    }

    fn abandon(&mut self, output: Sending) {
        drop(output);
    }
}
