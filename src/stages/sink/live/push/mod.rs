//! Sent to another RTSP server: RECORD, again and again until it takes it.

mod gst;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::gather::Gather;
use super::{SinkContext, SinkError, SinkHandle};
use crate::core::backoff::Backoff;
use crate::core::credentials::Login;
use crate::core::queue::{NoItem, Receiver};
use crate::gst::packet::{Kind, Packet};
use crate::telemetry::metrics::{Metrics, reason_labels};
use crate::telemetry::status::Status;
use gst::Sending;

/// What the network may be behind, in bytes.
const BEHIND_BYTES: usize = 8 << 20;
/// How often the thread looks up while nothing comes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Whom it is sent to.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub uri: url::Url,
    /// Who to be there.
    pub login: Option<Login>,
    /// Certificates that are trusted; the system's where it is `None`.
    pub tls_ca_file: Option<PathBuf>,
}

/// Begins to send.
///
/// # Errors
/// Where there is no thread.
pub fn open(peer: Peer, context: &SinkContext<'_>) -> Result<SinkHandle, SinkError> {
    let (packets, _) = context.fan_out.add("rtsp-push", BEHIND_BYTES);
    let push = Push {
        peer,
        status: context.status.clone(),
        metrics: context.metrics.clone(),
        gather: Gather::default(),
        sending: None,
        backoff: Backoff::default(),
        next_try: Instant::now(),
    };
    Ok(SinkHandle::spawn("rtsp-push", move || push.run(&packets))?)
}

struct Push {
    peer: Peer,
    status: Status,
    metrics: Metrics,
    gather: Gather,
    sending: Option<Sending>,
    backoff: Backoff,
    next_try: Instant,
}

impl Push {
    fn run(mut self, packets: &Receiver<Packet>) {
        let heartbeat = self.status.external_heartbeat("rtsp-push");
        loop {
            match packets.recv_timeout(POLL_INTERVAL) {
                Ok(packet) => self.take(packet),
                Err(NoItem::Empty) => {}
                Err(NoItem::Ended) => return,
            }
            self.look_after();
            heartbeat.heartbeat();
        }
    }

    fn take(&mut self, packet: Packet) {
        self.gather.push(packet);
        while let Some(packet) = self.gather.pop() {
            if packet.kind == (Kind::Image { key: true }) {
                self.cut(&packet);
            }
            if let Some(why) = self.sending.as_ref().and_then(|s| s.push(&packet).err()) {
                self.stop(why);
            }
        }
    }

    fn cut(&mut self, key: &Packet) {
        let formats = self.gather.formats(key);
        if self.sending.as_ref().is_some_and(|s| s.outdated(&formats)) {
            self.sending = None;
        }
        if self.sending.is_none() && Instant::now() >= self.next_try {
            match Sending::start(&self.peer, formats) {
                Ok(sending) => self.sending = Some(sending),
                Err(why) => self.stop(why),
            }
        }
    }

    fn look_after(&mut self) {
        match self.sending.as_mut().map(Sending::progress) {
            Some(Ok(true)) => {
                self.backoff.reset();
                self.status.set_sink_error("rtsp-push", None);
            }
            Some(Err(why)) => self.stop(why),
            Some(Ok(false)) | None => {}
        }
    }

    fn stop(&mut self, why: String) {
        self.sending = None;
        self.next_try = Instant::now() + self.backoff.next_wait();
        let stream = &self.status.stream;
        self.metrics.reconnects.get_or_create(&reason_labels(stream, "rtsp-push", "error")).inc();
        let host = self.peer.uri.host_str().unwrap_or_default();
        tracing::warn!(stream = %stream, "cannot send to {host}: {why}");
        self.status.set_sink_error("rtsp-push", Some(format!("cannot send to {host}: {why}")));
    }
}
