//! The thread of a mount: moves packets from the queue to the mount's media until the queue ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::WeakServer;
use super::media::Mount;
use crate::core::queue::{NoItem, Receiver};
use crate::gst::packet::{Packet, PacketKind};
use crate::stages::sink::live::context::SinkHandle;
use crate::stages::sink::live::preroll::{Formats, Preroll};
use crate::telemetry::status::Status;

/// Interval at which the thread wakes up while no packet comes.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Starts the thread.
///
/// # Errors
/// Where the thread cannot be started.
pub(super) fn start(
    server: WeakServer,
    mount: Arc<Mount>,
    packets: Receiver<Packet>,
    status: &Status,
) -> io::Result<SinkHandle> {
    let heartbeat = status.heartbeat("rtsp-server");
    SinkHandle::spawn(&format!("rtsp:{}", mount.path), move || {
        let mut feed = Feed { server, mount, preroll: Preroll::default(), published: None };
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
    /// The tracks as published to readers.
    published: Option<Formats>,
}

impl Feed {
    fn take(&mut self, packet: Packet) {
        self.preroll.push(packet);
        while let Some(packet) = self.preroll.pop() {
            if packet.kind == (PacketKind::Video { keyframe: true }) {
                self.publish(&packet);
            }
            self.mount.offer(&packet);
        }
    }

    /// Publishes the mount; again if its tracks have changed.
    fn publish(&mut self, key: &Packet) {
        let now = self.preroll.formats(key);
        let Some(server) = self.server.upgrade() else { return };
        // A new frame size is signalled in the stream; readers need not reconnect for that.
        let audio = |f: &Formats| f.audio.as_ref().map(|s| s.caps.clone());
        match &mut self.published {
            Some(published) if audio(published) == audio(&now) && !self.mount.is_broken() => {
                if published.outdated(&now) {
                    self.mount.set_formats(now.clone());
                    *published = now;
                }
            }
            published => {
                self.mount.set_formats(now.clone());
                if published.is_some() {
                    tracing::info!(
                        mount = %self.mount.path,
                        "the tracks have changed; readers must reconnect"
                    );
                    server.unpublish(&self.mount);
                }
                *published = Some(now);
                server.publish(&self.mount);
            }
        }
    }
}
