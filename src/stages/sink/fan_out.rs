//! Sends the packets of one encoder to any number of sinks. No sink can block the encoder or
//! another sink.
//!
//! Every sink has its own queue and thread. If its queue is full, packets are dropped *for that
//! sink* until the next keyframe, and counted. Every sink starts with a keyframe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::queue::{Capacity, Overflow, Receiver, Sender, TrySendError, bounded};
use crate::gst::packet::{Packet, PacketKind};

/// Packets that may wait for a sink: ten seconds of video at 30 fps and its audio.
const MAX_PACKETS: usize = 800;

/// Packets that a sink got and missed.
#[derive(Debug, Default)]
pub(crate) struct SinkCounts {
    /// Packets sent.
    pub sent: AtomicU64,
    /// Packets dropped because the queue was full.
    pub dropped: AtomicU64,
}

struct SinkQueue {
    name: String,
    packets: Sender<Packet>,
    /// Packets are dropped until the next keyframe.
    waiting_for_keyframe: bool,
    counts: Arc<SinkCounts>,
}

/// Sends packets to all sinks.
#[derive(Clone, Default)]
pub(crate) struct FanOut(Arc<Mutex<Vec<SinkQueue>>>);

impl FanOut {
    /// Adds the sink `name` with a queue of `bytes`.
    pub(crate) fn add(&self, name: &str, bytes: usize) -> (Receiver<Packet>, Arc<SinkCounts>) {
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

    /// Ends all queues: every sink finishes its output.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends `packet` to every sink with room. Never blocks. Removes sinks that have ended.
    pub(crate) fn offer(&self, packet: &Packet) {
        let mut sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain_mut(|sink| sink.offer(packet));
    }
}

impl SinkQueue {
    /// `false` if the sink has ended.
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
                tracing::debug!(sink = %self.name, "queue full; dropping until the next keyframe");
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                self.waiting_for_keyframe = true;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}
