//! Label placement.
//!
//! Input: the boxes of a frame's faces, the sizes of their labels at each level of detail, and each
//! label's last placement. Output: one rectangle per label, inside the frame. The same input gives
//! the same output. A label stays where it was until another placement is better by a margin, so
//! that labels do not jump while faces sway. Candidates lie above, below, beside or inside the box.
//! The cost prefers, in this order: covering no label and no face, more detail, standing above.
//! Labels are placed greedily in the order of the faces. This is not optimal, but needs no
//! iteration.

use smallvec::SmallVec;

use super::label::Detail;
use super::pixel_rect::PixelRect;

/// A list per face; no heap memory for the usual number of faces.
pub(super) type FaceVec<T> = SmallVec<[T; 4]>;

/// A label's position relative to its face's box.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Anchor {
    Above,
    AboveEnd,
    Below,
    BelowEnd,
    Right,
    Left,
    InsideTop,
    InsideBottom,
}

impl Anchor {
    /// All anchors with their cost. Covering the bottom of a face costs most, as viewers watch the
    /// mouth.
    const ALL: [(Self, f32); 8] = [
        (Self::Above, 0.0),
        (Self::AboveEnd, 1.0),
        (Self::Below, 3.0),
        (Self::BelowEnd, 4.0),
        (Self::Right, 6.0),
        (Self::Left, 7.0),
        (Self::InsideTop, 10.0),
        (Self::InsideBottom, 25.0),
    ];
}

/// A label's chosen level of detail and position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placement {
    pub(super) detail: Detail,
    pub(super) anchor: Anchor,
}

/// A label to place.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelRequest {
    /// The face's box.
    pub(super) face: PixelRect,
    /// Width and height by [`Detail::ALL`].
    pub(super) sizes: [(u32, u32); 3],
    /// The placement in the frame before.
    pub(super) before: Option<Placement>,
}

/// Cost by level of detail.
const DETAIL_COST: [f32; 3] = [0.0, 8.0, 25.0];
/// Costs of touching another label, of covering it entirely, and of covering another face.
const LABEL_TOUCH_COST: f32 = 20.0;
const LABEL_OVERLAP_COST: f32 = 200.0;
const FACE_OVERLAP_COST: f32 = 70.0;
/// Cost of covering the label's own face entirely.
const OWN_FACE_OVERLAP_COST: f32 = 40.0;
/// Cost of each doubling of the label's area beyond its face's area.
const OUTGROWN_COST: f32 = 6.0;
/// Cost of a label that does not fit at all.
const NO_LABEL_COST: f32 = 1000.0;
/// Bonus for keeping the last placement.
const STAY_BONUS: f32 = 12.0;

/// A placement for each of `requests` in a frame of `frame_size` pixels; `None` if not even the
/// smallest label fits into the frame.
pub(super) fn place_labels(
    requests: &[LabelRequest],
    frame_size: (u32, u32),
) -> FaceVec<Option<(Placement, PixelRect)>> {
    // In a crowd the first labels must not take the room of the others: try all labels with less
    // detail too, and take the cheapest set.
    let tries = Detail::ALL.map(|max_detail| place_with_detail(requests, frame_size, max_detail));
    let cheapest = tries.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    cheapest.map(|(_, placed)| placed).unwrap_or_default()
}

/// As [`place_labels`] with at most `max_detail` of detail; also gives the total cost.
fn place_with_detail(
    requests: &[LabelRequest],
    frame_size: (u32, u32),
    max_detail: Detail,
) -> (f32, FaceVec<Option<(Placement, PixelRect)>>) {
    let mut placed: FaceVec<Option<(Placement, PixelRect)>> =
        FaceVec::with_capacity(requests.len());
    let mut total = 0.0;
    for (i, request) in requests.iter().enumerate() {
        let mut best: Option<(f32, Placement, PixelRect)> = None;
        let allowed = candidates(request, frame_size)
            .filter(|(placement, ..)| placement.detail >= max_detail);
        for (placement, at, cost) in allowed {
            let labels = placed.iter().flatten().map(|(_, label)| match at.overlap_ratio(*label) {
                0.0 => 0.0,
                shared => LABEL_TOUCH_COST + LABEL_OVERLAP_COST * shared,
            });
            let faces = requests.iter().enumerate().filter(|(j, _)| *j != i);
            let cost = cost
                + labels.sum::<f32>()
                + FACE_OVERLAP_COST
                    * faces.map(|(_, other)| at.overlap_ratio(other.face)).sum::<f32>();
            if best.is_none_or(|(cheapest, ..)| cost < cheapest) {
                best = Some((cost, placement, at));
            }
        }
        total += best.map_or(NO_LABEL_COST, |(cost, ..)| cost);
        placed.push(best.map(|(_, placement, at)| (placement, at)));
    }
    (total, placed)
}

/// Every placement of a label inside the frame, with its cost apart from other labels and faces.
fn candidates(
    request: &LabelRequest,
    frame_size: (u32, u32),
) -> impl Iterator<Item = (Placement, PixelRect, f32)> + '_ {
    let details = Detail::ALL.into_iter().zip(request.sizes).zip(DETAIL_COST);
    details.flat_map(move |((detail, size), detail_cost)| {
        let area = |(w, h): (u32, u32)| w.max(1) as f32 * h.max(1) as f32;
        let outgrown = (area(size) / area((request.face.w, request.face.h))).log2().max(0.0);
        Anchor::ALL.into_iter().filter_map(move |(anchor, cost)| {
            let placement = Placement { detail, anchor };
            let stay = if request.before == Some(placement) { STAY_BONUS } else { 0.0 };
            let at = anchored_rect(anchor, request.face, size, frame_size)?;
            let hidden = at.overlap(request.face) / area((request.face.w, request.face.h));
            let cost =
                cost + detail_cost + OUTGROWN_COST * outgrown + OWN_FACE_OVERLAP_COST * hidden
                    - stay;
            Some((placement, at, cost))
        })
    })
}

/// The rectangle of a label of `size` at `anchor` of `face`, shifted along the box's edge to stay
/// inside the frame; `None` if it does not fit.
fn anchored_rect(
    anchor: Anchor,
    face: PixelRect,
    size: (u32, u32),
    frame_size: (u32, u32),
) -> Option<PixelRect> {
    let signed = |v: u32| i32::try_from(v).ok();
    let (w, h) = (signed(size.0)?, signed(size.1)?);
    let (frame_w, frame_h) = (signed(frame_size.0)?, signed(frame_size.1)?);
    let (right, bottom) = (face.x + signed(face.w)?, face.y + signed(face.h)?);
    if w > frame_w || h > frame_h {
        return None;
    }
    let gap = 1;
    let (x, y) = match anchor {
        Anchor::Above => (face.x, face.y - h - gap),
        Anchor::AboveEnd => (right - w, face.y - h - gap),
        Anchor::Below => (face.x, bottom + gap),
        Anchor::BelowEnd => (right - w, bottom + gap),
        Anchor::Right => (right + gap, face.y),
        Anchor::Left => (face.x - w - gap, face.y),
        Anchor::InsideTop => (face.x, face.y),
        Anchor::InsideBottom => (face.x, bottom - h),
    };
    let (x, y) = match anchor {
        Anchor::Right | Anchor::Left => (x, y.clamp(0, frame_h - h)),
        Anchor::InsideTop | Anchor::InsideBottom => {
            (x.clamp(0, frame_w - w), y.clamp(0, frame_h - h))
        }
        _ => (x.clamp(0, frame_w - w), y),
    };
    let inside = x >= 0 && y >= 0 && x + w <= frame_w && y + h <= frame_h;
    inside.then_some(PixelRect { x, y, w: size.0, h: size.1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZES: [(u32, u32); 3] = [(100, 40), (50, 22), (16, 16)];

    fn request(x: i32, y: i32, side: u32) -> LabelRequest {
        LabelRequest { face: PixelRect { x, y, w: side, h: side }, sizes: SIZES, before: None }
    }

    fn placement(all: &[LabelRequest], i: usize) -> Placement {
        place_labels(all, (640, 360))[i].expect("room").0
    }

    #[test]
    fn above_then_below_then_inside() {
        assert_eq!(placement(&[request(200, 150, 90)], 0).anchor, Anchor::Above);
        assert_eq!(placement(&[request(200, 2, 90)], 0).anchor, Anchor::Below);
        let tall =
            LabelRequest { face: PixelRect { x: 0, y: 0, w: 640, h: 360 }, ..request(0, 0, 1) };
        assert_eq!(
            placement(&[tall], 0),
            Placement { detail: Detail::Full, anchor: Anchor::InsideTop }
        );
    }

    #[test]
    fn a_small_face_gets_a_small_label() {
        assert_eq!(placement(&[request(200, 150, 90)], 0).detail, Detail::Full);
        assert_ne!(placement(&[request(200, 150, 20)], 0).detail, Detail::Full);
    }

    #[test]
    fn labels_of_neighbours_do_not_overlap() {
        let row: Vec<LabelRequest> = (0..6).map(|i| request(20 + i * 100, 160, 80)).collect();
        let places = place_labels(&row, (640, 360));
        for (i, a) in places.iter().flatten().enumerate() {
            for b in places.iter().flatten().skip(i + 1) {
                assert_eq!(a.1.overlap_ratio(b.1), 0.0, "{a:?} {b:?}");
            }
            assert!(row.iter().all(|face| a.1.overlap_ratio(face.face) == 0.0));
        }
    }

    #[test]
    fn a_crowd_gets_short_labels() {
        let crowd: Vec<LabelRequest> =
            (0..15).map(|i| request(10 + i % 5 * 64, 30 + i / 5 * 70, 40)).collect();
        let places = place_labels(&crowd, (330, 240));
        for (i, a) in places.iter().flatten().enumerate() {
            assert!(places.iter().flatten().skip(i + 1).all(|b| a.1.overlap_ratio(b.1) == 0.0));
            assert_eq!(a.0.detail, Detail::Short, "{a:?}");
        }
    }

    #[test]
    fn a_label_stays_while_its_face_sways() {
        // The face sways by three pixels where there is just no room above it.
        let mut before = None;
        let mut changes = 0;
        for frame in 0..100 {
            let sway = [0, 1, 3, 1][frame % 4];
            let request = LabelRequest { before, ..request(200, 39 + sway, 90) };
            let found = place_labels(&[request], (640, 360))[0].expect("room").0;
            changes += usize::from(before.is_some_and(|b| b != found));
            before = Some(found);
        }
        assert!(changes <= 1, "{changes} changes");
    }

    proptest! {
        #[test]
        fn labels_stay_inside_the_frame(
            faces in prop::collection::vec((-50i32..700, -50i32..400, 1u32..400), 0..13),
            frame_size in (1u32..700, 1u32..400),
        ) {
            let all: Vec<_> = faces.iter().map(|(x, y, s)| request(*x, *y, *s)).collect();
            let places = place_labels(&all, frame_size);
            prop_assert_eq!(&places, &place_labels(&all, frame_size));
            let fits = frame_size.0 >= 16 && frame_size.1 >= 16;
            for at in &places {
                prop_assert_eq!(at.is_some(), fits);
                if let Some((_, at)) = at {
                    prop_assert!(at.x >= 0 && at.x as u32 + at.w <= frame_size.0);
                    prop_assert!(at.y >= 0 && at.y as u32 + at.h <= frame_size.1);
                }
            }
        }
    }
}
