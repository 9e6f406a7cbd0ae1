//! The slate: what a live output shows while its source is away, so that nobody takes an old frame
//! for a live one.
//!
//! Takes lines of text and the frame's size; gives one sprite with the lines in its middle, the
//! first one larger. Lines that are too long are broken between words.

use std::sync::Arc;

use tiny_skia::Pixmap;

use super::cache::Pixels;
use super::palette::{LIGHT, Rgb};
use super::text::Text;
use super::{Paint, Place, Sprite};

/// The first line's colour: what warns.
const WARNING: Rgb = Rgb(255, 176, 0);
/// The most lines that are shown.
const MOST_LINES: usize = 8;

/// Writes slates; keeps the last one, which mostly stays the same.
pub struct SlateWriter {
    text: Text,
    last: Option<(Vec<String>, (u32, u32), Sprite)>,
}

impl Default for SlateWriter {
    fn default() -> Self {
        Self { text: Text::new(), last: None }
    }
}

impl SlateWriter {
    /// The sprite that says `lines` on a frame of `size` (width, height); `None` where the frame
    /// is too small for letters.
    pub fn write(&mut self, lines: &[String], size: (u32, u32)) -> Option<Sprite> {
        if let Some((said, at, sprite)) = &self.last
            && said == lines
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
            let most = (width as f32 * 0.9 / self.text.advance(em).max(1.0)) as usize;
            rows.extend(broken(line, most.max(8)).into_iter().map(|row| (row, em, colour)));
        }
        rows.truncate(MOST_LINES);
        let tall: u32 = rows.iter().map(|(_, em, _)| em * 3 / 2).sum();
        let tall = tall.min(height);
        let mut map = Pixmap::new(width, tall.max(1))?;
        let mut y = 0.0;
        for (row, em, colour) in rows {
            let wide = self.text.advance(em) * row.chars().count() as f32;
            let x = ((width as f32 - wide) / 2.0).max(0.0);
            self.text.draw(&mut map, &row, em, (x, y + self.text.cap_height(em) + 2.0), colour);
            y += (em * 3 / 2) as f32;
        }
        let pixels = Pixels::from(&map);
        let top = i32::try_from((height - tall) / 2).ok()?;
        Some(Sprite {
            paint: Paint::Pixels(Arc::clone(&pixels.bgra)),
            place: Place { x: 0, y: top, w: pixels.width, h: pixels.height },
        })
    }
}

/// `line` in rows of at most `most` characters, broken between words where there are any.
fn broken(line: &str, most: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in line.split_whitespace() {
        let mut word = word;
        loop {
            let row = rows.last_mut().expect("there is always one");
            let space = usize::from(!row.is_empty());
            let left = most.saturating_sub(row.chars().count() + space);
            if word.chars().count() <= left {
                if space == 1 {
                    row.push(' ');
                }
                row.push_str(word);
                break;
            }
            if row.is_empty() {
                let cut = word.char_indices().nth(most).map_or(word.len(), |(at, _)| at);
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
    fn long_lines_are_broken_and_nothing_is_lost() {
        assert_eq!(broken("no frame since noon", 10), ["no frame", "since noon"]);
        assert_eq!(broken("abcdefghij klm", 4), ["abcd", "efgh", "ij", "klm"]);
        assert!(broken("", 4).is_empty());
    }

    #[test]
    fn the_words_are_on_the_sprite_and_inside_the_frame() {
        let mut writer = SlateWriter::default();
        let lines = ["front-door: no frame".to_owned(), "since 12:00:00 UTC".to_owned()];
        for size in [(160, 120), (640, 360), (1920, 1080)] {
            let sprite = writer.write(&lines, size).expect("a sprite");
            assert!(sprite.place.y >= 0 && sprite.place.y as u32 + sprite.place.h <= size.1);
            let inked = sprite.paint.bgra().chunks_exact(4).filter(|p| p[3] > 128).count();
            assert!(inked > 100, "{inked} pixels at {size:?}");
            let again = writer.write(&lines, size).expect("the same");
            assert!(again.paint.is(&sprite.paint), "painted once");
        }
    }
}
