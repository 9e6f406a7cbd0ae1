//! Where a fine search looks between two wide ones: around the faces that are known.
//!
//! Takes what each search of a shot found; gives the part of the frame that holds all of these
//! faces, with room for where they went meanwhile. Faces that need a fine search are small and mostly
//! stand side by side, so that such a part is a fraction of the frame, and costs a fraction.
//!
//! Promises that a face that was found stays inside until it was missed several times by a search
//! that could see it. Does not promise to hold faces that nobody found yet: those are for the wide
//! searches, and for the ordinary ones where they are large.

use crate::core::frame::Region;
use crate::core::geometry::{FaceBox, Point, Rect};

/// Room on each side of a face, in its longer sides: half as far as it goes in a very fast 0.4 s, and
/// what a detector wants to see around it.
const MARGIN: f32 = 1.5;
/// Room that a part still has to give to be used again: a new one means tables for another size.
const MIN_MARGIN: f32 = 0.75;
/// Share of the frame from which a part spares too little.
const MAX_AREA_RATIO: f32 = 0.7;
/// Searches in a row that miss a face before it is forgotten: it may have turned away.
const MAX_MISSES: u8 = 4;
/// Pixels that a part is larger than what it is to hold: it begins at an even one and ends at a whole.
const SLACK_PX: f32 = 6.0;
/// Steps of a part's sides in pixels of the detector's input: the detector fills up to these.
const STEP_PX: f32 = 32.0;

/// The faces that are known of a shot.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchRegion {
    faces: Vec<KnownFace>,
    /// What was given last, and at which pixels of input per pixel of the frame.
    last: Option<(Region, f32)>,
}

#[derive(Clone, Copy, Debug)]
struct KnownFace {
    rect: Rect,
    misses: u8,
    /// Whether the last search found it.
    found: bool,
}

/// What a search said of the known faces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MatchResult {
    /// It found all that were known.
    pub(super) all_found: bool,
    /// It found some that were not.
    pub(super) any_new: bool,
}

impl SearchRegion {
    /// A shot of which nothing was seen.
    pub(super) const fn new() -> Self {
        Self { faces: Vec::new(), last: None }
    }

    /// Learns what a search found; `all` says whether it could see every known face.
    pub(super) fn update<'a>(
        &mut self,
        faces: impl Iterator<Item = &'a FaceBox>,
        all: bool,
    ) -> MatchResult {
        let before = self.faces.len();
        self.faces.iter_mut().for_each(|known| known.found = false);
        for face in faces {
            let seen = KnownFace { rect: face.rect, misses: 0, found: true };
            let distance_to = |known: &KnownFace| distance(known.rect.center(), face.rect.center());
            let others = self.faces.iter_mut().filter(|known| !known.found);
            let nearest = others.min_by(|a, b| distance_to(a).total_cmp(&distance_to(b)));
            match nearest.filter(|known| distance_to(known) < face.rect.longer_side()) {
                Some(known) => *known = seen,
                None => self.faces.push(seen),
            }
        }
        let all_found = self.faces.iter().all(|known| known.found);
        let any_new = self.faces.len() > before;
        for known in self.faces.iter_mut().filter(|known| all && !known.found) {
            known.misses += 1;
        }
        self.faces.retain(|known| known.misses < MAX_MISSES);
        MatchResult { all_found, any_new }
    }

    /// The part of a frame of `frame_size` (width, height in pixels) to search at `scale` pixels of
    /// input per pixel of it; `None` where nobody is known or the whole is hardly more.
    pub(super) fn region(&mut self, frame_size: (usize, usize), scale: f32) -> Option<Region> {
        let needed = self.bounds(MIN_MARGIN)?;
        let region = match self.last {
            Some((region, at)) if at == scale && contains(region, frame_size, needed) => region,
            _ => aligned_region(self.bounds(MARGIN)?, frame_size, scale),
        };
        self.last = Some((region, scale));
        let share =
            (region.width * region.height) as f32 / (frame_size.0 * frame_size.1).max(1) as f32;
        (share < MAX_AREA_RATIO).then_some(region)
    }

    /// All known faces, with `margin` around each.
    fn bounds(&self, margin: f32) -> Option<Rect> {
        let grown = self.faces.iter().map(|KnownFace { rect, .. }| {
            let margin = rect.longer_side() * margin;
            Rect::new(rect.x1 - margin, rect.y1 - margin, rect.x2 + margin, rect.y2 + margin)
        });
        grown.reduce(|a, b| {
            Rect::new(a.x1.min(b.x1), a.y1.min(b.y1), a.x2.max(b.x2), a.y2.max(b.y2))
        })
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Whether `region` holds all of `area` that lies in the frame.
fn contains(region: Region, (width, height): (usize, usize), area: Rect) -> bool {
    let (right, bottom) = (region.x + region.width, region.y + region.height);
    area.x1.max(0.0) >= region.x as f32
        && area.y1.max(0.0) >= region.y as f32
        && area.x2.min(width as f32) <= right as f32
        && area.y2.min(height as f32) <= bottom as f32
}

/// The part around `area` whose sides are whole steps of the detector's input.
fn aligned_region(area: Rect, (width, height): (usize, usize), scale: f32) -> Region {
    let (x, width) = align_axis((area.x1, area.x2), width, scale);
    let (y, height) = align_axis((area.y1, area.y2), height, scale);
    Region { x, y, width, height }
}

/// Along one axis: where the part begins, and its length.
fn align_axis((from, to): (f32, f32), side: usize, scale: f32) -> (usize, usize) {
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
        let mut search_region = SearchRegion::new();
        assert_eq!(search_region.region(FRAME, 1.0), None, "nobody is known");
        search_region.update([face(100.0, 70.0, 24.0), face(520.0, 80.0, 24.0)].iter(), true);
        let region = search_region.region(FRAME, 1.0).expect("two small faces");
        assert_eq!((region.width % 32, region.height % 32), (0, 0));
        assert!(
            region.height <= 128 && region.x <= 64 && region.x + region.width >= 575,
            "{region:?}"
        );
        assert!(region.y <= 34 && region.y + region.height >= 140, "{region:?}");
    }

    #[test]
    fn large_faces_or_many_are_the_whole_frame() {
        let mut search_region = SearchRegion::new();
        search_region.update([face(250.0, 100.0, 150.0)].iter(), true);
        assert_eq!(search_region.region(FRAME, 1.0), None);
        let mut search_region = SearchRegion::new();
        search_region.update([face(20.0, 10.0, 20.0), face(600.0, 330.0, 20.0)].iter(), true);
        assert_eq!(search_region.region(FRAME, 1.0), None);
    }

    #[test]
    fn a_face_that_moves_takes_its_part_along_and_one_that_trembles_does_not() {
        let mut search_region = SearchRegion::new();
        search_region.update([face(300.0, 100.0, 20.0)].iter(), true);
        let first = search_region.region(FRAME, 1.0);
        search_region.update([face(303.0, 99.0, 20.0)].iter(), true);
        assert_eq!(search_region.region(FRAME, 1.0), first);
        search_region.update([face(309.0, 90.0, 20.0)].iter(), true);
        search_region.update([face(320.0, 80.0, 20.0)].iter(), true);
        search_region.update([face(332.0, 70.0, 20.0)].iter(), true);
        let moved = search_region.region(FRAME, 1.0).expect("one small face");
        assert_ne!(Some(moved), first);
        assert!(moved.width <= 96 && moved.height <= 96, "where it was is forgotten: {moved:?}");
    }

    #[test]
    fn a_face_that_is_missed_stays_for_a_while_and_what_could_not_see_it_says_nothing() {
        let mut search_region = SearchRegion::new();
        search_region.update([face(100.0, 70.0, 24.0), face(520.0, 80.0, 24.0)].iter(), true);
        let both = search_region.region(FRAME, 1.0);
        for _ in 0..20 {
            search_region.update([face(100.0, 70.0, 24.0)].iter(), false);
        }
        for _ in 1..MAX_MISSES {
            search_region.update([face(100.0, 70.0, 24.0)].iter(), true);
        }
        assert_eq!(search_region.region(FRAME, 1.0), both);
        search_region.update([face(100.0, 70.0, 24.0)].iter(), true);
        search_region.last = None;
        assert!(search_region.region(FRAME, 1.0).is_some_and(|region| region.width < 200));
    }

    #[test]
    fn every_face_is_found_by_itself() {
        let mut search_region = SearchRegion::new();
        // Close to each other: the small one's middle lies within its size of the large one's.
        let both = [face(100.0, 100.0, 90.0), face(130.0, 122.0, 16.0)];
        let seen = search_region.update(both.iter(), true);
        assert_eq!(seen, MatchResult { all_found: true, any_new: true });
        assert_eq!(search_region.faces.len(), 2);
        let seen = search_region.update(both[..1].iter(), false);
        assert_eq!(seen, MatchResult { all_found: false, any_new: false });
        // Another one in its stead is not the same.
        let other = [face(100.0, 100.0, 90.0), face(400.0, 100.0, 16.0)];
        let seen = search_region.update(other.iter(), false);
        assert_eq!(seen, MatchResult { all_found: false, any_new: true });
    }

    proptest! {
        #[test]
        fn a_part_lies_in_the_frame_and_holds_every_face_that_does(
            (width, height) in (1_usize..2_000, 1_usize..2_000),
            scale in 0.1_f32..=1.0,
            faces in prop::collection::vec((-50.0_f32..2_050.0, -50.0_f32..2_050.0, 16.0_f32..90.0), 1..5),
        ) {
            let faces: Vec<_> = faces.into_iter().map(|(x, y, size)| face(x, y, size)).collect();
            let mut search_region = SearchRegion::new();
            search_region.update(faces.iter(), true);
            let Some(region) = search_region.region((width, height), scale) else { return Ok(()) };
            prop_assert!(region.width > 0 && region.height > 0);
            prop_assert!(region.x % 2 == 0 && region.y % 2 == 0);
            prop_assert!(region.x + region.width <= width && region.y + region.height <= height);
            let frame_rect = Rect::new(0.0, 0.0, width as f32, height as f32);
            for FaceBox { rect, .. } in faces {
                let seen = rect.intersection(frame_rect).area() > 0.0;
                prop_assert!(!seen || contains(region, (width, height), rect), "{region:?}");
            }
        }
    }
}
