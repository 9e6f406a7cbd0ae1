//! Where a fine search looks between two wide ones: around the faces that are known.
//!
//! Takes what each search of a shot found; gives the part of the frame that holds all of these
//! faces, with room for where they went meanwhile. Faces that need a fine search are small and mostly
//! stand side by side, so that such a part is a fraction of the frame, and costs a fraction.
//!
//! Promises that a face that was found stays inside until it was missed several times by a search
//! that could see it. Does not promise to hold faces that nobody found yet: those are for the wide
//! searches, and for the ordinary ones where they are large.

use crate::core::frame::Part;
use crate::core::geometry::{FaceBox, Point, Rect};

/// Room on each side of a face, in its longer sides: half as far as it goes in a very fast 0.4 s, and
/// what a detector wants to see around it.
const ROOM: f32 = 1.5;
/// Room that a part still has to give to be used again: a new one means tables for another size.
const LEAST_ROOM: f32 = 0.75;
/// Share of the frame from which a part spares too little.
const MOST: f32 = 0.7;
/// Searches in a row that miss a face before it is forgotten: it may have turned away.
const MISSES: u8 = 4;
/// Pixels that a part is larger than what it is to hold: it begins at an even one and ends at a whole.
const SLACK_PX: f32 = 6.0;
/// Steps of a part's sides in pixels of the detector's input: the detector fills up to these.
const STEP_PX: f32 = 32.0;

/// The faces that are known of a shot.
#[derive(Clone, Debug, Default)]
pub(super) struct Near {
    faces: Vec<Known>,
    /// What was given last, and at which pixels of input per pixel of the frame.
    last: Option<(Part, f32)>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    rect: Rect,
    misses: u8,
    /// Whether the last search found it.
    found: bool,
}

/// What a search said of the known faces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// It found all that were known.
    pub(super) everyone: bool,
    /// It found some that were not.
    pub(super) someone_new: bool,
}

impl Near {
    /// A shot of which nothing was seen.
    pub(super) const fn new() -> Self {
        Self { faces: Vec::new(), last: None }
    }

    /// Learns what a search found; `all` says whether it could see every known face.
    pub(super) fn saw<'a>(&mut self, faces: impl Iterator<Item = &'a FaceBox>, all: bool) -> Seen {
        let before = self.faces.len();
        self.faces.iter_mut().for_each(|known| known.found = false);
        for face in faces {
            let seen = Known { rect: face.rect, misses: 0, found: true };
            let away = |known: &Known| distance(known.rect.center(), face.rect.center());
            let others = self.faces.iter_mut().filter(|known| !known.found);
            let nearest = others.min_by(|a, b| away(a).total_cmp(&away(b)));
            match nearest.filter(|known| away(known) < face.rect.longer_side()) {
                Some(known) => *known = seen,
                None => self.faces.push(seen),
            }
        }
        let everyone = self.faces.iter().all(|known| known.found);
        let someone_new = self.faces.len() > before;
        for known in self.faces.iter_mut().filter(|known| all && !known.found) {
            known.misses += 1;
        }
        self.faces.retain(|known| known.misses < MISSES);
        Seen { everyone, someone_new }
    }

    /// The part of a frame of `image` (width, height in pixels) to search at `scale` pixels of
    /// input per pixel of it; `None` where nobody is known or the whole is hardly more.
    pub(super) fn part(&mut self, image: (usize, usize), scale: f32) -> Option<Part> {
        let needed = self.around(LEAST_ROOM)?;
        let part = match self.last {
            Some((part, at)) if at == scale && holds(part, image, needed) => part,
            _ => fitted(self.around(ROOM)?, image, scale),
        };
        self.last = Some((part, scale));
        let share = (part.width * part.height) as f32 / (image.0 * image.1).max(1) as f32;
        (share < MOST).then_some(part)
    }

    /// All known faces, with `room` around each.
    fn around(&self, room: f32) -> Option<Rect> {
        let grown = self.faces.iter().map(|Known { rect, .. }| {
            let room = rect.longer_side() * room;
            Rect::new(rect.x1 - room, rect.y1 - room, rect.x2 + room, rect.y2 + room)
        });
        grown.reduce(|a, b| {
            Rect::new(a.x1.min(b.x1), a.y1.min(b.y1), a.x2.max(b.x2), a.y2.max(b.y2))
        })
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Whether `part` holds all of `area` that lies in the frame.
fn holds(part: Part, (width, height): (usize, usize), area: Rect) -> bool {
    let (right, bottom) = (part.x + part.width, part.y + part.height);
    area.x1.max(0.0) >= part.x as f32
        && area.y1.max(0.0) >= part.y as f32
        && area.x2.min(width as f32) <= right as f32
        && area.y2.min(height as f32) <= bottom as f32
}

/// The part around `area` whose sides are whole steps of the detector's input.
fn fitted(area: Rect, (width, height): (usize, usize), scale: f32) -> Part {
    let (x, width) = along((area.x1, area.x2), width, scale);
    let (y, height) = along((area.y1, area.y2), height, scale);
    Part { x, y, width, height }
}

/// Along one axis: where the part begins, and its length.
fn along((from, to): (f32, f32), side: usize, scale: f32) -> (usize, usize) {
    let whole = side as f32;
    let (from, to) = (from.clamp(0.0, whole), to.clamp(0.0, whole));
    let steps = ((to - from + SLACK_PX) * scale / STEP_PX).ceil().max(1.0);
    let length = steps * STEP_PX / scale;
    if length >= whole {
        return (0, side);
    }
    // Colour has a sample for two pixels each way.
    let start = ((from + to - length) / 2.0).max(0.0);
    if start + length < whole {
        return (start as usize / 2 * 2, length as usize);
    }
    let start = ((whole - length).ceil() as usize).next_multiple_of(2);
    (start, side - start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, y: f32, size: f32) -> FaceBox {
        let rect = Rect::new(x, y, x + 0.8 * size, y + size);
        FaceBox { rect, confidence: 0.9, landmarks: [Point::default(); 5] }
    }

    const FRAME: (usize, usize) = (640, 360);

    #[test]
    fn faces_side_by_side_are_a_band() {
        let mut near = Near::new();
        assert_eq!(near.part(FRAME, 1.0), None, "nobody is known");
        near.saw([face(100.0, 70.0, 24.0), face(520.0, 80.0, 24.0)].iter(), true);
        let part = near.part(FRAME, 1.0).expect("two small faces");
        assert_eq!((part.width % 32, part.height % 32), (0, 0));
        assert!(part.height <= 128 && part.x <= 64 && part.x + part.width >= 575, "{part:?}");
        assert!(part.y <= 34 && part.y + part.height >= 140, "{part:?}");
    }

    #[test]
    fn large_faces_or_many_are_the_whole_frame() {
        let mut near = Near::new();
        near.saw([face(250.0, 100.0, 150.0)].iter(), true);
        assert_eq!(near.part(FRAME, 1.0), None);
        let mut near = Near::new();
        near.saw([face(20.0, 10.0, 20.0), face(600.0, 330.0, 20.0)].iter(), true);
        assert_eq!(near.part(FRAME, 1.0), None);
    }

    #[test]
    fn a_face_that_moves_takes_its_part_along_and_one_that_trembles_does_not() {
        let mut near = Near::new();
        near.saw([face(300.0, 100.0, 20.0)].iter(), true);
        let first = near.part(FRAME, 1.0);
        near.saw([face(303.0, 99.0, 20.0)].iter(), true);
        assert_eq!(near.part(FRAME, 1.0), first);
        near.saw([face(309.0, 90.0, 20.0)].iter(), true);
        near.saw([face(320.0, 80.0, 20.0)].iter(), true);
        near.saw([face(332.0, 70.0, 20.0)].iter(), true);
        let moved = near.part(FRAME, 1.0).expect("one small face");
        assert_ne!(Some(moved), first);
        assert!(moved.width <= 96 && moved.height <= 96, "where it was is forgotten: {moved:?}");
    }

    #[test]
    fn a_face_that_is_missed_stays_for_a_while_and_what_could_not_see_it_says_nothing() {
        let mut near = Near::new();
        near.saw([face(100.0, 70.0, 24.0), face(520.0, 80.0, 24.0)].iter(), true);
        let both = near.part(FRAME, 1.0);
        for _ in 0..20 {
            near.saw([face(100.0, 70.0, 24.0)].iter(), false);
        }
        for _ in 1..MISSES {
            near.saw([face(100.0, 70.0, 24.0)].iter(), true);
        }
        assert_eq!(near.part(FRAME, 1.0), both);
        near.saw([face(100.0, 70.0, 24.0)].iter(), true);
        near.last = None;
        assert!(near.part(FRAME, 1.0).is_some_and(|part| part.width < 200));
    }

    #[test]
    fn every_face_is_found_by_itself() {
        let mut near = Near::new();
        // Close to each other: the small one's middle lies within its size of the large one's.
        let both = [face(100.0, 100.0, 90.0), face(130.0, 122.0, 16.0)];
        let seen = near.saw(both.iter(), true);
        assert_eq!(seen, Seen { everyone: true, someone_new: true });
        assert_eq!(near.faces.len(), 2);
        let seen = near.saw(both[..1].iter(), false);
        assert_eq!(seen, Seen { everyone: false, someone_new: false });
        // Another one in its stead is not the same.
        let other = [face(100.0, 100.0, 90.0), face(400.0, 100.0, 16.0)];
        let seen = near.saw(other.iter(), false);
        assert_eq!(seen, Seen { everyone: false, someone_new: true });
    }

    proptest! {
        #[test]
        fn a_part_lies_in_the_frame_and_holds_every_face_that_does(
            (width, height) in (1_usize..2_000, 1_usize..2_000),
            scale in 0.1_f32..=1.0,
            faces in prop::collection::vec((-50.0_f32..2_050.0, -50.0_f32..2_050.0, 16.0_f32..90.0), 1..5),
        ) {
            let faces: Vec<_> = faces.into_iter().map(|(x, y, size)| face(x, y, size)).collect();
            let mut near = Near::new();
            near.saw(faces.iter(), true);
            let Some(part) = near.part((width, height), scale) else { return Ok(()) };
            prop_assert!(part.width > 0 && part.height > 0);
            prop_assert!(part.x % 2 == 0 && part.y % 2 == 0);
            prop_assert!(part.x + part.width <= width && part.y + part.height <= height);
            let image = Rect::new(0.0, 0.0, width as f32, height as f32);
            for FaceBox { rect, .. } in faces {
                let seen = rect.intersection(image).area() > 0.0;
                prop_assert!(!seen || holds(part, (width, height), rect), "{part:?}");
            }
        }
    }
}
