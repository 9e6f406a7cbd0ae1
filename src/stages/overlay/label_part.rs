//! The parts of a label, each painted once and cached.
//!
//! Input: all parameters of a part's pixels. Output: the pixels.

use tiny_skia::Pixmap;

use super::cache::Pixels;
use super::icon::draw_bar;
use super::label::{BAR_STEPS, Background, LabelMetrics};
use super::palette::{AUDIO, DARK, LIGHT, Rgb};
use super::text::TextRenderer;

/// A part of a label: all parameters of its pixels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum LabelPart {
    Background(Background),
    /// The score in hundredths.
    Score {
        em_px: u32,
        colour: Rgb,
        score: Option<u8>,
    },
    /// The talk time.
    Talk {
        em_px: u32,
        colour: Rgb,
        seconds: u32,
    },
    /// A bar of one colour; its size in pixels.
    BarFill {
        size: (u32, u32),
        colour: Rgb,
    },
    /// A bar filled from the left to `share`; its size in pixels, with its border.
    Audio {
        size: (u32, u32),
        line: u32,
        share: u8,
    },
}

/// Number of characters of a score.
pub(super) const SCORE_CHARS: usize = 4;
/// Pixels by which glyphs may reach beyond their box.
pub(super) const LETTER_MARGIN_PX: f32 = 1.0;

impl LabelPart {
    /// Paints the part.
    pub(super) fn paint(self, text: &mut TextRenderer) -> Option<Pixels> {
        match self {
            Self::Background(background) => background.paint(text),
            Self::Score { em_px, colour, score } => {
                draw_words(text, &format_score(score), SCORE_CHARS, (em_px, colour))
            }
            Self::Talk { em_px, colour, seconds } => {
                draw_words(text, &format_talk_time(seconds), talk_chars(seconds), (em_px, colour))
            }
            Self::BarFill { size: (width, height), colour } => {
                let mut map = Pixmap::new(width, height)?;
                draw_bar(&mut map, [0.0, 0.0, width as f32, height as f32], colour, 1.0);
                Some(Pixels::from(&map))
            }
            Self::Audio { size: (width, height), line, share } => {
                let mut map = Pixmap::new(width, height)?;
                let (w, h, line) = (width as f32, height as f32, line as f32);
                let long = w - 2.0 * line;
                let middle = line + (long * f32::from(share) / f32::from(BAR_STEPS)).round();
                draw_bar(&mut map, [0.0, 0.0, w, h], DARK, 1.0);
                draw_bar(&mut map, [line, line, middle, h - line], AUDIO, 1.0);
                draw_bar(&mut map, [middle, line, w - line, h - line], LIGHT, 1.0);
                Some(Pixels::from(&map))
            }
        }
    }
}

/// Text alone, with a margin around its box.
fn draw_words(
    text: &mut TextRenderer,
    words: &str,
    chars: usize,
    (em_px, colour): (u32, Rgb),
) -> Option<Pixels> {
    let m = LabelMetrics::new(text, em_px);
    let margin = 2.0 * LETTER_MARGIN_PX;
    let width = m.advance * chars as f32 + margin;
    let mut map = Pixmap::new(width as u32, (m.cap + margin) as u32)?;
    text.draw(&mut map, words, em_px, (LETTER_MARGIN_PX, LETTER_MARGIN_PX + m.cap), colour);
    Some(Pixels::from(&map))
}

pub(super) fn format_talk_time(talk_seconds: u32) -> String {
    let (minutes, seconds) = (talk_seconds / 60, talk_seconds % 60);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
    }
}

/// Number of characters of [`format_talk_time`].
pub(super) fn talk_chars(talk_seconds: u32) -> usize {
    match talk_seconds / 3_600 {
        0 => digit_count(talk_seconds / 60) + ":00".len(),
        hours => digit_count(hours) + ":00:00".len(),
    }
}

/// Number of decimal digits of `n`.
pub(super) fn digit_count(n: u32) -> usize {
    n.checked_ilog10().map_or(1, |tens| tens as usize + 1)
}

pub(super) fn format_score(score: Option<u8>) -> String {
    score.map_or_else(|| "?".to_owned(), |p| format!("{}.{:02}", p / 100, p % 100))
}
