//! Text rendering.
//!
//! Input: a line of text and an em in pixels. Output: its size, or the text blended into a pixmap
//! with antialiasing and without kerning. The font is Hack Regular (MIT and Bitstream Vera
//! licences), embedded through the crate `epaint_default_fonts`. It is made for small sizes, and
//! its digits have one width, so that a changing score does not make its label jitter. Glyphs are
//! rasterised once per size and cached. A character missing from the font is drawn as a box.

use std::collections::HashMap;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use tiny_skia::Pixmap;

use super::palette::Rgb;

/// A rasterised glyph: coverage 0..=255 and its position relative to pen and baseline.
struct Mask {
    left: i32,
    top: i32,
    width: usize,
    coverage: Vec<u8>,
}

/// Glyphs cached before the cache is cleared: a few sizes × the few characters in use.
const MAX_GLYPHS: usize = 2048;

pub(super) struct TextRenderer {
    font: FontRef<'static>,
    glyphs: HashMap<(char, u32), Mask>,
}

impl TextRenderer {
    pub(super) fn new() -> Self {
        let font = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR)
            .expect("the embedded font is valid: a test loads it");
        Self { font, glyphs: HashMap::new() }
    }

    fn scale(&self, em_px: u32) -> PxScale {
        // ab_glyph's scale is ascent − descent, not the em.
        let units = self.font.units_per_em().unwrap_or(1000.0);
        PxScale::from(em_px as f32 * self.font.height_unscaled() / units)
    }

    /// Pixels from one character to the next; the font has one width for all.
    pub(super) fn advance(&self, em_px: u32) -> f32 {
        let scaled = self.font.as_scaled(self.scale(em_px));
        scaled.h_advance(scaled.glyph_id('0')).round()
    }

    /// Height of a capital letter or digit, in whole pixels.
    pub(super) fn cap_height(&self, em_px: u32) -> f32 {
        // Hack's capitals are 1493 of 2048 units high.
        (em_px as f32 * 0.729).round()
    }

    /// Blends `line` in `colour` with its left edge at `x` and its baseline at `y`.
    pub(super) fn draw(
        &mut self,
        map: &mut Pixmap,
        line: &str,
        em_px: u32,
        (x, y): (f32, f32),
        colour: Rgb,
    ) {
        let (scale, advance) = (self.scale(em_px), self.advance(em_px));
        if self.glyphs.len() > MAX_GLYPHS {
            self.glyphs.clear();
        }
        for (i, c) in line.chars().enumerate() {
            let pen = (x + advance * i as f32).round() as i32;
            let mask =
                self.glyphs.entry((c, em_px)).or_insert_with(|| rasterise(&self.font, c, scale));
            blend(map, mask, (pen, y.round() as i32), colour);
        }
    }
}

fn rasterise(font: &FontRef<'_>, c: char, scale: PxScale) -> Mask {
    let glyph = Glyph { id: font.glyph_id(c), scale, position: point(0.0, 0.0) };
    let Some(outline) = font.outline_glyph(glyph) else {
        return Mask { left: 0, top: 0, width: 0, coverage: Vec::new() };
    };
    let bounds = outline.px_bounds();
    let (width, height) = (bounds.width() as usize, bounds.height() as usize);
    let mut coverage = vec![0; width * height];
    outline.draw(|x, y, share| {
        let at = y as usize * width + x as usize;
        if let Some(cell) = coverage.get_mut(at) {
            *cell = (share.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    });
    Mask { left: bounds.min.x as i32, top: bounds.min.y as i32, width, coverage }
}

fn blend(map: &mut Pixmap, mask: &Mask, (pen, baseline): (i32, i32), colour: Rgb) {
    let (width, height) = (map.width() as i32, map.height() as i32);
    let data = map.data_mut();
    for (i, coverage) in mask.coverage.iter().enumerate().filter(|(_, c)| **c > 0) {
        let x = pen + mask.left + (i % mask.width) as i32;
        let y = baseline + mask.top + (i / mask.width) as i32;
        if x < 0 || y < 0 || x >= width || y >= height {
            continue;
        }
        let at = (y as usize * width as usize + x as usize) * 4;
        let alpha = u32::from(*coverage);
        let over = [colour.0, colour.1, colour.2, 255];
        for (under, over) in data[at..at + 4].iter_mut().zip(over) {
            let sum = u32::from(over) * alpha + u32::from(*under) * (255 - alpha);
            *under = ((sum + 127) / 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::palette::LIGHT;
    use super::*;

    #[test]
    fn the_font_has_every_character_that_is_drawn() {
        let text = TextRenderer::new();
        for c in "Person 0123456789.:?♪".chars() {
            assert_ne!(text.font.glyph_id(c).0, 0, "{c}");
        }
    }

    #[test]
    fn digits_reach_from_baseline_to_cap_height_and_blend_stays_premultiplied() {
        let mut text = TextRenderer::new();
        for em in [11, 16, 24, 48] {
            let mut map = Pixmap::new(em * 4, em * 2).expect("not empty");
            let baseline = em as f32 * 1.5;
            text.draw(&mut map, "08", em, (1.0, baseline), LIGHT);
            let rows = map.data().chunks_exact(em as usize * 16);
            let inked: Vec<usize> = rows
                .enumerate()
                .filter(|(_, row)| row.chunks_exact(4).any(|p| p[3] > 60))
                .map(|(y, _)| y)
                .collect();
            let (top, bottom) = (inked[0] as f32, inked[inked.len() - 1] as f32);
            assert!((bottom + 1.0 - baseline).abs() <= 1.0, "em {em}: {bottom} {baseline}");
            assert!((baseline - top - text.cap_height(em)).abs() <= 1.5, "em {em}: {top}");
            assert!(map.data().chunks_exact(4).all(|p| p[..3].iter().all(|c| *c <= p[3])));
        }
    }

    #[test]
    fn text_that_leaves_the_pixmap_is_cut_and_glyphs_are_bounded() {
        let mut text = TextRenderer::new();
        let mut map = Pixmap::new(8, 8).expect("not empty");
        for em in 1..600 {
            text.draw(&mut map, "Person \u{10FFFF}", em, (-20.0, 3.0), LIGHT);
        }
        assert!(text.glyphs.len() <= MAX_GLYPHS + 8);
    }
}
