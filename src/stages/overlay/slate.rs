//! The slate that a live output shows while its source is lost, so that an old frame is not
//! mistaken for a live one.
//!
//! Input: lines of text and the frame's size. Output: one sprite with the lines in its middle, the
//! first one larger. Long lines are wrapped between words.

use std::sync::Arc;

use tiny_skia::Pixmap;

use super::cache::Pixels;
use super::palette::{LIGHT, Rgb};
use super::pixel_rect::PixelRect;
use super::sprite::{Sprite, SpriteContent};
use super::text::TextRenderer;

/// The first line's colour: a warning.
const WARNING: Rgb = Rgb(255, 176, 0);
/// Maximum number of lines.
const MAX_LINES: usize = 8;

/// Renders slates and caches the last one, as the text rarely changes.
pub(crate) struct SlateWriter {
    text: TextRenderer,
    last: Option<(Vec<String>, (u32, u32), Sprite)>,
}

impl Default for SlateWriter {
    fn default() -> Self {
        Self { text: TextRenderer::new(), last: None }
    }
}

impl SlateWriter {
    /// The sprite with `lines` for a frame of `size` (width, height); `None` if the frame is too
    /// small for text.
    pub(crate) fn write(&mut self, lines: &[String], size: (u32, u32)) -> Option<Sprite> {
        if let Some((last_lines, at, sprite)) = &self.last
            && last_lines == lines
            && *at == size
        {
            return Some(sprite.clone());
        }
        let sprite = self.paint(lines, size)?;
        self.last = Some((lines.to_vec(), size, sprite.clone()));
        Some(sprite)
    }

    fn paint(&mut self, lines: &[String], (width, height): (u32, u32)) -> Option<Sprite> {
        let em_px = (height / 22).clamp(10, 64);
        let head_px = em_px * 3 / 2;
        let mut rows: Vec<(String, u32, Rgb)> = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            let (em, colour) = if i == 0 { (head_px, WARNING) } else { (em_px, LIGHT) };
            let max_chars = (width as f32 * 0.9 / self.text.advance(em).max(1.0)) as usize;
            rows.extend(wrap(line, max_chars.max(8)).into_iter().map(|row| (row, em, colour)));
        }
        rows.truncate(MAX_LINES);
        let text_height: u32 = rows.iter().map(|(_, em, _)| em * 3 / 2).sum();
        let text_height = text_height.min(height);
        let mut map = Pixmap::new(width, text_height.max(1))?;
        let mut y = 0.0;
        for (row, em, colour) in rows {
            let row_width = self.text.advance(em) * row.chars().count() as f32;
            let x = ((width as f32 - row_width) / 2.0).max(0.0);
            self.text.draw(&mut map, &row, em, (x, y + self.text.cap_height(em) + 2.0), colour);
            y += (em * 3 / 2) as f32;
        }
        let pixels = Pixels::from(&map);
        let top = i32::try_from((height - text_height) / 2).ok()?;
        Some(Sprite {
            content: SpriteContent::Pixels(Arc::clone(&pixels.bgra)),
            rect: PixelRect { x: 0, y: top, w: pixels.width, h: pixels.height },
        })
    }
}

/// Wraps `line` into rows of at most `max_chars` characters, between words if possible.
fn wrap(line: &str, max_chars: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in line.split_whitespace() {
        let mut word = word;
        loop {
            let row = rows.last_mut().expect("there is always one");
            let space = usize::from(!row.is_empty());
            let left = max_chars.saturating_sub(row.chars().count() + space);
            if word.chars().count() <= left {
                if space == 1 {
                    row.push(' ');
                }
                row.push_str(word);
                break;
            }
            if row.is_empty() {
                let cut = word.char_indices().nth(max_chars).map_or(word.len(), |(at, _)| at);
                row.push_str(&word[..cut]);
                word = &word[cut..];
            }
            rows.push(String::new());
            if word.is_empty() {
                break;
            }
        }
    }
    rows.retain(|row| !row.is_empty());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_and_nothing_is_lost() {
        assert_eq!(wrap("no frame since noon", 10), ["no frame", "since noon"]);
        assert_eq!(wrap("abcdefghij klm", 4), ["abcd", "efgh", "ij", "klm"]);
        assert!(wrap("", 4).is_empty());
    }

    #[test]
    fn the_text_is_on_the_sprite_and_inside_the_frame() {
        let mut writer = SlateWriter::default();
        let lines = ["front-door: no frame".to_owned(), "since 12:00:00 UTC".to_owned()];
        for size in [(160, 120), (640, 360), (1920, 1080)] {
            let sprite = writer.write(&lines, size).expect("a sprite");
            assert!(sprite.rect.y >= 0 && sprite.rect.y as u32 + sprite.rect.h <= size.1);
            let inked = sprite.content.bgra().chunks_exact(4).filter(|p| p[3] > 128).count();
            assert!(inked > 100, "{inked} pixels at {size:?}");
            let again = writer.write(&lines, size).expect("the same");
            assert!(again.content.is_same(&sprite.content), "painted once");
        }
    }
}
