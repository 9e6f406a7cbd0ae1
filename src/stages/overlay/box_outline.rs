//! The box around a face, as strips.
//!
//! Input: the box's size in whole pixels, its state and a line width. Output: strips along the
//! box's edges. Whole pixels keep lines crisp. Speaking is a thick full line, silent is the corners
//! alone, unknown is dashed. A dark rim on both sides keeps a line visible on any background.
//! Blending costs per pixel, so transparent parts have no strip. Lines that stand still over a
//! moving face cost an encoder most, so silent people, who are the majority, have few lines.

use smallvec::SmallVec;

use super::palette::DARK;
use super::pixel_rect::PixelRect;
use super::style::State;

/// A strip of a box.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strip {
    outline: BoxOutline,
    bounds: Bounds,
}

impl Strip {
    /// Calls `fill` with rectangles (left, top, right, bottom in pixels of the strip) and their
    /// premultiplied B, G, R, A, in drawing order. The rest of the strip is transparent.
    pub fn for_each_rect(self, mut fill: impl FnMut([usize; 4], [u8; 4])) {
        let [left, top, right, bottom] = self.bounds;
        let mut clip_and_fill = |[x1, y1, x2, y2]: Bounds, colour| {
            let inside = [x1.max(left), y1.max(top), x2.min(right), y2.min(bottom)];
            if inside[0] < inside[2] && inside[1] < inside[3] {
                let [x1, y1, x2, y2] = inside;
                fill([x1 - left, y1 - top, x2 - left, y2 - top].map(|v| v as usize), colour);
            }
        };
        let (rim, rim_colour) = (rim(self.outline.line), DARK.premultiplied(0.65));
        self.outline.for_each_line(|[x1, y1, x2, y2]| {
            clip_and_fill([x1 - rim, y1 - rim, x2 + rim, y2 + rim], rim_colour);
        });
        let colour = self.outline.state.colour().premultiplied(1.0);
        self.outline.for_each_line(|line| clip_and_fill(line, colour));
    }

    /// Premultiplied B, G, R, A of every pixel.
    pub(super) fn bgra(self) -> Vec<u8> {
        let [x1, y1, x2, y2] = self.bounds;
        let width = (x2 - x1) as usize;
        let mut pixels = vec![[0; 4]; width * (y2 - y1) as usize];
        self.for_each_rect(|[x1, y1, x2, y2], colour| {
            for row in pixels.chunks_exact_mut(width).take(y2).skip(y1) {
                row[x1..x2].fill(colour);
            }
        });
        pixels.concat()
    }
}

/// A box to draw: all parameters of its pixels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct BoxOutline {
    width: i32,
    height: i32,
    line: i32,
    state: State,
}

/// Left, top, right and bottom in pixels of the box.
type Bounds = [i32; 4];

impl BoxOutline {
    /// A box of `rect`'s size with lines of `line_px`.
    pub(super) fn new(rect: PixelRect, line_px: u32, state: State) -> Self {
        let side = |v: u32| v.min(1 << 20) as i32;
        Self { width: side(rect.w), height: side(rect.h), line: side(line_px), state }
    }

    /// How far a box with lines of `line_px` reaches beyond its face, in pixels.
    pub(super) fn outset(line_px: u32) -> u32 {
        line_px + rim(line_px as i32) as u32
    }

    /// Line width at the corners.
    fn corner(self) -> i32 {
        match self.state {
            State::Speaking => self.line + (self.line / 2).max(1),
            State::Silent => self.line * 2,
            State::Unknown => self.line,
        }
    }

    /// Length of a corner's arms.
    fn arm(self) -> i32 {
        let inside = |side: i32| side - 2 * rim(self.line);
        (inside(self.width).min(inside(self.height)) / 4).max(self.corner())
    }

    /// The strips that cover the whole box without overlap, and their positions if the box is drawn
    /// at `rect`.
    pub(super) fn strips(self, rect: PixelRect) -> impl Iterator<Item = (Strip, PixelRect)> {
        self.strip_bounds().into_iter().map(move |bounds| {
            let [x1, y1, x2, y2] = bounds;
            let (w, h) = ((x2 - x1) as u32, (y2 - y1) as u32);
            (Strip { outline: self, bounds }, PixelRect { x: rect.x + x1, y: rect.y + y1, w, h })
        })
    }

    fn strip_bounds(self) -> SmallVec<[Bounds; 8]> {
        let (w, h) = (self.width, self.height);
        let depth = self.corner() + 2 * rim(self.line);
        let (across, down) = (depth.min((w + 1) / 2), depth.min((h + 1) / 2));
        // A silent face's edges are drawn near their ends only.
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
        let mut strip_bounds = SmallVec::<[Bounds; 8]>::new();
        for (left, right) in ends(0, w, w) {
            strip_bounds.push([left, 0, right, down]);
            strip_bounds.push([left, (h - down).max(down), right, h]);
        }
        for (top, bottom) in ends(down, h - down, h) {
            strip_bounds.push([0, top, across, bottom]);
            strip_bounds.push([(w - across).max(across), top, w, bottom]);
        }
        strip_bounds.retain(|[x1, y1, x2, y2]| x1 < x2 && y1 < y2);
        strip_bounds
    }

    /// Calls `visit` with the coloured rectangles of the whole box.
    fn for_each_line(self, mut visit: impl FnMut(Bounds)) {
        let (rim, line, corner) = (rim(self.line), self.line, self.corner());
        let (x1, y1, x2, y2) = (rim, rim, self.width - rim, self.height - rim);
        for (from, to) in self.segments(x1, x2) {
            visit([from, y1, to, y1 + line]);
            visit([from, y2 - line, to, y2]);
        }
        for (from, to) in self.segments(y1, y2) {
            visit([x1, from, x1 + line, to]);
            visit([x2 - line, from, x2, to]);
        }
        if self.state == State::Unknown {
            return;
        }
        let arm = self.arm();
        for (left, right) in [(x1, x1 + arm), (x2 - arm, x2)] {
            visit([left, y1, right, y1 + corner]);
            visit([left, y2 - corner, right, y2]);
        }
        for (top, bottom) in [(y1, y1 + arm), (y2 - arm, y2)] {
            visit([x1, top, x1 + corner, bottom]);
            visit([x2 - corner, top, x2, bottom]);
        }
    }

    /// The segments of an edge from `from` to `to` between its corners: one, none, or dashes.
    fn segments(self, from: i32, to: i32) -> impl Iterator<Item = (i32, i32)> {
        // A gap is as wide as a dash, plus the rims of both.
        let dash = 3 * self.line;
        let period = 2 * dash + 2 * rim(self.line);
        // Whole dashes, centred on the edge; at least one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::overlay::palette::Rgb;

    /// The whole box assembled from its strips: B, G, R, A of each pixel that a strip covers.
    fn whole(width: u32, height: u32, line: u32, state: State) -> Vec<Option<[u8; 4]>> {
        let rect = PixelRect { x: 0, y: 0, w: width, h: height };
        let outline = BoxOutline::new(rect, line, state);
        let mut all = vec![None; (width * height) as usize];
        for (strip, at) in outline.strips(rect) {
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
    fn shape_shows_the_state_without_colour() {
        let coloured_pixels = |state, line| coloured(&whole(120, 140, line, state), state);
        let (speaking, silent) =
            (coloured_pixels(State::Speaking, 4), coloured_pixels(State::Silent, 2));
        let unknown = coloured_pixels(State::Unknown, 2);
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
    fn of_a_silent_face_only_the_corners_are_blended_and_no_line_is_missing() {
        let touched = |state, line| whole(120, 140, line, state).iter().flatten().count();
        assert!(2 * touched(State::Silent, 2) < touched(State::Speaking, 4));
        for state in [State::Speaking, State::Silent, State::Unknown] {
            for (w, h, line) in [(120, 140, 2), (60, 30, 3), (9, 200, 2), (7, 5, 1)] {
                let mut lines = vec![false; w * h];
                BoxOutline::new(PixelRect { x: 0, y: 0, w: w as u32, h: h as u32 }, line, state)
                    .for_each_line(|[x1, y1, x2, y2]| {
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
}
