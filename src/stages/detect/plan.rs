//! Plans which frames are searched for faces, and at what resolution.
//!
//! Takes every frame's time, whether a shot begins with it, and the faces that each search found;
//! decides which frames to search at which long side. The first and the last frame, both frames at
//! a cut, and one frame every 0.2 s are searched; the tracker fills the rest.
//!
//! Resolution: YuNet needs a face of about 20 pixels in its input (another detector's manifest
//! states its size). Share of faces found by the face's longer side in the input (162 faces of
//! seven clips): 8 px .09, 10 px .41, 12 px .65, 14 px .79, 16 px .91, 18 px .96, 20 px .99,
//! 24 px 1.00. One search of a 16:9 frame on one core: 320 2.4 ms, 480 5.4 ms, 640 15 ms, 960 35 ms, 1280 57
//! ms, 1920 106 ms.
//!
//! So most frames are searched at 320. At the start, at every cut and a second later, a wide search
//! at up to 1280 finds smaller faces. While it finds more faces than the searches at 320, every
//! second search in between is as fine as the smallest face needs, or finer until it finds as many,
//! and there is one wide search per second. If the detector benefits, fine searches cover only the
//! region around the known faces; the next wide search finds new small faces. After a wide search
//! without more faces than those in between, the next one is two seconds away, after a second such
//! search four. With each wide search, the searches in between become at most one step coarser. A
//! new shot starts with what its own faces need.
//!
//! Fine searches run only while 320 misses a face. This is cheaper and also reduces jitter: a
//! detector's boxes differ a little with the input size, so alternating sizes make boxes jitter. In
//! eleven clips .942 of the decisions equal those of a run that searches every second frame wide;
//! with fine searches for every face that 320 may miss it was .913.
//!
//! Share of the faces that a wide search of every second frame finds (2 529 in eleven clips,
//! built-in detector): .932. It was .921 with a fifth more pixels searched, when fine searches
//! covered the whole frame, also ran without need, and wide ones were at most two seconds apart.
//!
//! Guarantee: a face of 30 px in a frame 1920 wide is searched for at least every four seconds and,
//! once found, every 0.4 s. This does not hold for larger frames.

use super::search_region::SearchRegion;
use crate::core::frame::Region;
use crate::core::geometry::FaceBox;
use crate::core::time::{Pts, Span};

/// The long sides of searches. A detector sees no other input sizes, except for regions.
const LADDER_PX: [u32; 6] = [320, 480, 640, 960, 1280, 1920];
/// Faces smaller than this, in source pixels, cannot be scored.
const MIN_FACE_PX: f32 = 16.0;
/// Searches up to this long side are cheap enough to run every time.
const CHEAP_LONG_SIDE_PX: u32 = LADDER_PX[0];

/// How often and at what resolution faces are searched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanSettings {
    /// Time from one search to the next; each frame is searched at most once.
    pub stride: Span,
    /// Time between wide searches while they find more faces than those in between.
    pub wide_interval: Span,
    /// The same after one that did not; twice that after two of them.
    pub wide_interval_stable: Span,
    /// Long side of the ordinary search, in pixels.
    pub base_long_side_px: u32,
    /// Long side of the widest search, in pixels.
    pub wide_long_side_px: u32,
    /// Longer side in input pixels from which the detector reliably finds a face.
    pub reliable_face_px: u32,
}

impl PlanSettings {
    /// The default times, for a detector that reliably finds faces of `reliable_face_px` and does
    /// not benefit from a long side above `max_long_side_px`.
    pub fn for_detector(reliable_face_px: usize, max_long_side_px: usize) -> Self {
        let to_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let defaults = Self::default();
        Self {
            reliable_face_px: to_u32(reliable_face_px),
            wide_long_side_px: defaults.wide_long_side_px.min(to_u32(max_long_side_px)),
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
            reliable_face_px: 20,
        }
    }
}

/// One search of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Search {
    /// The long side that the frame is reduced to, in pixels.
    pub long_side_px: u32,
    /// The searched region; the whole frame if `None`.
    pub region: Option<Region>,
    frame_long_side_px: u32,
    reliable_face_px: u32,
    kind: SearchKind,
}

/// Why a frame is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SearchKind {
    /// A wide search, for faces that the searches in between miss.
    Wide,
    /// A regular search between two wide ones.
    Between,
    /// The last frame of a shot; it does not change the plan.
    Last,
}

impl Search {
    #[cfg(test)]
    /// The smallest face, by its longer side in source pixels, that this search reliably finds.
    pub(crate) fn reliable_face_px(self) -> f32 {
        self.reliable_face_px as f32 / self.scale()
    }

    /// The long side that `region` is reduced to, in pixels.
    pub(crate) fn region_long_side_px(self, region: Region) -> u32 {
        (region.width.max(region.height) as f32 * self.scale()).round() as u32
    }

    /// Detector input pixels per frame pixel.
    fn scale(self) -> f32 {
        (self.long_side_px as f32 / self.frame_long_side_px as f32).min(1.0)
    }
}

/// What to search now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Searches {
    /// The previous frame: the last of its shot, not searched yet.
    pub previous: Option<Search>,
    /// The current frame.
    pub current: Option<Search>,
}

/// The plan of one stream; start a new one for each epoch.
#[derive(Clone, Debug)]
pub(crate) struct DetectPlan {
    settings: PlanSettings,
    /// The previous frame's time, and whether it was searched.
    previous: Option<(Pts, bool)>,
    last_search: Option<Pts>,
    last_wide: Option<Pts>,
    /// The long side of fine searches between wide ones.
    fine_long_side_px: u32,
    /// Whether the last search went beyond [`CHEAP_LONG_SIDE_PX`].
    last_was_expensive: bool,
    /// Whether the last search up to [`CHEAP_LONG_SIDE_PX`] found every known face, so that the
    /// next need not be finer.
    coarse_suffices: bool,
    /// Faces found by the last wide search, or by a fine one since.
    known_faces: usize,
    /// Faces found by this shot's last search between wide ones that was at
    /// [`Self::fine_long_side_px`], or coarser and sufficient.
    between_faces: Option<usize>,
    /// Wide searches in a row that found no more faces than those in between.
    stable_wide_searches: u8,
    /// The known faces of this shot and the region around them.
    search_region: SearchRegion,
    /// Whether fine searches cover only that region.
    use_regions: bool,
    /// The frame's width and height in pixels.
    frame_size: (usize, usize),
}

impl DetectPlan {
    /// A plan for a new stream.
    pub(crate) const fn new(settings: PlanSettings) -> Self {
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

    /// Sets whether fine searches between wide ones cover only the region around the known faces.
    #[must_use]
    pub(crate) fn use_regions(self, use_regions: bool) -> Self {
        Self { use_regions, ..self }
    }

    /// Changes the time between searches; a longer one reduces the load.
    pub(crate) const fn set_stride(&mut self, stride: Span) {
        self.settings.stride = stride;
    }

    /// The searches to run for the next frame, at `pts` with `frame_size` (width, height in
    /// pixels); `cut`: whether a shot begins with it.
    ///
    /// Then call [`Self::update`] with each search's faces.
    pub(crate) fn next(&mut self, pts: Pts, frame_size: (usize, usize), cut: bool) -> Searches {
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

    /// Updates the plan from the faces that `search` found.
    pub(crate) fn update(&mut self, search: Search, faces: &[FaceBox]) {
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
                let certain = self.settings.reliable_face_px as f32;
                let needed = certain / smallest * self.long_side_px() as f32;
                // At most one step coarser within a shot: a face that only a fine search finds,
                // whatever its size, must not be lost after every wide one.
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

    /// Ends the stream; returns the search of its last frame, if it was not searched.
    pub(crate) fn finish(&mut self) -> Option<Search> {
        let (_, searched) = self.previous.take()?;
        (!searched).then(|| self.search(self.required_long_side_px(), SearchKind::Last))
    }

    /// A search whose long side is at most the frame's.
    fn search(&mut self, long_side_px: u32, kind: SearchKind) -> Search {
        let frame_long_side_px = self.long_side_px();
        let long_side_px = long_side_px.min(frame_long_side_px);
        let reliable_face_px = self.settings.reliable_face_px;
        let search =
            Search { long_side_px, region: None, frame_long_side_px, reliable_face_px, kind };
        let fine = kind != SearchKind::Wide && long_side_px > CHEAP_LONG_SIDE_PX;
        let region = (self.use_regions && fine)
            .then(|| self.search_region.region(self.frame_size, search.scale()));
        Search { region: region.flatten(), ..search }
    }

    /// The long side needed for the known faces.
    fn required_long_side_px(&self) -> u32 {
        let max_px = if self.coarse_suffices { CHEAP_LONG_SIDE_PX } else { u32::MAX };
        self.fine_long_side_px.min(max_px)
    }

    /// The frame's longer side in pixels.
    fn long_side_px(&self) -> u32 {
        u32::try_from(self.frame_size.0.max(self.frame_size.1)).unwrap_or(u32::MAX).max(1)
    }

    /// The lowest step between the ordinary and the widest search that `suffices`.
    fn ladder_step(&self, suffices: impl Fn(u32) -> bool) -> u32 {
        let PlanSettings { base_long_side_px: base, wide_long_side_px: wide, .. } = self.settings;
        let steps =
            std::iter::once(base).chain(LADDER_PX).filter(|ladder_step| *ladder_step >= base);
        steps
            .filter(|ladder_step| *ladder_step < wide)
            .find(|ladder_step| suffices(*ladder_step))
            .unwrap_or(wide)
    }

    /// Whether this frame is the one nearest to `interval` after `last`.
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
