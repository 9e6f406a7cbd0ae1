//! The heatmap over a face.
//!
//! Takes a map 0..=1, the crop it lies over and P(speaking); gives one sprite over the crop's
//! visible part. Promises: colour and opacity both follow the value, and opacity also follows the
//! score, so that no evidence looks like no evidence and the face stays visible; the map lies
//! exactly over its crop, also where that reaches outside the frame. Where nothing would be seen,
//! there is no sprite.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::palette::{Rgb, ramp};
use super::style::Opacity;
use super::{Paint, Place, Shades, Sprite};
use crate::core::evidence::{Heatmap, PlacedHeatmap, TrackId};
use crate::stages::explain::upsample::Bicubic;

/// Below the first score nothing is drawn, from the second on everything.
const FADE: (f32, f32) = (0.1, 0.6);

/// Opacity is the value to this power: half a track's best evidence must still be seen on a face.
const GAMMA: f32 = 0.8;

/// Alpha below which a sprite cannot be seen, so is not worth blending.
const FAINTEST: u8 = 6;

/// Heatmaps drawn last, by person, for frames that show the same map again.
pub(super) struct HeatPainter {
    last: BTreeMap<TrackId, Drawn>,
    bicubic: Bicubic,
    /// By strength.
    colours: BTreeMap<u8, Arc<Shades>>,
}

struct Drawn {
    map: Arc<Heatmap>,
    strength: u8,
    part: [f64; 4],
    sprite: Sprite,
}

impl HeatPainter {
    pub(super) fn new() -> Self {
        Self { last: BTreeMap::new(), bicubic: Bicubic::default(), colours: BTreeMap::new() }
    }

    /// Forgets everyone but `present`.
    pub(super) fn keep_only(&mut self, present: impl Fn(TrackId) -> bool) {
        self.last.retain(|track, _| present(*track));
    }

    /// The sprite of `track`'s map in a frame of `image` pixels.
    pub(super) fn sprite(
        &mut self,
        track: TrackId,
        heat: &PlacedHeatmap,
        p: f32,
        opacity: Opacity,
        image: (u32, u32),
    ) -> Option<Sprite> {
        let strength = (opacity.get() * fade(p) * 255.0).round() as u8;
        let visible = Visible::new(heat, image)?;
        if strength == 0 {
            return None;
        }
        if let Some(drawn) = self.last.get(&track) {
            let same = Arc::ptr_eq(&drawn.map, &heat.map)
                && drawn.strength == strength
                && drawn.part == visible.part
                && drawn.sprite.place == visible.place;
            if same {
                return Some(drawn.sprite.clone());
            }
        }
        let memory = self.memory_of(track);
        let paint = self.paint(&visible, &heat.map, strength, memory)?;
        let sprite = Sprite { paint, place: visible.place };
        let map = Arc::clone(&heat.map);
        let drawn = Drawn { map, strength, part: visible.part, sprite: sprite.clone() };
        self.last.insert(track, drawn);
        Some(sprite)
    }

    /// The memory of the track's last sprite, where nobody shows that any more.
    fn memory_of(&mut self, track: TrackId) -> Vec<u8> {
        let paint = self.last.remove(&track).map(|drawn| drawn.sprite.paint);
        match paint {
            Some(Paint::Shades { values, .. }) => Arc::try_unwrap(values).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn paint(
        &mut self,
        visible: &Visible,
        map: &Heatmap,
        strength: u8,
        mut values: Vec<u8>,
    ) -> Option<Paint> {
        let [left, right, top, bottom] = visible.part;
        let Place { w, h, .. } = visible.place;
        let (from, to) = ((map.width(), map.height()), (w as usize, h as usize));
        let aimed = self.bicubic.set_mapping(from, ((left, right), (top, bottom)), to);
        if !aimed {
            return None;
        }
        self.bicubic.evidence_u8(map.values(), &mut values);
        let colours = self.colours.entry(strength).or_insert_with(|| Arc::new(colours(strength)));
        let highest = values.iter().copied().max()?;
        let seen = colours[usize::from(highest)][3] >= FAINTEST;
        seen.then(|| Paint::Shades { values: Arc::new(values), colours: Arc::clone(colours) })
    }
}

/// How much of the opacity is left at a score: smooth from 0 to 1 between the bounds of [`FADE`].
fn fade(p: f32) -> f32 {
    let t = ((p - FADE.0) / (FADE.1 - FADE.0)).clamp(0.0, 1.0);
    if t.is_nan() { 0.0 } else { t * t * (3.0 - 2.0 * t) }
}

/// The part of a crop that lies in the frame.
struct Visible {
    place: Place,
    /// Left, right, top, bottom of the place in cells of the map.
    part: [f64; 4],
}

impl Visible {
    fn new(heat: &PlacedHeatmap, image: (u32, u32)) -> Option<Self> {
        let over = heat.over;
        if ![over.x1, over.y1, over.x2, over.y2].iter().all(|v| v.is_finite()) {
            return None;
        }
        let (across, w, x) = axis(over.x1, over.x2, image.0, heat.map.width())?;
        let (down, h, y) = axis(over.y1, over.y2, image.1, heat.map.height())?;
        let part = [across.0, across.1, down.0, down.1];
        Some(Self { place: Place { x, y, w, h }, part })
    }
}

/// Along one axis: the visible part in cells, its length in pixels and where it starts.
fn axis(from: f32, to: f32, image: u32, cells: usize) -> Option<((f64, f64), u32, i32)> {
    let (from, to) = (f64::from(from), f64::from(to));
    let start = from.round().clamp(0.0, f64::from(image));
    let end = to.round().clamp(0.0, f64::from(image));
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

fn colours(strength: u8) -> Shades {
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
            let bgra = sprite.paint.bgra();
            assert!(bgra.chunks_exact(4).all(|p| p[..3].iter().all(|c| *c <= p[3])));
            bgra.chunks_exact(4).map(|p| p[3]).max().unwrap_or(0)
        };
        let (sure, unsure) = (peak(0.95), peak(0.3));
        assert!((140..=154).contains(&sure), "{sure}");
        assert!(unsure < sure / 2 && unsure > 0, "{unsure}");
    }

    #[test]
    fn the_map_lies_over_its_crop_also_when_that_is_cut() {
        // The ridge is in the 11th of 14 rows: 75 % down the crop.
        for (over, row) in [
            (Rect::new(100.0, 20.0, 200.0, 120.0), 95.0),
            (Rect::new(100.0, -60.0, 200.0, 140.0), 90.0),
            (Rect::new(-50.0, 150.0, 50.0, 250.0), 225.0),
            (Rect::new(30.0, 30.0, 50.0, 50.0), 45.0),
            (Rect::new(-400.0, -400.0, 1200.0, 300.0), 125.0),
        ] {
            let sprite = draw(&placed(ridge(), 14, over), 1.0).expect("evidence");
            let place = sprite.place;
            assert!(place.x >= 0 && place.y >= 0, "{place:?}");
            assert!(place.x as u32 + place.w <= 320 && place.y as u32 + place.h <= 240);
            let (row_bytes, bgra) = (place.w as usize * 4, sprite.paint.bgra());
            let weight = |y: usize| f32::from(bgra[y * row_bytes + 3]);
            let rows = 0..place.h as usize;
            let (mut sum, mut total) = (0.0, 0.0);
            for y in rows {
                let at = place.y as f32 + y as f32 + 0.5;
                sum += weight(y) * at;
                total += weight(y);
            }
            let found = sum / total;
            let tolerance = 1.0 + over.height() / 200.0;
            assert!((found - row).abs() < tolerance, "{over:?}: {found} for {row}");
        }
    }

    #[test]
    fn the_same_map_again_is_the_same_memory() {
        let heat = placed(ridge(), 14, Rect::new(10.0, 10.0, 110.0, 110.0));
        let mut painter = HeatPainter::new();
        let mut draw = |p| {
            let opacity = Opacity::default();
            painter.sprite(TrackId(1), &heat, p, opacity, (320, 240)).expect("evidence")
        };
        let first = draw(0.9);
        assert!(first.paint.is(&draw(0.9).paint));
        assert_ne!(first, draw(0.4));
        painter.keep_only(|_| false);
        assert!(painter.last.is_empty());
    }

    #[test]
    fn a_sprite_is_as_large_as_its_place() {
        let heat = placed(ridge(), 14, Rect::new(-20.0, 0.0, 319.0, 239.0));
        let sprite = draw(&heat, 1.0).expect("evidence");
        assert_eq!((sprite.place.w, sprite.place.h), (319, 239));
        assert_eq!(sprite.paint.bgra().len(), 319 * 239 * 4);
    }
}
