//! The heatmap over a face.
//!
//! Input: a map 0..=1, the crop that it covers and P(speaking). Output: one sprite over the crop's
//! visible part. Colour and opacity follow the value, and opacity also follows the score: without
//! evidence nothing is drawn, and the face stays visible. The map lies exactly over its crop, even
//! if the crop reaches outside the frame. An invisible heatmap gives no sprite.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::palette::{Rgb, ramp};
use super::pixel_rect::PixelRect;
use super::sprite::{ColourTable, Sprite, SpriteContent};
use super::style::Opacity;
use crate::core::evidence::{Heatmap, PlacedHeatmap, TrackId};
use crate::stages::explain::upsample::Bicubic;

/// No heatmap below the first score, full opacity from the second one on.
const FADE_RANGE: (f32, f32) = (0.1, 0.6);

/// Opacity is the value to this power, so that half of a track's peak is still visible on a face.
const GAMMA: f32 = 0.8;

/// Alpha below which a sprite is invisible and not worth blending.
const MIN_VISIBLE_ALPHA: u8 = 6;

/// Paints heatmaps; caches the last one of each person for frames with the same map.
pub(super) struct HeatPainter {
    last: BTreeMap<TrackId, CachedHeatmap>,
    bicubic: Bicubic,
    /// By strength.
    colours: BTreeMap<u8, Arc<ColourTable>>,
}

struct CachedHeatmap {
    map: Arc<Heatmap>,
    strength: u8,
    part: [f64; 4],
    sprite: Sprite,
}

impl HeatPainter {
    pub(super) fn new() -> Self {
        Self { last: BTreeMap::new(), bicubic: Bicubic::default(), colours: BTreeMap::new() }
    }

    /// Drops the cache of everyone who is not `present`.
    pub(super) fn retain(&mut self, present: impl Fn(TrackId) -> bool) {
        self.last.retain(|track, _| present(*track));
    }

    /// The sprite of `track`'s map in a frame of `frame_size` pixels.
    pub(super) fn sprite(
        &mut self,
        track: TrackId,
        heat: &PlacedHeatmap,
        p: f32,
        opacity: Opacity,
        frame_size: (u32, u32),
    ) -> Option<Sprite> {
        let strength = (opacity.get() * fade(p) * 255.0).round() as u8;
        let visible = VisiblePart::new(heat, frame_size)?;
        if strength == 0 {
            return None;
        }
        if let Some(cached) = self.last.get(&track) {
            let same = Arc::ptr_eq(&cached.map, &heat.map)
                && cached.strength == strength
                && cached.part == visible.part
                && cached.sprite.rect == visible.rect;
            if same {
                return Some(cached.sprite.clone());
            }
        }
        let buffer = self.take_buffer(track);
        let content = self.paint(&visible, &heat.map, strength, buffer)?;
        let sprite = Sprite { content, rect: visible.rect };
        let map = Arc::clone(&heat.map);
        let cached = CachedHeatmap { map, strength, part: visible.part, sprite: sprite.clone() };
        self.last.insert(track, cached);
        Some(sprite)
    }

    /// The buffer of the track's last sprite, if nothing else uses it.
    fn take_buffer(&mut self, track: TrackId) -> Vec<u8> {
        let content = self.last.remove(&track).map(|cached| cached.sprite.content);
        match content {
            Some(SpriteContent::Indexed { values, .. }) => {
                Arc::try_unwrap(values).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn paint(
        &mut self,
        visible: &VisiblePart,
        map: &Heatmap,
        strength: u8,
        mut values: Vec<u8>,
    ) -> Option<SpriteContent> {
        let [left, right, top, bottom] = visible.part;
        let PixelRect { w, h, .. } = visible.rect;
        let (from, to) = ((map.width(), map.height()), (w as usize, h as usize));
        let mapped = self.bicubic.set_mapping(from, ((left, right), (top, bottom)), to);
        if !mapped {
            return None;
        }
        self.bicubic.evidence_u8(map.values(), &mut values);
        let colours = self.colours.entry(strength).or_insert_with(|| Arc::new(colours(strength)));
        let highest = values.iter().copied().max()?;
        let is_visible = colours[usize::from(highest)][3] >= MIN_VISIBLE_ALPHA;
        is_visible.then(|| SpriteContent::Indexed {
            values: Arc::new(values),
            colours: Arc::clone(colours),
        })
    }
}

/// Opacity factor of a score: a smooth step from 0 to 1 over [`FADE_RANGE`].
fn fade(p: f32) -> f32 {
    let t = ((p - FADE_RANGE.0) / (FADE_RANGE.1 - FADE_RANGE.0)).clamp(0.0, 1.0);
    if t.is_nan() { 0.0 } else { t * t * (3.0 - 2.0 * t) }
}

/// The part of a crop that lies inside the frame.
struct VisiblePart {
    rect: PixelRect,
    /// Left, right, top, bottom of the rectangle in cells of the map.
    part: [f64; 4],
}

impl VisiblePart {
    fn new(heat: &PlacedHeatmap, frame_size: (u32, u32)) -> Option<Self> {
        let over = heat.over;
        if ![over.x1, over.y1, over.x2, over.y2].iter().all(|v| v.is_finite()) {
            return None;
        }
        let (across, w, x) = axis(over.x1, over.x2, frame_size.0, heat.map.width())?;
        let (down, h, y) = axis(over.y1, over.y2, frame_size.1, heat.map.height())?;
        let part = [across.0, across.1, down.0, down.1];
        Some(Self { rect: PixelRect { x, y, w, h }, part })
    }
}

/// Along one axis: the visible part in cells, its length in pixels and its start.
fn axis(from: f32, to: f32, frame_size: u32, cells: usize) -> Option<((f64, f64), u32, i32)> {
    let (from, to) = (f64::from(from), f64::from(to));
    let start = from.round().clamp(0.0, f64::from(frame_size));
    let end = to.round().clamp(0.0, f64::from(frame_size));
    if end - start < 1.0 || to - from < 1.0 {
        return None;
    }
    let cell = |at: f64| (at - from) / (to - from) * cells as f64;
    Some(((cell(start), cell(end)), (end - start) as u32, start as i32))
}

/// Opacity and colour of each of 256 values at full strength.
static RAMP: LazyLock<[(f32, Rgb); 256]> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        let value = i as f32 / 255.0;
        (value.powf(GAMMA), ramp(value))
    })
});

fn colours(strength: u8) -> ColourTable {
    RAMP.map(|(opacity, Rgb(r, g, b))| {
        let alpha = f32::from(strength) / 255.0 * opacity;
        let under = |c: u8| (f32::from(c) * alpha).round() as u8;
        [under(b), under(g), under(r), (alpha * 255.0).round() as u8]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::geometry::Rect;

    fn placed(values: Vec<f32>, side: usize, over: Rect) -> PlacedHeatmap {
        let map = Arc::new(Heatmap::new(side, side, values.into()).expect("a map"));
        PlacedHeatmap { map, over }
    }

    fn ridge() -> Vec<f32> {
        (0..196).map(|i| if i / 14 == 10 { 1.0 } else { 0.0 }).collect()
    }

    fn draw(heat: &PlacedHeatmap, p: f32) -> Option<Sprite> {
        let opacity = Opacity::new(0.6).expect("a share");
        HeatPainter::new().sprite(TrackId(1), heat, p, opacity, (320, 240))
    }

    #[test]
    fn no_evidence_is_no_sprite() {
        let over = Rect::new(10.0, 10.0, 110.0, 110.0);
        assert!(draw(&placed(vec![0.0; 196], 14, over), 1.0).is_none());
        assert!(draw(&placed(vec![0.01; 196], 14, over), 1.0).is_none());
        assert!(draw(&placed(ridge(), 14, over), 0.05).is_none());
        assert!(draw(&placed(ridge(), 14, over), f32::NAN).is_none());
        let out = Rect::new(-90.0, 10.0, -1.0, 110.0);
        assert!(draw(&placed(ridge(), 14, out), 1.0).is_none());
        assert!(draw(&placed(ridge(), 14, Rect::new(f32::NAN, 0.0, 9.0, 9.0)), 1.0).is_none());
    }

    #[test]
    fn opacity_follows_the_score_and_leaves_the_face_visible() {
        let heat = placed(ridge(), 14, Rect::new(10.0, 10.0, 110.0, 110.0));
        let peak = |p| {
            let sprite = draw(&heat, p).expect("evidence");
            let bgra = sprite.content.bgra();
            assert!(bgra.chunks_exact(4).all(|p| p[..3].iter().all(|c| *c <= p[3])));
            bgra.chunks_exact(4).map(|p| p[3]).max().unwrap_or(0)
        };
        let (sure, unsure) = (peak(0.95), peak(0.3));
        assert!((140..=154).contains(&sure), "{sure}");
        assert!(unsure < sure / 2 && unsure > 0, "{unsure}");
    }

    #[test]
    fn the_map_lies_over_its_crop_also_if_the_crop_is_cut() {
        // The ridge is in the 11th of 14 rows: 75 % down the crop.
        for (over, row) in [
            (Rect::new(100.0, 20.0, 200.0, 120.0), 95.0),
            (Rect::new(100.0, -60.0, 200.0, 140.0), 90.0),
            (Rect::new(-50.0, 150.0, 50.0, 250.0), 225.0),
            (Rect::new(30.0, 30.0, 50.0, 50.0), 45.0),
            (Rect::new(-400.0, -400.0, 1200.0, 300.0), 125.0),
        ] {
            let sprite = draw(&placed(ridge(), 14, over), 1.0).expect("evidence");
            let rect = sprite.rect;
            assert!(rect.x >= 0 && rect.y >= 0, "{rect:?}");
            assert!(rect.x as u32 + rect.w <= 320 && rect.y as u32 + rect.h <= 240);
            let (row_bytes, bgra) = (rect.w as usize * 4, sprite.content.bgra());
            let weight = |y: usize| f32::from(bgra[y * row_bytes + 3]);
            let rows = 0..rect.h as usize;
            let (mut sum, mut total) = (0.0, 0.0);
            for y in rows {
                let at = rect.y as f32 + y as f32 + 0.5;
                sum += weight(y) * at;
                total += weight(y);
            }
            let found = sum / total;
            let tolerance = 1.0 + over.height() / 200.0;
            assert!((found - row).abs() < tolerance, "{over:?}: {found} for {row}");
        }
    }

    #[test]
    fn the_same_map_reuses_the_same_buffer() {
        let heat = placed(ridge(), 14, Rect::new(10.0, 10.0, 110.0, 110.0));
        let mut painter = HeatPainter::new();
        let mut draw = |p| {
            let opacity = Opacity::default();
            painter.sprite(TrackId(1), &heat, p, opacity, (320, 240)).expect("evidence")
        };
        let first = draw(0.9);
        assert!(first.content.is_same(&draw(0.9).content));
        assert_ne!(first, draw(0.4));
        painter.retain(|_| false);
        assert!(painter.last.is_empty());
    }

    #[test]
    fn a_sprite_is_as_large_as_its_rect() {
        let heat = placed(ridge(), 14, Rect::new(-20.0, 0.0, 319.0, 239.0));
        let sprite = draw(&heat, 1.0).expect("evidence");
        assert_eq!((sprite.rect.w, sprite.rect.h), (319, 239));
        assert_eq!(sprite.content.bgra().len(), 319 * 239 * 4);
    }
}
