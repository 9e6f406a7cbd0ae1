//! The label beside a face: who, how sure, how long they have talked, and on what grounds.
//!
//! Takes the facts to show and an em in pixels; gives a size (without painting) and the pixels.
//! Three amounts of detail: *full* has `Person 3  0.87`, the talk time with a bar of its share of
//! all talk, and how much of the decision came from the sound (♪) and from the face (a smile); *short*
//! has `P3 0.87` and the talk bar; *tiny* the number alone. Speaking is dark on a filled ground;
//! silent is light on dark within a thin border; unknown has a dashed border and `?` for a score.
//! Who holds the floor has a microphone. Widths do not depend on the score, so labels stand still.

use tiny_skia::{Paint, Pixmap, Stroke, StrokeDash, Transform};

use super::cache::Pixels;
use super::icon::{bar, fill_path, microphone, rounded, smile};
use super::palette::{DARK, LIGHT, Rgb, SOUND};
use super::style::State;
use super::text::Text;

/// How much a label says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Detail {
    Full,
    Short,
    Tiny,
}

impl Detail {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::Short, Self::Tiny];
}

/// Steps of a bar; finer ones could not be seen and would defeat the cache.
pub(super) const BAR_STEPS: u8 = 50;

/// Everything that a label's pixels depend on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Label {
    pub(super) detail: Detail,
    pub(super) em_px: u32,
    pub(super) id: u32,
    pub(super) state: State,
    /// P(speaking) in hundredths.
    pub(super) score: Option<u8>,
    pub(super) floor: bool,
    pub(super) talk_seconds: u32,
    /// Share of all talk, of [`BAR_STEPS`].
    pub(super) talk_share: u8,
    /// The sound's share of the decision, of [`BAR_STEPS`].
    pub(super) sound_share: Option<u8>,
}

/// Lengths in whole pixels that follow from the em.
struct Metrics {
    advance: f32,
    cap: f32,
    pad: f32,
    lead: f32,
    bar: f32,
    microphone: f32,
}

impl Metrics {
    fn new(text: &Text, em_px: u32) -> Self {
        let em = em_px as f32;
        let of = |share: f32, least: f32| (em * share).round().max(least);
        Self {
            advance: text.advance(em_px),
            cap: text.cap_height(em_px),
            pad: of(0.4, 3.0),
            lead: of(0.45, 4.0),
            bar: of(0.16, 2.0),
            microphone: of(0.95, 9.0),
        }
    }
}

impl Label {
    fn title(&self) -> String {
        let score =
            self.score.map_or_else(|| "?".to_owned(), |p| format!("{}.{:02}", p / 100, p % 100));
        match self.detail {
            Detail::Full => format!("Person {}  {score:<4}", self.id),
            Detail::Short => format!("P{} {score:<4}", self.id),
            Detail::Tiny => self.id.to_string(),
        }
    }

    fn talk_time(&self) -> String {
        let (minutes, seconds) = (self.talk_seconds / 60, self.talk_seconds % 60);
        match minutes / 60 {
            0 => format!("{minutes}:{seconds:02}"),
            hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
        }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self, text: &Text) -> (u32, u32) {
        let m = Metrics::new(text, self.em_px);
        let microphone = if self.floor { m.microphone } else { 0.0 };
        let width = m.advance * self.title().chars().count() as f32 + microphone;
        let height = match self.detail {
            Detail::Full => 2.0 * m.cap + 2.0 * m.lead + m.bar,
            Detail::Short => m.cap + m.lead + m.bar,
            Detail::Tiny => m.cap,
        };
        ((width + 2.0 * m.pad) as u32, (height + 2.0 * m.pad) as u32)
    }

    /// The label painted.
    pub(super) fn paint(&self, text: &mut Text) -> Option<Pixels> {
        let (width, height) = self.size(text);
        let m = Metrics::new(text, self.em_px);
        let mut map = Pixmap::new(width, height)?;
        self.ground(&mut map);
        let ink = self.ink();
        let mut x = m.pad;
        let mut base = m.pad + m.cap;
        if self.floor {
            microphone(&mut map, (x, base - m.cap), m.cap, ink);
            x += m.microphone;
        }
        text.draw(&mut map, &self.title(), self.em_px, (x, base), ink);
        if self.detail == Detail::Full {
            base += m.lead + m.cap;
            self.second_row(&mut map, text, &m, base);
        }
        if self.detail != Detail::Tiny {
            let (left, right) = (m.pad, width as f32 - m.pad);
            let top = base + m.lead;
            let filled = (right - left) * f32::from(self.talk_share) / f32::from(BAR_STEPS);
            bar(&mut map, [left, top, right, top + m.bar], ink, 0.3);
            bar(&mut map, [left, top, left + filled.round(), top + m.bar], ink, 1.0);
        }
        Some(Pixels::from(&map))
    }

    fn ink(&self) -> Rgb {
        if self.state == State::Speaking { DARK } else { LIGHT }
    }

    /// Filled for speaking; dark within a border, whole or dashed, otherwise.
    fn ground(&self, map: &mut Pixmap) {
        let (width, height) = (map.width() as f32, map.height() as f32);
        let line = (self.em_px as f32 / 11.0).round().max(1.0);
        let Some(path) = rounded([0.0, 0.0, width, height], self.em_px as f32 * 0.25) else {
            return;
        };
        let speaking = self.state == State::Speaking;
        let fill = if speaking { self.state.colour().skia(1.0) } else { DARK.skia(0.72) };
        fill_path(map, &path, fill);
        let half = line / 2.0;
        let inner = [half, half, width - half, height - half];
        let Some(border) = rounded(inner, self.em_px as f32 * 0.25 - half) else {
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

    /// Talk time on the left, where the decision came from on the right.
    fn second_row(&self, map: &mut Pixmap, text: &mut Text, m: &Metrics, base: f32) {
        let (ink, time) = (self.ink(), self.talk_time());
        text.draw(map, &time, self.em_px, (m.pad, base), ink);
        let Some(sound) = self.sound_share else {
            return;
        };
        let left = m.pad + m.advance * (time.chars().count().max(4) as f32 + 1.0);
        let right = map.width() as f32 - m.pad - m.advance;
        let (from, to) = ((left + m.advance * 1.2).round(), (right - m.advance * 0.2).round());
        if to - from < m.advance {
            return;
        }
        text.draw(map, "♪", self.em_px, (left, base), ink);
        smile(map, (right, base - m.cap), m.cap, ink);
        let line = (self.em_px as f32 / 14.0).round().max(1.0);
        let (top, bottom) = ((base - m.cap * 0.8).round(), (base - m.cap * 0.15).round());
        let middle = from + ((to - from) * f32::from(sound) / f32::from(BAR_STEPS)).round();
        bar(map, [from - line, top - line, to + line, bottom + line], DARK, 1.0);
        bar(map, [from, top, middle, bottom], SOUND, 1.0);
        bar(map, [middle, top, to, bottom], LIGHT, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(detail: Detail, em_px: u32, state: State) -> Label {
        let score = (state != State::Unknown).then_some(87);
        Label {
            detail,
            em_px,
            id: 3,
            state,
            score,
            floor: false,
            talk_seconds: 83,
            talk_share: 20,
            sound_share: score.map(|_| 15),
        }
    }

    #[test]
    fn a_label_says_who_and_how_sure_and_how_long() {
        let full = label(Detail::Full, 12, State::Silent);
        assert_eq!(full.title(), "Person 3  0.87");
        assert_eq!(full.talk_time(), "1:23");
        assert_eq!(Label { talk_seconds: 3_723, ..full.clone() }.talk_time(), "1:02:03");
        assert_eq!(Label { score: Some(100), ..full.clone() }.title(), "Person 3  1.00");
        assert_eq!(label(Detail::Short, 12, State::Unknown).title().trim_end(), "P3 ?");
    }

    #[test]
    fn the_score_does_not_change_the_size() {
        let text = Text::new();
        for detail in Detail::ALL {
            let sizes = [Some(0), Some(7), Some(100), None]
                .map(|score| Label { score, ..label(detail, 13, State::Silent) }.size(&text));
            assert!(sizes.iter().all(|size| *size == sizes[0]), "{detail:?}: {sizes:?}");
        }
    }

    #[test]
    fn every_size_and_state_is_painted_in_the_promised_size() {
        let mut text = Text::new();
        for em in [11, 12, 17, 24, 48] {
            for detail in Detail::ALL {
                for state in [State::Speaking, State::Silent, State::Unknown] {
                    for floor in [false, true] {
                        let mut label = label(detail, em, state);
                        label.floor = floor;
                        label.talk_seconds = if floor { u32::MAX } else { 5 };
                        let pixels = label.paint(&mut text).expect("a size");
                        assert_eq!((pixels.width, pixels.height), label.size(&text));
                    }
                }
            }
        }
    }

    #[test]
    fn speaking_is_filled_and_silent_is_hollow() {
        let mut text = Text::new();
        let mut bright = |state: State| {
            let pixels = label(Detail::Full, 20, state).paint(&mut text).expect("a size");
            let bright = |p: &&[u8]| p[3] > 200 && p[1] > 150;
            let count = pixels.bgra.chunks_exact(4).filter(bright).count();
            count as f32 / (pixels.width * pixels.height) as f32
        };
        assert!(bright(State::Speaking) > 0.6);
        assert!(bright(State::Silent) < 0.35);
        assert!(bright(State::Unknown) < 0.35);
    }
}
