//! Plans which frames are searched for faces, and how finely.
//!
//! Takes every frame's time, whether a shot begins with it, and what each search found; says which
//! frames to search at which long side. Searched are the first and the last frame, both frames at
//! a cut, and one frame every 0.2 s; tracks carry the rest.
//!
//! How finely: YuNet needs a face of some 20 pixels in its input (another detector's manifest says
//! what it needs). Share of faces found by the size
//! of the face's longer side in the input (162 faces of seven clips): 8 px .09, 10 px .41, 12 px
//! .65, 14 px .79, 16 px .91, 18 px .96, 20 px .99, 24 px 1. One search of a 16:9 frame on one
//! core: 320 2.4 ms, 480 5.4 ms, 640 15 ms, 960 35 ms, 1280 57 ms, 1920 106 ms.
//!
//! So most frames are searched at 320, and at the start, at every cut and a second later a wide
//! search at up to 1280 looks for what 320 cannot see. While it sees more faces than those at 320 do,
//! every second search in between becomes as fine as its smallest face needs, or finer until it finds
//! as many, and wide ones come once a second. Fine ones look around the known faces only, where the
//! detector gains by that: what is new and small is for the next wide one. Where a wide search saw no
//! more than those in between, the next one is two seconds away, and after another such one four.
//! Searches in between become coarser by one step with each wide one; a new shot begins with what
//! its own faces need.
//!
//! Fine searches only while 320 misses someone are not only cheaper: a detector's boxes differ a
//! little with the frame's size, so that searches of two sizes by turns make a box tremble. Of the
//! decisions in eleven clips .942 are those of a run in which every second frame is searched wide;
//! with fine searches for every face that may be missed at 320 .913.
//!
//! Share of the faces that a wide search of every second frame finds (2 529 in eleven clips, built-in
//! detector): .932; .921 before, with a fifth more pixels searched: fine searches looked everywhere and
//! came where they were not needed, and wide ones were two seconds apart at most.
//!
//! Promises that a face of 30 px in a frame 1920 wide is looked for every four seconds at least and,
//! once found, every 0.4 s. Does not promise the same of larger frames.

use super::search_region::SearchRegion;
use crate::core::frame::Region;
use crate::core::geometry::FaceBox;
use crate::core::time::{Pts, Span};

/// Long sides that searches step through: a detector meets no more shapes than these, but for parts.
const LADDER_PX: [u32; 6] = [320, 480, 640, 960, 1280, 1920];
/// Size in source pixels below which a face is nothing that anyone could score.
const MIN_FACE_PX: f32 = 16.0;
/// Up to this long side a search is cheap enough for every turn.
const CHEAP_LONG_SIDE_PX: u32 = LADDER_PX[0];

/// How often and how finely faces are searched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanSettings {
    /// Time from one search to the next; at least every frame is searched once at most.
    pub stride: Span,
    /// Time from one wide search to the next while wide ones see more than those in between.
    pub wide_interval: Span,
    /// The same after one that did not; twice that after two.
    pub wide_interval_stable: Span,
    /// Long side of the ordinary search, in pixels.
    pub base_long_side_px: u32,
    /// Long side of the widest search, in pixels.
    pub wide_long_side_px: u32,
    /// Longer side in input pixels from which a face is found for certain: the detector's own.
    pub certain_face_px: u32,
}

impl PlanSettings {
    /// The default times, for a detector that finds faces of `certain_face_px` for certain and
    /// gains nothing from frames beyond `widest_px`.
    pub fn for_detector(certain_face_px: usize, widest_px: usize) -> Self {
        let to_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let defaults = Self::default();
        Self {
            certain_face_px: to_u32(certain_face_px),
            wide_long_side_px: defaults.wide_long_side_px.min(to_u32(widest_px)),
            ..defaults
        }
    }
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            stride: Span::from_ms(200),
            wide_interval: Span::from_ms(1000),
            wide_interval_stable: Span::from_ms(2000),
            base_long_side_px: LADDER_PX[0],
            wide_long_side_px: LADDER_PX[4],
            certain_face_px: 20,
        }
    }
}

/// One search of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Search {
    /// What the frame's longer side is reduced to, in pixels.
    pub long_side_px: u32,
    /// What of the frame is searched; all of it where this is `None`.
    pub region: Option<Region>,
    frame_long_side_px: u32,
    certain_face_px: u32,
    kind: SearchKind,
}

/// Why a frame is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SearchKind {
    /// For what the searches in between cannot see.
    Wide,
    /// In its turn between two wide ones.
    Between,
    /// As the last of its shot: nothing is to be learnt for the next one.
    Last,
}

impl Search {
    /// The smallest face, by its longer side in pixels of the source frame, that this search
    /// finds for certain. That it did not find a smaller one says little.
    pub fn certain_face_px(self) -> f32 {
        self.certain_face_px as f32 / self.scale()
    }

    /// What the longer side of `region` is reduced to, in pixels.
    pub fn region_long_side_px(self, region: Region) -> u32 {
        (region.width.max(region.height) as f32 * self.scale()).round() as u32
    }

    /// Pixels of the detector's input per pixel of the frame.
    fn scale(self) -> f32 {
        (self.long_side_px as f32 / self.frame_long_side_px as f32).min(1.0)
    }
}

/// What to search now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Searches {
    /// The frame before this one: the last of its shot, and not yet searched.
    pub previous: Option<Search>,
    /// This frame.
    pub current: Option<Search>,
}

/// The plan of one stream; begin a new one with each epoch.
#[derive(Clone, Debug)]
pub struct DetectPlan {
    settings: PlanSettings,
    /// The frame before this one, and whether it was searched.
    previous: Option<(Pts, bool)>,
    last_search: Option<Pts>,
    last_wide: Option<Pts>,
    /// Where on the ladder the searches between wide ones stand.
    fine_long_side_px: u32,
    /// Whether the last search went beyond [`CHEAP_LONG_SIDE_PX`].
    last_was_expensive: bool,
    /// Whether the last search at no more than [`CHEAP_LONG_SIDE_PX`] found every known face, so that the
    /// next need not be finer.
    coarse_suffices: bool,
    /// Faces that the last wide search found, or a fine one since.
    known_faces: usize,
    /// Faces that the last search of this shot found that was at [`Self::fine_long_side_px`], or coarser and
    /// enough.
    between_faces: Option<usize>,
    /// Wide searches in a row that told nothing that those in between did not.
    stable_wide_searches: u8,
    /// The faces of this shot.
    search_region: SearchRegion,
    /// Whether fine searches look around these only.
    use_regions: bool,
    /// Width and height in pixels.
    frame_size: (usize, usize),
}

impl DetectPlan {
    /// A plan for a stream of which nothing was seen.
    pub const fn new(settings: PlanSettings) -> Self {
        Self {
            settings,
            previous: None,
            last_search: None,
            last_wide: None,
            fine_long_side_px: settings.base_long_side_px,
            last_was_expensive: false,
            coarse_suffices: false,
            known_faces: 0,
            between_faces: None,
            stable_wide_searches: 0,
            search_region: SearchRegion::new(),
            use_regions: false,
            frame_size: (1, 1),
        }
    }

    /// The same with fine searches between wide ones that look around the known faces only.
    #[must_use]
    pub fn use_regions(self, use_regions: bool) -> Self {
        Self { use_regions, ..self }
    }

    /// Changes the time between searches: the way to spend less under load.
    pub const fn set_stride(&mut self, stride: Span) {
        self.settings.stride = stride;
    }

    /// What to search, now that the frame at `pts` with `frame_size` (width, height in pixels) is
    /// here; `cut` says whether a shot begins with it.
    ///
    /// Each search's faces are then told to [`Self::update`].
    pub fn next(&mut self, pts: Pts, frame_size: (usize, usize), cut: bool) -> Searches {
        let resized = frame_size != self.frame_size;
        let before = self.previous;
        let unsearched = before.is_some_and(|(_, searched)| !searched);
        let previous = (cut && unsearched)
            .then(|| self.search(self.required_long_side_px(), SearchKind::Last));
        self.frame_size = frame_size;
        let frame_span = before.map_or(Span::ZERO, |(earlier, _)| pts - earlier);
        let new_shot = cut || resized || before.is_none();
        if new_shot {
            (self.stable_wide_searches, self.between_faces, self.coarse_suffices) =
                (0, None, false);
            self.search_region = SearchRegion::new();
        }
        let PlanSettings { stride, wide_interval, wide_interval_stable, .. } = self.settings;
        let wide_interval = match self.stable_wide_searches {
            0 => wide_interval,
            1 => wide_interval_stable,
            _ => wide_interval_stable + wide_interval_stable,
        };
        let current = if new_shot || self.is_due(self.last_wide, wide_interval, pts, frame_span) {
            self.last_wide = Some(pts);
            Some(self.search(self.settings.wide_long_side_px, SearchKind::Wide))
        } else if self.is_due(self.last_search, stride, pts, frame_span) {
            let max_px = if self.last_was_expensive { CHEAP_LONG_SIDE_PX } else { u32::MAX };
            Some(self.search(self.required_long_side_px().min(max_px), SearchKind::Between))
        } else {
            None
        };
        if let Some(search) = current {
            self.last_search = Some(pts);
            self.last_was_expensive = search.long_side_px > CHEAP_LONG_SIDE_PX;
        }
        self.previous = Some((pts, current.is_some()));
        Searches { previous, current }
    }

    /// Learns from what `search` found.
    pub fn update(&mut self, search: Search, faces: &[FaceBox]) {
        let faces = faces.iter().filter(|face| face.rect.longer_side() >= MIN_FACE_PX);
        let sizes = faces.clone().map(|face| face.rect.longer_side());
        let (count, smallest) =
            sizes.fold((0, f32::INFINITY), |(n, smallest), size| (n + 1, size.min(smallest)));
        let before = self.fine_long_side_px;
        let as_fine = search.long_side_px >= before.min(self.long_side_px());
        match search.kind {
            SearchKind::Wide => {
                self.known_faces = count;
                self.coarse_suffices &= !self.search_region.update(faces, true).any_new;
                let certain = self.settings.certain_face_px as f32;
                let needed = certain / smallest * self.long_side_px() as f32;
                // Coarser by one step at most within a shot, so that a face that only a fine search
                // finds, whatever its size, is not lost anew with every wide one.
                let step_below = || LADDER_PX.into_iter().rev().find(|step| *step < before);
                let coarser = self.between_faces.and_then(|_| step_below()).unwrap_or(0);
                self.fine_long_side_px = self.ladder_step(|ladder_step| {
                    ladder_step >= coarser && ladder_step as f32 >= needed
                });
                let seen_between = self.between_faces.is_some_and(|faces| count <= faces);
                let stable = self.fine_long_side_px == before && seen_between;
                self.stable_wide_searches =
                    if stable { self.stable_wide_searches.saturating_add(1) } else { 0 };
            }
            SearchKind::Between if as_fine => {
                self.search_region.update(faces, true);
                self.between_faces = Some(count);
                if count < self.known_faces {
                    self.fine_long_side_px =
                        self.ladder_step(|ladder_step| ladder_step > search.long_side_px);
                    self.stable_wide_searches = 0;
                }
                self.known_faces = self.known_faces.max(count);
            }
            SearchKind::Between => {
                self.coarse_suffices = self.search_region.update(faces, false).all_found;
                if self.coarse_suffices {
                    self.between_faces = Some(count);
                }
            }
            SearchKind::Last => {}
        }
    }

    /// The stream has ended: how to search its last frame, if that was not done.
    pub fn finish(&mut self) -> Option<Search> {
        let (_, searched) = self.previous.take()?;
        (!searched).then(|| self.search(self.required_long_side_px(), SearchKind::Last))
    }

    /// A search no finer than the frame has pixels for.
    fn search(&mut self, long_side_px: u32, kind: SearchKind) -> Search {
        let frame_long_side_px = self.long_side_px();
        let long_side_px = long_side_px.min(frame_long_side_px);
        let certain_face_px = self.settings.certain_face_px;
        let search =
            Search { long_side_px, region: None, frame_long_side_px, certain_face_px, kind };
        let fine = kind != SearchKind::Wide && long_side_px > CHEAP_LONG_SIDE_PX;
        let region = (self.use_regions && fine)
            .then(|| self.search_region.region(self.frame_size, search.scale()));
        Search { region: region.flatten(), ..search }
    }

    /// The long side that finds the known faces.
    fn required_long_side_px(&self) -> u32 {
        let max_px = if self.coarse_suffices { CHEAP_LONG_SIDE_PX } else { u32::MAX };
        self.fine_long_side_px.min(max_px)
    }

    /// The frame's longer side in pixels.
    fn long_side_px(&self) -> u32 {
        u32::try_from(self.frame_size.0.max(self.frame_size.1)).unwrap_or(u32::MAX).max(1)
    }

    /// The lowest step of the ladder between the ordinary and the widest search that is `suffices`.
    fn ladder_step(&self, suffices: impl Fn(u32) -> bool) -> u32 {
        let PlanSettings { base_long_side_px: base, wide_long_side_px: wide, .. } = self.settings;
        let steps =
            std::iter::once(base).chain(LADDER_PX).filter(|ladder_step| *ladder_step >= base);
        steps
            .filter(|ladder_step| *ladder_step < wide)
            .find(|ladder_step| suffices(*ladder_step))
            .unwrap_or(wide)
    }

    /// Whether this frame is the nearest to `interval` after `last`.
    fn is_due(&self, last: Option<Pts>, interval: Span, pts: Pts, frame_span: Span) -> bool {
        last.is_none_or(|last| {
            let elapsed = pts - last;
            elapsed < Span::ZERO || pts + half(frame_span) - last >= interval
        })
    }
}

const fn half(span: Span) -> Span {
    Span::from_ns(span.ns() / 2)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
