//! What an engine did: calls, items and time by kind of graph, counted where the calls are made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

/// The kinds of graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Graph {
    /// A search for faces; an item is a frame.
    Detect,
    /// The face encoder; an item is a face-frame.
    Face,
    /// The audio encoder; an item is a tick, those for context not counted.
    Audio,
    /// The head; an item is a tick of one row of its batch, past and lookahead included.
    Head,
    /// Faces that compete; an item is a tick.
    Compete,
}

impl Graph {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Detect, Self::Face, Self::Audio, Self::Head, Self::Compete];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detect => "face search",
            Self::Face => "face encoder",
            Self::Audio => "audio encoder",
            Self::Head => "head",
            Self::Compete => "competition",
        }
    }
}

/// One kind's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Count {
    /// Calls; what was asked at once, of several tracks or streams, is one.
    pub calls: u64,
    /// What went through it, see [`Graph`].
    pub items: u64,
    /// Time in the calls, in milliseconds, summed over the engine's threads.
    pub ms: f64,
    /// Bytes handed to the runtime.
    pub bytes: u64,
}

impl Count {
    /// In words, with the graph's name.
    pub fn words(&self, graph: Graph) -> String {
        let (seconds, each_ms) = (self.ms / 1e3, self.ms / self.calls.max(1) as f64);
        let (calls, items, mb) = (self.calls, self.items, self.bytes as f64 / 1e6);
        let name = graph.name();
        format!(
            "{seconds:8.2} s in {calls} calls of {each_ms:.2} ms, {items} items, {mb:.1} MB in: {name}"
        )
    }
}

#[derive(Debug, Default)]
struct Kind {
    calls: AtomicU64,
    items: AtomicU64,
    ns: AtomicU64,
    bytes: AtomicU64,
}

/// The counts of an engine, readable while it works.
#[derive(Debug, Default)]
pub struct Tally([Kind; 5]);

impl Tally {
    /// Does `call`, which hands `bytes` with `items` items to the runtime, and counts it.
    pub fn count<T>(
        &self,
        graph: Graph,
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

    /// The counts so far.
    pub fn read(&self, graph: Graph) -> Count {
        let kind = &self.0[graph as usize];
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Count {
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
        let tally = Tally::default();
        assert_eq!(tally.count(Graph::Head, 30, 8, || 7), 7);
        tally.count(Graph::Head, 10, 8, || std::thread::sleep(std::time::Duration::from_millis(2)));
        let head = tally.read(Graph::Head);
        assert_eq!((head.calls, head.items, head.bytes), (2, 40, 16));
        assert!(head.ms >= 2.0);
        assert!(head.words(Graph::Head).contains("in 2 calls of"), "{}", head.words(Graph::Head));
        assert_eq!(tally.read(Graph::Face), Count::default());
    }
}
