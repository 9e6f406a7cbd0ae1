//! What keeps a drawing calm: boxes that do not tremble, and numbers that stay long enough to be
//! read. It also spares the encoder: what stays the same from frame to frame costs it nothing,
//! where a trembling box and its label cost as much as a fifth of the whole frame.

use super::layout::Choice;
use super::style::State;
use crate::core::geometry::Rect;
use crate::core::time::{FrameRef, Span};

/// Letters keep their size until the face asks for one that differs by more than this.
const EM_MARGIN: f32 = 0.15;
/// A box stays until its middle lies further off than this share of its side, or than a pixel.
const PLACE_MARGIN: f32 = 0.02;
/// It keeps its size, which an encoder then has seen before wherever the box goes, until the face's
/// differs by more than this share, or than two pixels: as much as a detector's boxes breathe.
const SIZE_MARGIN: f32 = 0.06;
/// How long numbers stay; a new state renews them at once.
const NUMBERS_STAY: Span = Span::from_ms(200);

/// The numbers that come with a score.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbers {
    /// The score, in hundredths.
    pub(super) score: Option<u8>,
    /// The audio's share of it, in steps of its bar.
    pub(super) audio_share: Option<u8>,
}

/// What one face's drawing keeps from frame to frame.
#[derive(Clone, Copy)]
pub(super) struct BoxStabilizer {
    /// Where its label lay.
    pub(super) choice: Option<Choice>,
    /// When it was drawn last, in frames drawn.
    pub(super) last_drawn: u64,
    rect: Option<Rect>,
    em_px: u32,
    numbers: Option<(Numbers, State, FrameRef)>,
}

impl BoxStabilizer {
    /// Nothing is kept yet.
    pub(super) const fn new() -> Self {
        Self { choice: None, last_drawn: 0, rect: None, em_px: 0, numbers: None }
    }

    /// Where the box of a face at `rect` is drawn, in whole pixels.
    pub(super) fn rect(&mut self, rect: Rect) -> Rect {
        let old = self.rect.unwrap_or_default();
        let (x1, x2) = side((old.x1, old.x2), (rect.x1, rect.x2));
        let (y1, y2) = side((old.y1, old.y2), (rect.y1, rect.y2));
        *self.rect.insert(Rect::new(x1, y1, x2, y2))
    }

    /// Em in pixels of the label of a face that asks for `ideal`.
    pub(super) fn em_px(&mut self, ideal: f32) -> u32 {
        if self.em_px == 0 || (ideal / self.em_px as f32 - 1.0).abs() > EM_MARGIN {
            self.em_px = ideal.round() as u32;
        }
        self.em_px
    }

    /// The numbers shown with `frame`, whose own ones are `new`.
    pub(super) fn numbers(&mut self, new: Numbers, state: State, frame: FrameRef) -> Numbers {
        let stays = self.numbers.filter(|(_, before, since)| {
            let age = frame.pts - since.pts;
            let recent = age >= Span::ZERO && age < NUMBERS_STAY;
            *before == state && since.epoch == frame.epoch && recent
        });
        self.numbers.insert(stays.unwrap_or((new, state, frame))).0
    }
}

/// Where a side of a box from `old` to `old` is drawn that is now from `new` to `new`.
fn side((old_from, old_to): (f32, f32), (from, to): (f32, f32)) -> (f32, f32) {
    let (old_length, length) = (old_to - old_from, to - from);
    let moved = (from + to - old_from - old_to) / 2.0;
    // What is no number is near nothing: the drawing finds it and leaves the box out.
    let near = |off: f32, share: f32, least_px: f32| {
        off.is_finite() && off.abs() <= (length * share).max(least_px)
    };
    if old_length < 1.0 || !near(length - old_length, SIZE_MARGIN, 2.0) {
        let (from, to) = (from.round(), to.round());
        // Not `max`, which would make a place of what is no number.
        (from, if to < from + 1.0 { from + 1.0 } else { to })
    } else if near(moved, PLACE_MARGIN, 1.0) {
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
        let mut box_stabilizer = BoxStabilizer::new();
        let at = |x: f32, y: f32| Rect::new(x, y, x + 100.0, y + 150.0);
        assert_eq!(box_stabilizer.rect(at(10.2, 9.9)), at(10.0, 10.0), "whole pixels");
        assert_eq!(
            box_stabilizer.rect(at(11.9, 7.1)),
            at(10.0, 10.0),
            "within two pixels and three"
        );
        assert_eq!(box_stabilizer.rect(at(12.2, 10.0)), at(12.0, 10.0));
        assert_eq!(box_stabilizer.rect(at(10.3, 10.0)), at(12.0, 10.0), "from where it is drawn");
        // A pixel at least, however small the face.
        let small = Rect::new(10.0, 10.0, 20.0, 20.0);
        box_stabilizer.rect(small);
        assert_eq!(box_stabilizer.rect(Rect::new(10.9, 10.0, 20.9, 20.0)), small);
    }

    #[test]
    fn a_box_keeps_its_size_while_the_face_nearly_does() {
        let mut box_stabilizer = BoxStabilizer::new();
        let at = |x: f32, width: f32| Rect::new(x, 10.0, x + width, 160.0);
        box_stabilizer.rect(at(10.0, 100.0));
        assert_eq!(
            box_stabilizer.rect(at(30.0, 106.0)),
            at(33.0, 100.0),
            "about the face's new middle"
        );
        assert_eq!(box_stabilizer.rect(at(30.0, 107.0)), at(30.0, 107.0));
        assert_eq!(box_stabilizer.rect(at(30.0, 101.0)), at(27.0, 107.0));
        assert_eq!(box_stabilizer.rect(at(30.4, 99.0)), at(30.0, 99.0));
        // Two pixels at least; and a box is never without a pixel.
        box_stabilizer.rect(at(10.0, 12.0));
        assert_eq!(box_stabilizer.rect(at(9.0, 14.0)), at(10.0, 12.0));
        assert_eq!(box_stabilizer.rect(at(10.1, 0.2)), at(10.0, 1.0));
    }

    #[test]
    fn what_is_no_place_is_not_kept() {
        let mut box_stabilizer = BoxStabilizer::new();
        let good = Rect::new(10.0, 10.0, 60.0, 60.0);
        box_stabilizer.rect(good);
        for bad in [f32::NAN, f32::INFINITY] {
            for (x1, x2) in [(bad, 60.0), (10.0, bad), (bad, bad)] {
                let rect = box_stabilizer.rect(Rect::new(x1, 10.0, x2, 60.0));
                assert!(!rect.x1.is_finite() || !rect.x2.is_finite(), "{rect:?}");
                assert_eq!(box_stabilizer.rect(good), good);
            }
        }
    }

    #[test]
    fn numbers_stay_to_be_read_and_a_new_state_renews_them() {
        let mut box_stabilizer = BoxStabilizer::new();
        let mut shown = |score, state, epoch, ms: i64| {
            let frame = FrameRef { epoch: Epoch(epoch), seq: 0, pts: Pts::from_ns(ms * 1_000_000) };
            box_stabilizer
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
        let mut box_stabilizer = BoxStabilizer::new();
        let sizes = [20.0, 22.0, 18.0, 23.5, 22.0].map(|ideal| box_stabilizer.em_px(ideal));
        assert_eq!(sizes, [20, 20, 20, 24, 24]);
    }
}
