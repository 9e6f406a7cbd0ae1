//! Plans which frames are searched for faces, and how finely.
//!
//! Takes every frame's time, whether a shot begins with it, and what each search found; says which
//! frames to search at which long side. Searched are the first and the last frame, both frames at
//! a cut, and one frame every 0.2 s; tracks carry the rest.
//!
//! How finely: YuNet needs a face of some 20 pixels in its input (another detector's manifest says
//! what it needs). Share of faces found by the size
//! of the face's longer side in the input (162 faces of seven clips): 8 px .09, 10 px .41, 12 px
//! .65, 14 px .79, 16 px .91, 18 px .96, 20 px .99, 24 px 1. One search of a 16:9 picture on one
//! core: 320 2.4 ms, 480 5.4 ms, 640 15 ms, 960 35 ms, 1280 57 ms, 1920 106 ms.
//!
//! So most frames are searched at 320, and at the start, at every cut and a second later a wide
//! search at up to 1280 looks for what 320 cannot see. While it sees faces too small for 320, or
//! more faces than the searches in between find, every second one of those becomes as fine as that
//! needs, and wide ones come once a second. Where a wide search saw no more than they did, the next
//! one is two seconds away. Searches in between become coarser by one step with each wide one; a new
//! shot begins with what its own faces need.
//!
//! Share of the faces found that a search of every frame at 640 finds (3921 in eight clips, of which
//! debate_mexca 966, meeting_comedy 900, dj_video4 648): .966, and .966 where every turn is fine and
//! the wide search goes up to 1920. That cost a tenth more of a core's time in debate_mexca, and at
//! 1920×1080 twice the inference and 80 MB. Of every second frame's faces (2788 in nine clips): .963
//! with a wide search every second, .960 with one every two, .959 every four; the searches of all
//! nine take 6.4, 5.1 and 4.5 s.
//!
//! Promises that a face of 30 px in a picture 1920 wide is looked for every two seconds at least and,
//! once found, every 0.4 s. Does not promise the same of larger pictures.

use crate::core::geometry::FaceBox;
use crate::core::time::{Pts, Span};

/// Long sides that searches step through; a detector meets no more shapes than these.
const LADDER_PX: [u32; 6] = [320, 480, 640, 960, 1280, 1920];
/// Size in source pixels below which a face is nothing that anyone could score.
const LEAST_FACE_PX: f32 = 16.0;
/// Up to this long side a search is cheap enough for every turn.
const EVERY_TURN_PX: u32 = LADDER_PX[0];

/// How often and how finely faces are searched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanSettings {
    /// Time from one search to the next; at least every frame is searched once at most.
    pub stride: Span,
    /// Time from one wide search to the next while wide ones see more than those in between.
    pub wide_every: Span,
    /// The same while they do not.
    pub wide_calm: Span,
    /// Long side of the ordinary search, in pixels.
    pub base_long_side_px: u32,
    /// Long side of the widest search, in pixels.
    pub wide_long_side_px: u32,
    /// Longer side in input pixels from which a face is found for certain: the detector's own.
    pub certain_face_px: u32,
}

impl PlanSettings {
    /// The default times, for a detector that finds faces of `certain_face_px` for certain and
    /// gains nothing from pictures beyond `widest_px`.
    pub fn of_detector(certain_face_px: usize, widest_px: usize) -> Self {
        let whole = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let plain = Self::default();
        Self {
            certain_face_px: whole(certain_face_px),
            wide_long_side_px: plain.wide_long_side_px.min(whole(widest_px)),
            ..plain
        }
    }
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            stride: Span::from_ms(200),
            wide_every: Span::from_ms(1000),
            wide_calm: Span::from_ms(2000),
            base_long_side_px: LADDER_PX[0],
            wide_long_side_px: LADDER_PX[4],
            certain_face_px: 20,
        }
    }
}

/// One search of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Search {
    /// What the picture's longer side is reduced to, in pixels.
    pub long_side_px: u32,
    picture_long_side_px: u32,
    certain_face_px: u32,
    turn: Turn,
}

/// Why a frame is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// For what the searches in between cannot see.
    Wide,
    /// In its turn between two wide ones.
    Between,
    /// As the last of its shot: nothing is to be learnt for the next one.
    Last,
}

impl Search {
    /// The smallest face, by its longer side in pixels of the source picture, that this search
    /// finds for certain. That it did not find a smaller one says nothing: a tracker does not
    /// count it as lost.
    pub fn certain_face_px(self) -> f32 {
        let scale = self.long_side_px as f32 / self.picture_long_side_px as f32;
        self.certain_face_px as f32 / scale.min(1.0)
    }
}

/// What to search now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Searches {
    /// The frame before this one: the last of its shot, and not yet searched.
    pub previous: Option<Search>,
    /// This frame.
    pub this: Option<Search>,
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
    fineness_px: u32,
    /// Whether the last search went beyond [`EVERY_TURN_PX`].
    was_dear: bool,
    /// Faces that the last wide search found.
    known_faces: usize,
    /// Faces that the last search of this shot at [`Self::fineness_px`] found.
    between_faces: Option<usize>,
    /// Whether the last wide search told nothing that those in between did not.
    calm: bool,
    picture_long_side_px: u32,
}

impl DetectPlan {
    /// A plan for a stream of which nothing was seen.
    pub const fn new(settings: PlanSettings) -> Self {
        Self {
            settings,
            previous: None,
            last_search: None,
            last_wide: None,
            fineness_px: settings.base_long_side_px,
            was_dear: false,
            known_faces: 0,
            between_faces: None,
            calm: false,
            picture_long_side_px: 1,
        }
    }

    /// Changes the time between searches: the way to spend less under load.
    pub const fn set_stride(&mut self, stride: Span) {
        self.settings.stride = stride;
    }

    /// What to search, now that the frame at `pts` with `picture` (width, height in pixels) is
    /// here; `cut` says whether a shot begins with it.
    ///
    /// Each search's faces are then told to [`Self::saw`].
    pub fn next(&mut self, pts: Pts, picture: (usize, usize), cut: bool) -> Searches {
        let long_side = u32::try_from(picture.0.max(picture.1)).unwrap_or(u32::MAX).max(1);
        let reshaped = long_side != self.picture_long_side_px;
        let before = self.previous;
        let unsearched = before.is_some_and(|(_, searched)| !searched);
        let previous = (cut && unsearched).then(|| self.search(self.fineness_px, Turn::Last));
        self.picture_long_side_px = long_side;
        let frame_span = before.map_or(Span::ZERO, |(earlier, _)| pts - earlier);
        let fresh = cut || reshaped || before.is_none();
        if fresh {
            (self.calm, self.between_faces) = (false, None);
        }
        let PlanSettings { stride, wide_every, wide_calm, .. } = self.settings;
        let wide_every = if self.calm { wide_calm } else { wide_every };
        let this = if fresh || self.is_due(self.last_wide, wide_every, pts, frame_span) {
            self.last_wide = Some(pts);
            Some(self.search(self.settings.wide_long_side_px, Turn::Wide))
        } else if self.is_due(self.last_search, stride, pts, frame_span) {
            let cheap = if self.was_dear { EVERY_TURN_PX } else { u32::MAX };
            Some(self.search(self.fineness_px.min(cheap), Turn::Between))
        } else {
            None
        };
        if let Some(search) = this {
            self.last_search = Some(pts);
            self.was_dear = search.long_side_px > EVERY_TURN_PX;
        }
        self.previous = Some((pts, this.is_some()));
        Searches { previous, this }
    }

    /// Learns from what `search` found.
    pub fn saw(&mut self, search: Search, faces: &[FaceBox]) {
        let sizes = faces.iter().map(|face| face.rect.width().max(face.rect.height()));
        let sizes = sizes.filter(|size| *size >= LEAST_FACE_PX);
        let (count, smallest) =
            sizes.fold((0, f32::INFINITY), |(n, smallest), size| (n + 1, size.min(smallest)));
        let before = self.fineness_px;
        match search.turn {
            Turn::Wide => {
                self.known_faces = count;
                let certain = self.settings.certain_face_px as f32;
                let needed = certain / smallest * self.picture_long_side_px as f32;
                // Coarser by one step at most within a shot, so that a face that only a fine search
                // finds, whatever its size, is not lost anew with every wide one.
                let step_below = || LADDER_PX.into_iter().rev().find(|step| *step < before);
                let coarser = self.between_faces.and_then(|_| step_below()).unwrap_or(0);
                self.fineness_px = self.rung(|rung| rung >= coarser && rung as f32 >= needed);
                let seen_between = self.between_faces.is_some_and(|faces| count <= faces);
                self.calm = self.fineness_px == before && seen_between;
            }
            Turn::Between if search == self.search(before, Turn::Between) => {
                self.between_faces = Some(count);
                if count < self.known_faces {
                    self.fineness_px = self.rung(|rung| rung > search.long_side_px);
                    self.calm = false;
                }
            }
            Turn::Between | Turn::Last => {}
        }
    }

    /// The stream has ended: how to search its last frame, if that was not done.
    pub fn finish(&mut self) -> Option<Search> {
        let (_, searched) = self.previous.take()?;
        (!searched).then(|| self.search(self.fineness_px, Turn::Last))
    }

    /// A search no finer than the picture has pixels for.
    fn search(&self, long_side_px: u32, turn: Turn) -> Search {
        let picture_long_side_px = self.picture_long_side_px;
        let long_side_px = long_side_px.min(picture_long_side_px);
        let certain_face_px = self.settings.certain_face_px;
        Search { long_side_px, picture_long_side_px, certain_face_px, turn }
    }

    /// The lowest step of the ladder between the ordinary and the widest search that is `enough`.
    fn rung(&self, enough: impl Fn(u32) -> bool) -> u32 {
        let PlanSettings { base_long_side_px: base, wide_long_side_px: wide, .. } = self.settings;
        let rungs = std::iter::once(base).chain(LADDER_PX).filter(|rung| *rung >= base);
        rungs.filter(|rung| *rung < wide).find(|rung| enough(*rung)).unwrap_or(wide)
    }

    /// Whether this frame is the nearest to `every` after `last`.
    fn is_due(&self, last: Option<Pts>, every: Span, pts: Pts, frame_span: Span) -> bool {
        last.is_none_or(|last| {
            let waited = pts - last;
            waited < Span::ZERO || pts + half(frame_span) - last >= every
        })
    }
}

const fn half(span: Span) -> Span {
    Span::from_ns(span.ns() / 2)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
