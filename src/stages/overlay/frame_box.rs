//! The box around a face, as strips.
//!
//! Takes the box's size in whole pixels, the state it shows and a line width; gives strips along its
//! edges. Whole pixels only, so that lines are crisp. Speaking is a thick full line; silent its
//! corners alone; unknown is dashed. A dark rim on both sides keeps a line visible on any ground.
//! Where nothing is seen nothing is blended, as that costs per pixel; and lines that lie still over a
//! face that moves cost an encoder most of all, so that most people, who are silent, have few.

use smallvec::SmallVec;

use super::Place;
use super::palette::DARK;
use super::style::State;
use crate::core::geometry::Rect as FaceRect;

/// A strip of a box, as large as its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strip {
    frame: FrameBox,
    span: Span,
}

impl Strip {
    /// Gives rectangles (left, top, right, bottom in pixels of the strip) and their premultiplied B,
    /// G, R, A, each laid over whatever was there; where none lies nothing is seen.
    pub fn fills(self, mut fill: impl FnMut([usize; 4], [u8; 4])) {
        let [left, top, right, bottom] = self.span;
        let mut lay = |[x1, y1, x2, y2]: Span, colour| {
            let inside = [x1.max(left), y1.max(top), x2.min(right), y2.min(bottom)];
            if inside[0] < inside[2] && inside[1] < inside[3] {
                let [x1, y1, x2, y2] = inside;
                fill([x1 - left, y1 - top, x2 - left, y2 - top].map(|v| v as usize), colour);
            }
        };
        let (rim, rim_colour) = (rim(self.frame.line), DARK.premultiplied(0.65));
        self.frame.each_line(|[x1, y1, x2, y2]| {
            lay([x1 - rim, y1 - rim, x2 + rim, y2 + rim], rim_colour);
        });
        let colour = self.frame.state.colour().premultiplied(1.0);
        self.frame.each_line(|line| lay(line, colour));
    }

    /// Premultiplied B, G, R, A of every pixel.
    pub(super) fn bgra(self) -> Vec<u8> {
        let [x1, y1, x2, y2] = self.span;
        let width = (x2 - x1) as usize;
        let mut pixels = vec![[0; 4]; width * (y2 - y1) as usize];
        self.fills(|[x1, y1, x2, y2], colour| {
            for row in pixels.chunks_exact_mut(width).take(y2).skip(y1) {
                row[x1..x2].fill(colour);
            }
        });
        pixels.concat()
    }
}

/// A box to draw: everything that its pixels depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct FrameBox {
    width: i32,
    height: i32,
    line: i32,
    state: State,
}

/// Left, top, right and bottom in pixels of the box.
type Span = [i32; 4];

impl FrameBox {
    /// A box of `place`'s size with lines of `line_px`.
    pub(super) fn new(place: Place, line_px: u32, state: State) -> Self {
        let side = |v: u32| v.min(1 << 20) as i32;
        Self { width: side(place.w), height: side(place.h), line: side(line_px), state }
    }

    /// Pixels by which a box with lines of `line_px` reaches beyond its face.
    pub(super) fn outset(line_px: u32) -> u32 {
        line_px + rim(line_px as i32) as u32
    }

    /// How wide a line is at the corners.
    fn corner(self) -> i32 {
        match self.state {
            State::Speaking => self.line + (self.line / 2).max(1),
            State::Silent => self.line * 2,
            State::Unknown => self.line,
        }
    }

    /// How long a corner's arms are.
    fn arm(self) -> i32 {
        let inside = |side: i32| side - 2 * rim(self.line);
        (inside(self.width).min(inside(self.height)) / 4).max(self.corner())
    }

    /// The strips in which the whole box lies, without overlap, and where each goes when the box goes
    /// to `place`.
    pub(super) fn laid(self, place: Place) -> impl Iterator<Item = (Strip, Place)> {
        self.spans().into_iter().map(move |span| {
            let [x1, y1, x2, y2] = span;
            let (w, h) = ((x2 - x1) as u32, (y2 - y1) as u32);
            (Strip { frame: self, span }, Place { x: place.x + x1, y: place.y + y1, w, h })
        })
    }

    fn spans(self) -> SmallVec<[Span; 8]> {
        let (w, h) = (self.width, self.height);
        let depth = self.corner() + 2 * rim(self.line);
        let (across, down) = (depth.min((w + 1) / 2), depth.min((h + 1) / 2));
        // Of a silent face's edges only what is near their ends.
        let reach = match self.state {
            State::Silent => self.arm() + 2 * rim(self.line),
            State::Speaking | State::Unknown => w.max(h),
        };
        let ends = |from: i32, to: i32, length: i32| {
            if 2 * reach < length {
                [(from, reach), (length - reach, to)]
            } else {
                [(from, to), (to, to)]
            }
        };
        let mut spans = SmallVec::<[Span; 8]>::new();
        for (left, right) in ends(0, w, w) {
            spans.push([left, 0, right, down]);
            spans.push([left, (h - down).max(down), right, h]);
        }
        for (top, bottom) in ends(down, h - down, h) {
            spans.push([0, top, across, bottom]);
            spans.push([(w - across).max(across), top, w, bottom]);
        }
        spans.retain(|[x1, y1, x2, y2]| x1 < x2 && y1 < y2);
        spans
    }

    /// Gives the coloured rectangles of the whole box.
    fn each_line(self, mut line_at: impl FnMut(Span)) {
        let (rim, line, corner) = (rim(self.line), self.line, self.corner());
        let (x1, y1, x2, y2) = (rim, rim, self.width - rim, self.height - rim);
        for (from, to) in self.pieces(x1, x2) {
            line_at([from, y1, to, y1 + line]);
            line_at([from, y2 - line, to, y2]);
        }
        for (from, to) in self.pieces(y1, y2) {
            line_at([x1, from, x1 + line, to]);
            line_at([x2 - line, from, x2, to]);
        }
        if self.state == State::Unknown {
            return;
        }
        let arm = self.arm();
        for (left, right) in [(x1, x1 + arm), (x2 - arm, x2)] {
            line_at([left, y1, right, y1 + corner]);
            line_at([left, y2 - corner, right, y2]);
        }
        for (top, bottom) in [(y1, y1 + arm), (y2 - arm, y2)] {
            line_at([x1, top, x1 + corner, bottom]);
            line_at([x2 - corner, top, x2, bottom]);
        }
    }

    /// The pieces of an edge from `from` to `to` beside its corners: one, none, or dashes.
    fn pieces(self, from: i32, to: i32) -> impl Iterator<Item = (i32, i32)> {
        // A gap as wide as a dash, between the rims of both.
        let dash = 3 * self.line;
        let period = 2 * dash + 2 * rim(self.line);
        // Whole dashes, spread so that both ends of the edge look alike; one at least.
        let count = match self.state {
            State::Unknown => ((to - from + period - dash) / period).max(1),
            State::Speaking | State::Silent => 0,
        };
        let spare = (to - from - period * count + period - dash).max(0) / 2;
        let whole = (self.state == State::Speaking).then_some((from, to));
        let dashes = (0..count).map(move |i| {
            let from = from + spare + period * i;
            (from, (from + dash).min(to))
        });
        whole.into_iter().chain(dashes)
    }
}

/// Width of the dark rim beside a line.
fn rim(line: i32) -> i32 {
    (line / 3).max(1)
}

/// The face's box in whole pixels, widened by `outset` and cut at the frame's edges, so that a
/// face that reaches out keeps all four sides. `None` where no part of the face is in the frame.
pub(super) fn outer(face: FaceRect, outset: u32, image: (u32, u32)) -> Option<Place> {
    let (width, height) = (image.0 as f32, image.1 as f32);
    let whole = FaceRect::new(0.0, 0.0, width, height);
    let finite = [face.x1, face.y1, face.x2, face.y2].iter().all(|v| v.is_finite());
    if !finite || face.intersection(whole).area() <= 0.0 {
        return None;
    }
    let out = outset as f32;
    let low = |v: f32, most: f32| (v.round() - out).clamp(0.0, most - 1.0) as i32;
    let (x, y) = (low(face.x1, width), low(face.y1, height));
    let high = |v: f32, most: f32, low: i32| {
        ((v.round() + out).clamp(0.0, most) as i32 - low).max(1) as u32
    };
    Some(Place { x, y, w: high(face.x2, width, x), h: high(face.y2, height, y) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::overlay::palette::Rgb;

    /// The whole box put together from its strips: alpha and blue-green-red by pixel.
    fn whole(width: u32, height: u32, line: u32, state: State) -> Vec<Option<[u8; 4]>> {
        let place = Place { x: 0, y: 0, w: width, h: height };
        let frame = FrameBox::new(place, line, state);
        let mut all = vec![None; (width * height) as usize];
        for (strip, at) in frame.laid(place) {
            let bgra = strip.bgra();
            assert_eq!(bgra.len(), (at.w * at.h * 4) as usize);
            for (i, pixel) in bgra.chunks_exact(4).enumerate() {
                let (x, y) = (at.x as usize + i % at.w as usize, at.y as usize + i / at.w as usize);
                let cell = &mut all[y * width as usize + x];
                assert!(cell.is_none(), "strips overlap at {x},{y}");
                *cell = Some([pixel[0], pixel[1], pixel[2], pixel[3]]);
            }
        }
        all
    }

    fn coloured(all: &[Option<[u8; 4]>], state: State) -> usize {
        let Rgb(r, g, b) = state.colour();
        all.iter().flatten().filter(|p| **p == [b, g, r, 255]).count()
    }

    #[test]
    fn shape_tells_the_state_without_colour() {
        let inked = |state, line| coloured(&whole(120, 140, line, state), state);
        let (speaking, silent) = (inked(State::Speaking, 4), inked(State::Silent, 2));
        let unknown = inked(State::Unknown, 2);
        assert!(speaking as f32 > 1.4 * silent as f32, "{speaking} {silent}");
        assert!((unknown as f32) < 0.9 * silent as f32, "{unknown} {silent}");
    }

    #[test]
    fn most_of_a_box_is_never_blended() {
        let all = whole(400, 400, 6, State::Speaking);
        let touched = all.iter().flatten().count() as f32 / all.len() as f32;
        assert!(touched < 0.14, "{touched}");
    }

    #[test]
    fn of_a_silent_face_only_the_corners_are_blended_and_no_line_is_left_out() {
        let touched = |state, line| whole(120, 140, line, state).iter().flatten().count();
        assert!(2 * touched(State::Silent, 2) < touched(State::Speaking, 4));
        for state in [State::Speaking, State::Silent, State::Unknown] {
            for (w, h, line) in [(120, 140, 2), (60, 30, 3), (9, 200, 2), (7, 5, 1)] {
                let mut lines = vec![false; w * h];
                FrameBox::new(Place { x: 0, y: 0, w: w as u32, h: h as u32 }, line, state)
                    .each_line(|[x1, y1, x2, y2]| {
                        for y in y1.max(0)..y2.min(h as i32) {
                            for x in x1.max(0)..x2.min(w as i32) {
                                lines[y as usize * w + x as usize] = true;
                            }
                        }
                    });
                let drawn = coloured(&whole(w as u32, h as u32, line, state), state);
                assert_eq!(drawn, lines.iter().filter(|l| **l).count(), "{state:?} {w} {h}");
            }
        }
    }

    #[test]
    fn every_size_is_drawn_without_overlap() {
        for (w, h) in [(1, 1), (1, 9), (2, 2), (5, 40), (11, 12), (23, 26), (300, 20)] {
            for state in [State::Speaking, State::Silent, State::Unknown] {
                for line in [1, 2, 5, 12] {
                    whole(w, h, line, state);
                }
            }
        }
        assert!(coloured(&whole(26, 28, 2, State::Speaking), State::Speaking) > 150);
    }

    #[test]
    fn a_face_that_reaches_out_keeps_its_box_inside() {
        let at = |face| outer(face, 3, (320, 240));
        let cut = at(FaceRect::new(-50.0, 100.4, 40.0, 400.0)).expect("partly inside");
        assert_eq!(cut, Place { x: 0, y: 97, w: 43, h: 143 });
        assert!(at(FaceRect::new(-50.0, 10.0, 0.0, 50.0)).is_none());
        assert!(at(FaceRect::new(f32::NAN, 10.0, 50.0, 50.0)).is_none());
        assert!(at(FaceRect::new(50.0, 10.0, 40.0, 50.0)).is_none());
        let all = at(FaceRect::new(-1e30, -1e30, 1e30, 1e30)).expect("covers all");
        assert_eq!(all, Place { x: 0, y: 0, w: 320, h: 240 });
    }
}
