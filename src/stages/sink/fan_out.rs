//! Encoded once, handed to any number of sinks: none of them can hold up the encoder or another.
//!
//! Every sink reads an edge of its own on a thread of its own. When that edge is full the sink is
//! behind: what comes then is left out *for that sink*, up to the next keyframe, and counted.
//! Every sink starts with a keyframe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::queue::{Capacity, Overflow, Receiver, Sender, TrySendError, bounded};
use crate::gst::packet::{Kind, Packet};

/// Packets that may wait for a sink: ten seconds of frames at 30 a second and their audio.
const PACKETS_WAITING: usize = 800;

/// What a sink got and did not get.
#[derive(Debug, Default)]
pub struct OutletCounts {
    /// Packets handed over.
    pub sent: AtomicU64,
    /// Packets left out because the sink was behind.
    pub dropped: AtomicU64,
}

struct Outlet {
    name: String,
    packets: Sender<Packet>,
    /// Left out until the next keyframe.
    waits_for_key: bool,
    counts: Arc<OutletCounts>,
}

/// Hands packets to all sinks.
#[derive(Clone, Default)]
pub struct FanOut(Arc<Mutex<Vec<Outlet>>>);

impl FanOut {
    /// A new sink called `name`, which may be `bytes` behind.
    pub fn add(&self, name: &str, bytes: usize) -> (Receiver<Packet>, Arc<OutletCounts>) {
        let capacity = Capacity { items: PACKETS_WAITING, bytes };
        let (packets, out) = bounded("encoder→sink", capacity, Overflow::Block);
        let counts = Arc::new(OutletCounts::default());
        let outlet = Outlet {
            name: name.to_owned(),
            packets,
            waits_for_key: true,
            counts: Arc::clone(&counts),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outlet);
        (out, counts)
    }

    /// Nothing comes any more: every sink ends what it has begun.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Hands `packet` to every sink that has room. Never waits. Sinks that are gone are forgotten.
    pub fn offer(&self, packet: &Packet) {
        let mut outlets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outlets.retain_mut(|outlet| outlet.offer(packet));
    }
}

impl Outlet {
    /// `false` where nobody reads any more.
    fn offer(&mut self, packet: &Packet) -> bool {
        if packet.kind == (Kind::Image { key: true }) {
            self.waits_for_key = false;
        }
        if self.waits_for_key {
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
                self.waits_for_key = true;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}
