//! Encoded once, handed to any number of sinks: none of them can hold up the encoder or another.
//!
//! Every sink reads an edge of its own on a thread of its own. When that edge is full the sink is
//! behind: what comes then is left out *for that sink*, up to the next keyframe, and counted.
//! Every sink starts with a keyframe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::queue::{Capacity, Overflow, Receiver, Sender, TrySendError, bounded};
use crate::gst::packet::{Packet, PacketKind};

/// Packets that may wait for a sink: ten seconds of frames at 30 a second and their audio.
const MAX_PACKETS: usize = 800;

/// What a sink got and did not get.
#[derive(Debug, Default)]
pub struct SinkCounts {
    /// Packets handed over.
    pub sent: AtomicU64,
    /// Packets left out because the sink was behind.
    pub dropped: AtomicU64,
}

struct SinkQueue {
    name: String,
    packets: Sender<Packet>,
    /// Left out until the next keyframe.
    waiting_for_keyframe: bool,
    counts: Arc<SinkCounts>,
}

/// Hands packets to all sinks.
#[derive(Clone, Default)]
pub struct FanOut(Arc<Mutex<Vec<SinkQueue>>>);

impl FanOut {
    /// A new sink called `name`, which may be `bytes` behind.
    pub fn add(&self, name: &str, bytes: usize) -> (Receiver<Packet>, Arc<SinkCounts>) {
        let capacity = Capacity { items: MAX_PACKETS, bytes };
        let (packets, receiver) = bounded("encoder→sink", capacity, Overflow::Block);
        let counts = Arc::new(SinkCounts::default());
        let sink = SinkQueue {
            name: name.to_owned(),
            packets,
            waiting_for_keyframe: true,
            counts: Arc::clone(&counts),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sink);
        (receiver, counts)
    }

    /// Nothing comes any more: every sink ends what it has begun.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Hands `packet` to every sink that has room. Never waits. Sinks that are gone are forgotten.
    pub fn offer(&self, packet: &Packet) {
        let mut sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain_mut(|sink| sink.offer(packet));
    }
}

impl SinkQueue {
    /// `false` where nobody reads any more.
    fn offer(&mut self, packet: &Packet) -> bool {
        if packet.kind == (PacketKind::Video { keyframe: true }) {
            self.waiting_for_keyframe = false;
        }
        if self.waiting_for_keyframe {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        match self.packets.try_send(packet.clone()) {
            Ok(()) => {
                self.counts.sent.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Full(_)) => {
                tracing::debug!(sink = %self.name, "behind; left out until the next keyframe");
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                self.waiting_for_keyframe = true;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}
