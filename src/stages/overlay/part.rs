//! The parts that a label is laid in, each painted once and kept.
//!
//! Takes everything that a part's pixels depend on; gives the pixels.

use tiny_skia::Pixmap;

use super::cache::Pixels;
use super::icon::bar;
use super::label::{BAR_STEPS, Ground, Metrics};
use super::palette::{AUDIO, DARK, LIGHT, Rgb};
use super::text::Text;

/// A part of a label: everything that its pixels depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Part {
    Ground(Ground),
    /// The score in hundredths.
    Score {
        em_px: u32,
        ink: Rgb,
        score: Option<u8>,
    },
    /// The talk time.
    Talk {
        em_px: u32,
        ink: Rgb,
        seconds: u32,
    },
    /// A bar in one colour of so many pixels.
    Filling {
        size: (u32, u32),
        ink: Rgb,
    },
    /// A bar of so many pixels, its border included, filled from the left to a share of it.
    Audio {
        size: (u32, u32),
        line: u32,
        share: u8,
    },
}

/// Characters that a score takes.
pub(super) const SCORE_CHARS: usize = 4;
/// Pixels that letters may reach beyond their place.
pub(super) const LETTER_MARGIN_PX: f32 = 1.0;

impl Part {
    /// The part painted.
    pub(super) fn paint(self, text: &mut Text) -> Option<Pixels> {
        match self {
            Self::Ground(ground) => ground.paint(text),
            Self::Score { em_px, ink, score } => {
                words(text, &score_text(score), SCORE_CHARS, (em_px, ink))
            }
            Self::Talk { em_px, ink, seconds } => {
                words(text, &talk_time(seconds), talk_chars(seconds), (em_px, ink))
            }
            Self::Filling { size: (width, height), ink } => {
                let mut map = Pixmap::new(width, height)?;
                bar(&mut map, [0.0, 0.0, width as f32, height as f32], ink, 1.0);
                Some(Pixels::from(&map))
            }
            Self::Audio { size: (width, height), line, share } => {
                let mut map = Pixmap::new(width, height)?;
                let (w, h, line) = (width as f32, height as f32, line as f32);
                let long = w - 2.0 * line;
                let middle = line + (long * f32::from(share) / f32::from(BAR_STEPS)).round();
                bar(&mut map, [0.0, 0.0, w, h], DARK, 1.0);
                bar(&mut map, [line, line, middle, h - line], AUDIO, 1.0);
                bar(&mut map, [middle, line, w - line, h - line], LIGHT, 1.0);
                Some(Pixels::from(&map))
            }
        }
    }
}

/// Words alone, with a margin around their place.
fn words(text: &mut Text, words: &str, chars: usize, (em_px, ink): (u32, Rgb)) -> Option<Pixels> {
    let m = Metrics::new(text, em_px);
    let margin = 2.0 * LETTER_MARGIN_PX;
    let width = m.advance * chars as f32 + margin;
    let mut map = Pixmap::new(width as u32, (m.cap + margin) as u32)?;
    text.draw(&mut map, words, em_px, (LETTER_MARGIN_PX, LETTER_MARGIN_PX + m.cap), ink);
    Some(Pixels::from(&map))
}

pub(super) fn talk_time(talk_seconds: u32) -> String {
    let (minutes, seconds) = (talk_seconds / 60, talk_seconds % 60);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
    }
}

/// Characters of [`talk_time`].
pub(super) fn talk_chars(talk_seconds: u32) -> usize {
    match talk_seconds / 3_600 {
        0 => digits(talk_seconds / 60) + ":00".len(),
        hours => digits(hours) + ":00:00".len(),
    }
}

/// Decimal digits of a number.
pub(super) fn digits(n: u32) -> usize {
    n.checked_ilog10().map_or(1, |tens| tens as usize + 1)
}

pub(super) fn score_text(score: Option<u8>) -> String {
    score.map_or_else(|| "?".to_owned(), |p| format!("{}.{:02}", p / 100, p % 100))
}
