//! Stabilizes the drawing: boxes do not jitter, and numbers stay long enough to be read. This also
//! saves encoder work: pixels that do not change cost it nothing, while a jittering box and its
//! label cost as much as a fifth of the whole frame.

use super::layout::Placement;
use super::style::State;
use crate::core::geometry::Rect;
use crate::core::time::{FrameRef, Span};

/// The text size changes only if the ideal size differs by more than this ratio.
const EM_MARGIN: f32 = 0.15;
/// A box moves only if its middle is off by more than this share of its side, and by a pixel.
const POSITION_MARGIN: f32 = 0.02;
/// A box changes size only if the face's size differs by more than this share, and by two pixels:
/// the size jitter of a detector. An encoder can then predict a moved box from earlier frames.
const SIZE_MARGIN: f32 = 0.06;
/// How long numbers stay; a change of state updates them at once.
const NUMBERS_MIN_TIME: Span = Span::from_ms(200);

/// The numbers that come with a score.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbers {
    /// The score, in hundredths.
    pub(super) score: Option<u8>,
    /// The audio's share of it, in steps of its bar.
    pub(super) audio_share: Option<u8>,
}

/// The state that one face's drawing keeps from frame to frame.
#[derive(Clone, Copy)]
pub(super) struct BoxStabilizer {
    /// The last placement of its label.
    pub(super) placement: Option<Placement>,
    /// When it was last drawn, in frames drawn.
    pub(super) last_drawn: u64,
    rect: Option<Rect>,
    em_px: u32,
    numbers: Option<(Numbers, State, FrameRef)>,
}

impl BoxStabilizer {
    /// An empty state.
    pub(super) const fn new() -> Self {
        Self { placement: None, last_drawn: 0, rect: None, em_px: 0, numbers: None }
    }

    /// Where the box of a face at `rect` is drawn, in whole pixels.
    pub(super) fn rect(&mut self, rect: Rect) -> Rect {
        let old = self.rect.unwrap_or_default();
        let (x1, x2) = stabilize_axis((old.x1, old.x2), (rect.x1, rect.x2));
        let (y1, y2) = stabilize_axis((old.y1, old.y2), (rect.y1, rect.y2));
        *self.rect.insert(Rect::new(x1, y1, x2, y2))
    }

    /// Em in pixels of a label whose ideal em is `ideal`.
    pub(super) fn em_px(&mut self, ideal: f32) -> u32 {
        if self.em_px == 0 || (ideal / self.em_px as f32 - 1.0).abs() > EM_MARGIN {
            self.em_px = ideal.round() as u32;
        }
        self.em_px
    }

    /// The numbers to show with `frame`, whose own numbers are `new`.
    pub(super) fn numbers(&mut self, new: Numbers, state: State, frame: FrameRef) -> Numbers {
        let kept = self.numbers.filter(|(_, before, since)| {
            let age = frame.pts - since.pts;
            let recent = age >= Span::ZERO && age < NUMBERS_MIN_TIME;
            *before == state && since.epoch == frame.epoch && recent
        });
        self.numbers.insert(kept.unwrap_or((new, state, frame))).0
    }
}

/// One axis of a box: where to draw it, given where it was drawn last and where the face is now.
fn stabilize_axis((old_from, old_to): (f32, f32), (from, to): (f32, f32)) -> (f32, f32) {
    let (old_length, length) = (old_to - old_from, to - from);
    let moved = (from + to - old_from - old_to) / 2.0;
    // NaN and infinity are never near; the drawing skips such boxes.
    let near = |off: f32, share: f32, min_px: f32| {
        off.is_finite() && off.abs() <= (length * share).max(min_px)
    };
    if old_length < 1.0 || !near(length - old_length, SIZE_MARGIN, 2.0) {
        let (from, to) = (from.round(), to.round());
        // Not `max`, which would turn NaN into a position.
        (from, if to < from + 1.0 { from + 1.0 } else { to })
    } else if near(moved, POSITION_MARGIN, 1.0) {
        (old_from, old_to)
    } else {
        (old_from + moved.round(), old_to + moved.round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::{Epoch, Pts};

    #[test]
    fn a_box_stays_where_it_is_until_the_face_has_moved() {
        let mut stabilizer = BoxStabilizer::new();
        let at = |x: f32, y: f32| Rect::new(x, y, x + 100.0, y + 150.0);
        assert_eq!(stabilizer.rect(at(10.2, 9.9)), at(10.0, 10.0), "whole pixels");
        assert_eq!(stabilizer.rect(at(11.9, 7.1)), at(10.0, 10.0), "within two pixels and three");
        assert_eq!(stabilizer.rect(at(12.2, 10.0)), at(12.0, 10.0));
        assert_eq!(stabilizer.rect(at(10.3, 10.0)), at(12.0, 10.0), "from where it is drawn");
        // The margin is at least a pixel.
        let small = Rect::new(10.0, 10.0, 20.0, 20.0);
        stabilizer.rect(small);
        assert_eq!(stabilizer.rect(Rect::new(10.9, 10.0, 20.9, 20.0)), small);
    }

    #[test]
    fn a_box_keeps_its_size_while_the_face_nearly_does() {
        let mut stabilizer = BoxStabilizer::new();
        let at = |x: f32, width: f32| Rect::new(x, 10.0, x + width, 160.0);
        stabilizer.rect(at(10.0, 100.0));
        assert_eq!(
            stabilizer.rect(at(30.0, 106.0)),
            at(33.0, 100.0),
            "about the face's new middle"
        );
        assert_eq!(stabilizer.rect(at(30.0, 107.0)), at(30.0, 107.0));
        assert_eq!(stabilizer.rect(at(30.0, 101.0)), at(27.0, 107.0));
        assert_eq!(stabilizer.rect(at(30.4, 99.0)), at(30.0, 99.0));
        // The margin is at least two pixels, and a box is at least one pixel wide.
        stabilizer.rect(at(10.0, 12.0));
        assert_eq!(stabilizer.rect(at(9.0, 14.0)), at(10.0, 12.0));
        assert_eq!(stabilizer.rect(at(10.1, 0.2)), at(10.0, 1.0));
    }

    #[test]
    fn a_rect_that_is_not_finite_is_not_kept() {
        let mut stabilizer = BoxStabilizer::new();
        let good = Rect::new(10.0, 10.0, 60.0, 60.0);
        stabilizer.rect(good);
        for bad in [f32::NAN, f32::INFINITY] {
            for (x1, x2) in [(bad, 60.0), (10.0, bad), (bad, bad)] {
                let rect = stabilizer.rect(Rect::new(x1, 10.0, x2, 60.0));
                assert!(!rect.x1.is_finite() || !rect.x2.is_finite(), "{rect:?}");
                assert_eq!(stabilizer.rect(good), good);
            }
        }
    }

    #[test]
    fn numbers_stay_to_be_read_and_a_new_state_renews_them() {
        let mut stabilizer = BoxStabilizer::new();
        let mut shown = |score, state, epoch, ms: i64| {
            let frame = FrameRef { epoch: Epoch(epoch), seq: 0, pts: Pts::from_ns(ms * 1_000_000) };
            stabilizer
                .numbers(Numbers { score: Some(score), audio_share: None }, state, frame)
                .score
        };
        assert_eq!(shown(10, State::Silent, 0, 0), Some(10));
        assert_eq!(shown(12, State::Silent, 0, 199), Some(10));
        assert_eq!(shown(13, State::Silent, 0, 200), Some(13));
        assert_eq!(shown(60, State::Speaking, 0, 240), Some(60), "the state is new");
        assert_eq!(shown(70, State::Speaking, 0, 280), Some(60));
        assert_eq!(shown(80, State::Speaking, 1, 290), Some(80), "so is the epoch");
        assert_eq!(shown(81, State::Speaking, 1, 100), Some(81), "and time that went back");
    }

    #[test]
    fn letters_keep_their_size() {
        let mut stabilizer = BoxStabilizer::new();
        let sizes = [20.0, 22.0, 18.0, 23.5, 22.0].map(|ideal| stabilizer.em_px(ideal));
        assert_eq!(sizes, [20, 20, 20, 24, 24]);
    }
}
