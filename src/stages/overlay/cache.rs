//! A cache of painted sprites.
//!
//! Input: a key and a function that paints it. Output: the shared pixels. The cache is bounded in
//! bytes by two generations. When the young one is full, the old one is dropped. Entries in use
//! move to the young generation, so no usage list is needed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tiny_skia::Pixmap;

/// Pixels without a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pixels {
    pub(super) bgra: Arc<[u8]>,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl From<&Pixmap> for Pixels {
    /// tiny-skia stores premultiplied R, G, B, A.
    fn from(map: &Pixmap) -> Self {
        let mut bgra: Arc<[u8]> = Arc::from(map.data());
        let bytes = Arc::get_mut(&mut bgra).into_iter().flat_map(|b| b.chunks_exact_mut(4));
        bytes.for_each(|pixel| pixel.swap(0, 2));
        Self { bgra, width: map.width(), height: map.height() }
    }
}

/// Bytes one generation may hold.
const GENERATION_BYTES: usize = 4 << 20;

pub(super) struct SpriteCache<K> {
    young: HashMap<K, Pixels>,
    old: HashMap<K, Pixels>,
    young_bytes: usize,
}

impl<K: Hash + Eq> SpriteCache<K> {
    pub(super) fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0 }
    }

    /// The pixels of `key`, painted on a miss; `None` if `paint` gives none.
    pub(super) fn get(&mut self, key: K, paint: impl FnOnce() -> Option<Pixels>) -> Option<Pixels> {
        if let Some(found) = self.young.get(&key) {
            return Some(found.clone());
        }
        let pixels = match self.old.remove(&key) {
            Some(found) => found,
            None => paint()?,
        };
        // A key and its map entry take memory too.
        let bytes = pixels.bgra.len() + 128;
        if self.young_bytes + bytes > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, pixels.clone());
        Some(pixels)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.young.values().chain(self.old.values()).map(|p| p.bgra.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(width: u32) -> Option<Pixels> {
        Pixmap::new(width, 64).map(|map| Pixels::from(&map))
    }

    #[test]
    fn it_stays_bounded_and_keeps_entries_in_use() {
        let mut cache = SpriteCache::new();
        let first = cache.get(0, || blank(64)).expect("painted");
        for key in 1..5000 {
            cache.get(key, || blank(64));
            let again = cache.get(0, || panic!("in use, so not painted again"));
            assert!(Arc::ptr_eq(&again.expect("kept").bgra, &first.bgra));
            assert!(cache.bytes() <= 2 * GENERATION_BYTES);
        }
        assert!(cache.get(7, || None).is_none(), "long unused, so evicted");
    }

    #[test]
    fn red_and_blue_are_swapped() {
        let mut map = Pixmap::new(1, 1).expect("a pixel");
        map.fill(tiny_skia::Color::from_rgba8(255, 0, 0, 255));
        assert_eq!(Pixels::from(&map).bgra[..], [0, 0, 255, 255]);
    }
}
