//! The region for fine searches between two wide ones: around the known faces.
//!
//! Takes the faces found by each search of a shot; gives the region of the frame that contains all
//! of them, with a margin for their motion. Faces that need a fine search are small and usually
//! side by side, so the region is a fraction of the frame and costs a fraction.
//!
//! A found face stays in the region until searches that could see it have missed it several times.
//! Faces not found yet may be outside the region: the wide searches find them, or the ordinary ones
//! if they are large.

use crate::core::frame::Region;
use crate::core::geometry::{FaceBox, Point, Rect};

/// Margin on each side of a face, in units of its longer side: half the distance of a very fast
/// motion in 0.4 s, and the context that a detector needs.
const MARGIN: f32 = 1.5;
/// Margin that a region must still have to be reused; a new region needs new resize tables.
const MIN_MARGIN: f32 = 0.75;
/// Share of the frame above which a region saves too little.
const MAX_AREA_RATIO: f32 = 0.7;
/// Misses in a row before a face is removed: it may have turned away.
const MAX_MISSES: u8 = 4;
/// Extra pixels of a region: it begins at an even pixel and ends at a whole one.
const SLACK_PX: f32 = 6.0;
/// A region's sides are multiples of this, in detector input pixels: the input is padded to it.
const STEP_PX: f32 = 32.0;

/// The known faces of a shot and the region around them.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchRegion {
    faces: Vec<KnownFace>,
    /// The last region and its scale (input pixels per frame pixel).
    last: Option<(Region, f32)>,
}

#[derive(Clone, Copy, Debug)]
struct KnownFace {
    rect: Rect,
    misses: u8,
    /// Whether the last search found it.
    found: bool,
}

/// How a search's faces match the known faces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MatchResult {
    /// It found all known faces.
    pub(super) all_found: bool,
    /// It found faces that were not known.
    pub(super) any_new: bool,
}

impl SearchRegion {
    /// A new shot without known faces.
    pub(super) const fn new() -> Self {
        Self { faces: Vec::new(), last: None }
    }

    /// Updates the known faces from a search. `complete`: whether it could see all known faces.
    pub(super) fn update<'a>(
        &mut self,
        faces: impl Iterator<Item = &'a FaceBox>,
        complete: bool,
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
        for known in self.faces.iter_mut().filter(|known| complete && !known.found) {
            known.misses += 1;
        }
        self.faces.retain(|known| known.misses < MAX_MISSES);
        MatchResult { all_found, any_new }
    }

    /// The region to search in a frame of `frame_size` (width, height in pixels) at `scale` input
    /// pixels per frame pixel. `None` where no face is known or the region saves too little.
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

    /// The bounds of all known faces, each with `margin` around it.
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

/// Whether `region` contains the part of `area` inside the frame.
fn contains(region: Region, (width, height): (usize, usize), area: Rect) -> bool {
    let (right, bottom) = (region.x + region.width, region.y + region.height);
    area.x1.max(0.0) >= region.x as f32
        && area.y1.max(0.0) >= region.y as f32
        && area.x2.min(width as f32) <= right as f32
        && area.y2.min(height as f32) <= bottom as f32
}

/// The region around `area`, with sides in whole steps of the detector's input.
fn aligned_region(area: Rect, (width, height): (usize, usize), scale: f32) -> Region {
    let (x, width) = align_axis((area.x1, area.x2), width, scale);
    let (y, height) = align_axis((area.y1, area.y2), height, scale);
    Region { x, y, width, height }
}

/// The region's start and length along one axis.
fn align_axis((from, to): (f32, f32), side: usize, scale: f32) -> (usize, usize) {
    let whole = side as f32;
    let (from, to) = (from.clamp(0.0, whole), to.clamp(0.0, whole));
    let steps = ((to - from + SLACK_PX) * scale / STEP_PX).ceil().max(1.0);
    let length = steps * STEP_PX / scale;
    if length >= whole {
        return (0, side);
    }
    // Chroma has one sample per two pixels.
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
    fn faces_side_by_side_make_a_band() {
        let mut search_region = SearchRegion::new();
        assert_eq!(search_region.region(FRAME, 1.0), None, "no face is known");
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
    fn a_large_or_wide_region_is_the_whole_frame() {
        let mut search_region = SearchRegion::new();
        search_region.update([face(250.0, 100.0, 150.0)].iter(), true);
        assert_eq!(search_region.region(FRAME, 1.0), None);
        let mut search_region = SearchRegion::new();
        search_region.update([face(20.0, 10.0, 20.0), face(600.0, 330.0, 20.0)].iter(), true);
        assert_eq!(search_region.region(FRAME, 1.0), None);
    }

    #[test]
    fn the_region_follows_motion_but_not_jitter() {
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
        assert!(moved.width <= 96 && moved.height <= 96, "the old position is removed: {moved:?}");
    }

    #[test]
    fn a_missed_face_stays_for_a_while_and_incomplete_searches_do_not_count() {
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
    fn close_faces_are_matched_one_by_one() {
        let mut search_region = SearchRegion::new();
        // Close together: the centres are less than the small face's size apart.
        let both = [face(100.0, 100.0, 90.0), face(130.0, 122.0, 16.0)];
        let seen = search_region.update(both.iter(), true);
        assert_eq!(seen, MatchResult { all_found: true, any_new: true });
        assert_eq!(search_region.faces.len(), 2);
        let seen = search_region.update(both[..1].iter(), false);
        assert_eq!(seen, MatchResult { all_found: false, any_new: false });
        // A face elsewhere is a new one.
        let other = [face(100.0, 100.0, 90.0), face(400.0, 100.0, 16.0)];
        let seen = search_region.update(other.iter(), false);
        assert_eq!(seen, MatchResult { all_found: false, any_new: true });
    }

    proptest! {
        #[test]
        fn the_region_is_inside_the_frame_and_contains_all_visible_faces(
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
