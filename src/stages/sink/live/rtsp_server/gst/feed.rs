//! The thread of a mount: packets from the edge to the mount's media, until the edge ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::WeakServer;
use super::media::Mount;
use crate::core::queue::{NoItem, Receiver};
use crate::gst::packet::{Kind, Packet};
use crate::stages::sink::live::context::SinkHandle;
use crate::stages::sink::live::preroll::{Formats, Preroll};
use crate::telemetry::status::Status;

/// How often the thread looks up while nothing comes.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Begins.
///
/// # Errors
/// Where there is no thread.
pub fn start(
    server: WeakServer,
    mount: Arc<Mount>,
    packets: Receiver<Packet>,
    status: &Status,
) -> io::Result<SinkHandle> {
    let heartbeat = status.heartbeat("rtsp-server");
    SinkHandle::spawn(&format!("rtsp:{}", mount.path), move || {
        let mut feed = Feed { server, mount, preroll: Preroll::default(), shown: None };
        loop {
            match packets.recv_timeout(POLL_INTERVAL) {
                Ok(packet) => feed.take(packet),
                Err(NoItem::Empty) => {}
                Err(NoItem::Ended) => break,
            }
            heartbeat.heartbeat();
            if feed.mount.is_closed() {
                return;
            }
        }
        if let Some(server) = feed.server.upgrade() {
            server.unmount(&feed.mount.path);
        }
    })
}

struct Feed {
    server: WeakServer,
    mount: Arc<Mount>,
    preroll: Preroll,
    /// The tracks as readers are told.
    shown: Option<Formats>,
}

impl Feed {
    fn take(&mut self, packet: Packet) {
        self.preroll.push(packet);
        while let Some(packet) = self.preroll.pop() {
            if packet.kind == (Kind::Image { key: true }) {
                self.show(&packet);
            }
            self.mount.offer(&packet);
        }
    }

    /// Lets readers find the mount; again where its tracks are others now.
    fn show(&mut self, key: &Packet) {
        let now = self.preroll.formats(key);
        let Some(server) = self.server.upgrade() else { return };
        // Another size is told inside the stream; readers need not come again for that.
        let audio = |f: &Formats| f.audio.as_ref().map(|s| s.caps.clone());
        match &mut self.shown {
            Some(shown) if audio(shown) == audio(&now) && !self.mount.is_broken() => {
                if shown.outdated(&now) {
                    self.mount.set_formats(now.clone());
                    *shown = now;
                }
            }
            shown => {
                self.mount.set_formats(now.clone());
                if shown.is_some() {
                    tracing::info!(mount = %self.mount.path, "the tracks have changed; readers must \
                                                              come again");
                    server.hide(&self.mount);
                }
                *shown = Some(now);
                server.show(&self.mount);
            }
        }
    }
}
