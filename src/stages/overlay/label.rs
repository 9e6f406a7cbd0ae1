//! The label beside a face: the person, the score, the talk time, and the shares of audio and face.
//!
//! Input: the values to show and an em in pixels. Output: a size (without painting) and the pixels.
//! There are three levels of detail. *Full* has `Person 3  0.87`, the talk time with a bar of its
//! share of all talk, and the shares of the decision that came from the audio (♪) and from the face
//! (a smile). *Short* has `P3 0.87` and the talk bar. *Tiny* has the number alone. Speaking is dark
//! text on a filled background; silent is light on dark with a thin border; unknown has a dashed
//! border and `?` for a score. The person who holds the floor has a microphone. Widths do not
//! depend on the score, so labels do not move.
//!
//! A label consists of [`LabelPart`]s. Its score and bars change with every frame or second, the
//! rest does not. Each part is painted once and cached.

use tiny_skia::{Paint, Pixmap, Stroke, StrokeDash, Transform};

use super::cache::Pixels;
use super::icon::{draw_bar, draw_microphone, draw_smile, fill_path, rounded_rect};
use super::palette::{AUDIO, DARK, LIGHT, Rgb};
use super::style::State;
use super::text::TextRenderer;

/// A label's level of detail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Detail {
    Full,
    Short,
    Tiny,
}

impl Detail {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::Short, Self::Tiny];
}

/// Steps of a bar; finer ones would be invisible and defeat the cache.
pub(super) const BAR_STEPS: u8 = 50;

/// Number of characters of a score.
const SCORE_CHARS: usize = 4;
/// Pixels by which glyphs may reach beyond their box.
const LETTER_MARGIN_PX: f32 = 1.0;

/// A label's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label {
    /// The parts that do not change from frame to frame or every second.
    pub(super) background: Background,
    /// P(speaking) in hundredths.
    pub(super) score: Option<u8>,
    /// The audio's share of the decision, in [`BAR_STEPS`].
    pub(super) audio_share: Option<u8>,
    pub(super) talk_seconds: u32,
    /// Share of all talk, in [`BAR_STEPS`].
    pub(super) talk_share: u8,
}

/// A label without its score, its talk time and the fill of its bars.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Background {
    pub(super) detail: Detail,
    pub(super) em_px: u32,
    pub(super) id: u32,
    pub(super) state: State,
    pub(super) floor: bool,
    /// Number of characters of the talk time.
    pub(super) talk_chars: usize,
    /// Whether there is a bar of the audio's and the face's shares.
    pub(super) shares: bool,
}

/// Lengths in whole pixels, derived from the em.
struct LabelMetrics {
    advance: f32,
    cap: f32,
    pad: f32,
    leading: f32,
    bar: f32,
    microphone: f32,
}

impl LabelMetrics {
    fn new(text: &TextRenderer, em_px: u32) -> Self {
        let em = em_px as f32;
        let of = |share: f32, min: f32| (em * share).round().max(min);
        Self {
            advance: text.advance(em_px),
            cap: text.cap_height(em_px),
            pad: of(0.4, 3.0),
            leading: of(0.45, 4.0),
            bar: of(0.16, 2.0),
            microphone: of(0.95, 9.0),
        }
    }
}

impl Label {
    /// The parts in drawing order, each with its left and top edge in the label; all lie inside it.
    pub(super) fn parts(
        self,
        text: &TextRenderer,
    ) -> impl Iterator<Item = (LabelPart, (i32, i32))> + use<> {
        let background = self.background;
        let m = LabelMetrics::new(text, background.em_px);
        let margin = LETTER_MARGIN_PX as i32;
        let above = |baseline: f32| (baseline - m.cap) as i32 - margin;
        let score = (background.detail != Detail::Tiny).then(|| {
            let part = LabelPart::Score {
                em_px: background.em_px,
                colour: background.text_colour(),
                score: self.score,
            };
            let before = background.title_chars() - SCORE_CHARS;
            let x = m.pad + background.microphone(&m) + m.advance * before as f32;
            (part, (x as i32 - margin, above(m.pad + m.cap)))
        });
        let talk = (background.detail == Detail::Full).then(|| {
            let (em_px, colour, seconds) =
                (background.em_px, background.text_colour(), self.talk_seconds);
            (
                LabelPart::Talk { em_px, colour, seconds },
                (m.pad as i32 - margin, above(background.baseline(&m))),
            )
        });
        let bar_fill = background.talk_bar(text, &m).and_then(|[left, top, right, bottom]| {
            let filled = (right - left) * f32::from(self.talk_share) / f32::from(BAR_STEPS);
            let size = (filled.round() as u32, (bottom - top) as u32);
            let part = LabelPart::BarFill { size, colour: background.text_colour() };
            (size.0 > 0).then_some((part, (left as i32, top as i32)))
        });
        let audio = self.audio_share.zip(background.audio_bar(text, &m)).map(|(share, bar)| {
            let AudioBar { left, top, size, line } = bar;
            (LabelPart::Audio { size, line, share }, (left, top))
        });
        let background = Some((LabelPart::Background(background), (0, 0)));
        [background, score, talk, bar_fill, audio].into_iter().flatten()
    }
}

/// The bar of the shares: its position in the label and its size in pixels, with its border.
struct AudioBar {
    left: i32,
    top: i32,
    size: (u32, u32),
    line: u32,
}

impl Background {
    /// The text before the score.
    fn title(&self) -> String {
        match self.detail {
            Detail::Full => format!("Person {}", self.id),
            Detail::Short => format!("P{}", self.id),
            Detail::Tiny => self.id.to_string(),
        }
    }

    /// Number of characters of the title, with the score and the blanks before it.
    fn title_chars(&self) -> usize {
        let digit_count = digit_count(self.id);
        match self.detail {
            Detail::Full => "Person ".len() + digit_count + "  ".len() + SCORE_CHARS,
            Detail::Short => "P".len() + digit_count + " ".len() + SCORE_CHARS,
            Detail::Tiny => digit_count,
        }
    }

    fn microphone(&self, m: &LabelMetrics) -> f32 {
        if self.floor { m.microphone } else { 0.0 }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self, text: &TextRenderer) -> (u32, u32) {
        let m = LabelMetrics::new(text, self.em_px);
        let width = m.advance * self.title_chars() as f32 + self.microphone(&m);
        let height = match self.detail {
            Detail::Full => 2.0 * m.cap + 2.0 * m.leading + m.bar,
            Detail::Short => m.cap + m.leading + m.bar,
            Detail::Tiny => m.cap,
        };
        ((width + 2.0 * m.pad) as u32, (height + 2.0 * m.pad) as u32)
    }

    /// The baseline of its last line of text.
    fn baseline(&self, m: &LabelMetrics) -> f32 {
        let first = m.pad + m.cap;
        if self.detail == Detail::Full { first + m.leading + m.cap } else { first }
    }

    /// Left, top, right and bottom of the talk bar.
    fn talk_bar(&self, text: &TextRenderer, m: &LabelMetrics) -> Option<[f32; 4]> {
        let top = self.baseline(m) + m.leading;
        let right = self.size(text).0 as f32 - m.pad;
        (self.detail != Detail::Tiny).then_some([m.pad, top, right, top + m.bar])
    }

    /// Paints the label without its other parts.
    fn paint(&self, text: &mut TextRenderer) -> Option<Pixels> {
        let (width, height) = self.size(text);
        let m = LabelMetrics::new(text, self.em_px);
        let mut map = Pixmap::new(width, height)?;
        self.fill_background(&mut map);
        let colour = self.text_colour();
        let first = m.pad + m.cap;
        if self.floor {
            draw_microphone(&mut map, (m.pad, m.pad), m.cap, colour);
        }
        let left = m.pad + self.microphone(&m);
        text.draw(&mut map, &self.title(), self.em_px, (left, first), colour);
        if self.audio_bar(text, &m).is_some() {
            let ([left, right], baseline) = (self.icons(width, &m), self.baseline(&m));
            text.draw(&mut map, "♪", self.em_px, (left, baseline), colour);
            draw_smile(&mut map, (right, baseline - m.cap), m.cap, colour);
        }
        if let Some(rect) = self.talk_bar(text, &m) {
            draw_bar(&mut map, rect, colour, 0.3);
        }
        Some(Pixels::from(&map))
    }

    /// Left edges of the note and the smile, left and right of the bar of the shares.
    fn icons(&self, width: u32, m: &LabelMetrics) -> [f32; 2] {
        let left = m.pad + m.advance * (self.talk_chars.max(4) as f32 + 1.0);
        [left, width as f32 - m.pad - m.advance]
    }

    /// `None` if there are no shares to show, or no room for them.
    fn audio_bar(&self, text: &TextRenderer, m: &LabelMetrics) -> Option<AudioBar> {
        let [left, right] = self.icons(self.size(text).0, m);
        let (from, to) = ((left + m.advance * 1.2).round(), (right - m.advance * 0.2).round());
        let shown = self.shares && self.detail == Detail::Full && to - from >= m.advance;
        let baseline = self.baseline(m);
        let line = (self.em_px as f32 / 14.0).round().max(1.0);
        let (top, bottom) = ((baseline - m.cap * 0.8).round(), (baseline - m.cap * 0.15).round());
        shown.then_some(AudioBar {
            left: (from - line) as i32,
            top: (top - line) as i32,
            size: ((to - from + 2.0 * line) as u32, (bottom - top + 2.0 * line) as u32),
            line: line as u32,
        })
    }

    fn text_colour(&self) -> Rgb {
        if self.state == State::Speaking { DARK } else { LIGHT }
    }

    /// Filled for speaking; otherwise dark with a solid or dashed border.
    fn fill_background(&self, map: &mut Pixmap) {
        let (width, height) = (map.width() as f32, map.height() as f32);
        let line = (self.em_px as f32 / 11.0).round().max(1.0);
        let Some(path) = rounded_rect([0.0, 0.0, width, height], self.em_px as f32 * 0.25) else {
            return;
        };
        let speaking = self.state == State::Speaking;
        let fill = if speaking { self.state.colour().skia(1.0) } else { DARK.skia(0.72) };
        fill_path(map, &path, fill);
        let half = line / 2.0;
        let inner = [half, half, width - half, height - half];
        let Some(border) = rounded_rect(inner, self.em_px as f32 * 0.25 - half) else {
            return;
        };
        let mut paint = Paint::default();
        paint.set_color(if speaking { DARK.skia(1.0) } else { self.state.colour().skia(1.0) });
        let dash = (self.state == State::Unknown)
            .then(|| StrokeDash::new(vec![line * 4.0, line * 3.0], 0.0))
            .flatten();
        let stroke = Stroke { width: line, dash, ..Stroke::default() };
        map.stroke_path(&border, &paint, &stroke, Transform::identity(), None);
    }
}

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

fn format_talk_time(talk_seconds: u32) -> String {
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
fn digit_count(n: u32) -> usize {
    n.checked_ilog10().map_or(1, |tens| tens as usize + 1)
}

fn format_score(score: Option<u8>) -> String {
    score.map_or_else(|| "?".to_owned(), |p| format!("{}.{:02}", p / 100, p % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn background(detail: Detail, em_px: u32, state: State) -> Background {
        Background {
            detail,
            em_px,
            id: 3,
            state,
            floor: false,
            talk_chars: 4,
            shares: state != State::Unknown,
        }
    }

    #[test]
    fn a_label_has_person_score_and_talk_time() {
        let full = background(Detail::Full, 12, State::Silent);
        assert_eq!(full.title(), "Person 3");
        assert_eq!([83, 3_723].map(format_talk_time), ["1:23", "1:02:03"]);
        assert_eq!(background(Detail::Short, 12, State::Unknown).title(), "P3");
        let texts = [Some(87), Some(100), Some(0), None].map(format_score);
        assert_eq!(texts, ["0.87", "1.00", "0.00", "?"]);
    }

    #[test]
    fn characters_are_counted_without_being_written() {
        for id in [0, 9, 10, 123, u32::MAX] {
            for (detail, blanks) in [(Detail::Full, 6), (Detail::Short, 5), (Detail::Tiny, 0)] {
                let background = Background { id, ..background(detail, 12, State::Silent) };
                assert_eq!(
                    background.title_chars(),
                    background.title().chars().count() + blanks,
                    "{id}"
                );
            }
        }
        for talk_seconds in [0, 59, 60, 599, 600, 3_599, 3_600, 359_999, 360_000, u32::MAX] {
            let chars = format_talk_time(talk_seconds).chars().count();
            assert_eq!(talk_chars(talk_seconds), chars, "{talk_seconds}");
        }
    }

    #[test]
    fn every_part_of_every_size_and_state_lies_inside_its_label() {
        let mut text = TextRenderer::new();
        let states = [State::Speaking, State::Silent, State::Unknown];
        for em in [11, 12, 17, 24, 48] {
            let kinds = Detail::ALL.into_iter().flat_map(|d| states.map(|s| (d, s)));
            for ((detail, state), floor) in kinds.flat_map(|k| [(k, false), (k, true)]) {
                let talk_seconds = if floor { u32::MAX } else { 5 };
                let talk_chars = talk_chars(talk_seconds);
                let background = Background { floor, talk_chars, ..background(detail, em, state) };
                let share = background.shares.then_some(15);
                let talk_share = if floor { BAR_STEPS } else { 0 };
                let label = Label {
                    background,
                    score: share,
                    audio_share: share,
                    talk_seconds,
                    talk_share,
                };
                let whole = background.size(&text);
                for (part, (x, y)) in label.parts(&text) {
                    let pixels = part.paint(&mut text).expect("a size");
                    let (right, bottom) = (x as u32 + pixels.width, y as u32 + pixels.height);
                    assert!(x >= 0 && y >= 0 && right <= whole.0 && bottom <= whole.1, "{part:?}");
                    assert!(part != LabelPart::Background(background) || (right, bottom) == whole);
                }
            }
        }
    }

    #[test]
    fn speaking_is_filled_and_silent_is_hollow() {
        let mut text = TextRenderer::new();
        let mut bright = |state: State| {
            let pixels = background(Detail::Full, 20, state).paint(&mut text).expect("a size");
            let bright = |p: &&[u8]| p[3] > 200 && p[1] > 150;
            let count = pixels.bgra.chunks_exact(4).filter(bright).count();
            count as f32 / (pixels.width * pixels.height) as f32
        };
        assert!(bright(State::Speaking) > 0.6);
        assert!(bright(State::Silent) < 0.35);
        assert!(bright(State::Unknown) < 0.35);
    }
}
