//! Inference statistics: calls, items and time for each kind of graph, counted around each call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

/// The kinds of graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphKind {
    /// The face detector; an item is a frame.
    Detect,
    /// The face encoder; an item is one frame of one face.
    Face,
    /// The audio encoder; an item is a tick, without those for context.
    Audio,
    /// The head; an item is a tick of one batch row, with past and lookahead.
    Head,
    /// Cross-face rescoring; an item is a tick.
    CrossFace,
}

impl GraphKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Detect, Self::Face, Self::Audio, Self::Head, Self::CrossFace];

    /// A readable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detect => "face detector",
            Self::Face => "face encoder",
            Self::Audio => "audio encoder",
            Self::Head => "head",
            Self::CrossFace => "cross-face rescoring",
        }
    }
}

/// The statistics of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct GraphStats {
    /// Calls; a batch of several tracks or streams is one.
    pub calls: u64,
    /// Items, see [`GraphKind`].
    pub items: u64,
    /// Time in calls in milliseconds, summed over the engine's threads.
    pub ms: f64,
    /// Input bytes.
    pub bytes: u64,
}

impl GraphStats {
    /// A readable line with the graph's name.
    pub fn summary(&self, graph: GraphKind) -> String {
        let (seconds, each_ms) = (self.ms / 1e3, self.ms / self.calls.max(1) as f64);
        let (calls, items, mb) = (self.calls, self.items, self.bytes as f64 / 1e6);
        let name = graph.name();
        format!(
            "{seconds:8.2} s in {calls} calls of {each_ms:.2} ms, {items} items, {mb:.1} MB in: {name}"
        )
    }
}

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    items: AtomicU64,
    ns: AtomicU64,
    bytes: AtomicU64,
}

/// The statistics of an engine; they can be read while it runs.
#[derive(Debug, Default)]
pub struct InferenceStats([Counters; 5]);

impl InferenceStats {
    /// Runs `call`, which has `items` items and `bytes` of input, and counts it.
    pub fn count<T>(
        &self,
        graph: GraphKind,
        items: usize,
        bytes: usize,
        call: impl FnOnce() -> T,
    ) -> T {
        let began = Instant::now();
        let done = call();
        let kind = &self.0[graph as usize];
        let add = |to: &AtomicU64, n: u128| to.fetch_add(n as u64, Ordering::Relaxed);
        add(&kind.calls, 1);
        add(&kind.items, items as u128);
        add(&kind.bytes, bytes as u128);
        add(&kind.ns, began.elapsed().as_nanos());
        done
    }

    /// The statistics so far.
    pub fn read(&self, graph: GraphKind) -> GraphStats {
        let kind = &self.0[graph as usize];
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        GraphStats {
            calls: of(&kind.calls),
            items: of(&kind.items),
            ms: of(&kind.ns) as f64 / 1e6,
            bytes: of(&kind.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_their_kind() {
        let stats = InferenceStats::default();
        assert_eq!(stats.count(GraphKind::Head, 30, 8, || 7), 7);
        let two_ms = std::time::Duration::from_millis(2);
        stats.count(GraphKind::Head, 10, 8, || std::thread::sleep(two_ms));
        let head = stats.read(GraphKind::Head);
        assert_eq!((head.calls, head.items, head.bytes), (2, 40, 16));
        assert!(head.ms >= 2.0);
        let summary = head.summary(GraphKind::Head);
        assert!(summary.contains("in 2 calls of"), "{summary}");
        assert_eq!(stats.read(GraphKind::Face), GraphStats::default());
    }
}
