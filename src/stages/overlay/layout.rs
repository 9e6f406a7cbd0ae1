//! Where each label goes.
//!
//! Takes the boxes of a frame's faces, the sizes their labels would have at each amount of detail,
//! and where each label was before; gives one place a label. Promises: a place lies inside the
//! frame; the same input gives the same places; a label stays where it was until another place is
//! better by a margin, so that labels do not jump while faces sway. Tries above, below, beside and
//! inside, and prefers to cover neither another label nor a face, then to say much, then to stand
//! above. Labels are placed in the order of the faces, each minding those before it; nothing is
//! moved twice, which is not optimal and needs no iteration.

use super::Place;
use super::draw::Few;
use super::label::Detail;

/// Where a label stands to its face's box.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Stand {
    Above,
    AboveEnd,
    Below,
    BelowEnd,
    Right,
    Left,
    InsideTop,
    InsideBottom,
}

impl Stand {
    /// With what each costs by itself; the bottom of a face most, as the mouth is what one looks at
    /// here.
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

/// What was chosen for a label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Choice {
    pub(super) detail: Detail,
    pub(super) stand: Stand,
}

/// A label to place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The face's box.
    pub(super) face: Place,
    /// Width and height by [`Detail::ALL`].
    pub(super) sizes: [(u32, u32); 3],
    /// What was chosen in the frame before.
    pub(super) before: Option<Choice>,
}

/// Cost of saying less.
const LESS_DETAIL: [f32; 3] = [0.0, 8.0, 25.0];
/// Cost of touching another label, of covering a whole one, and of covering a whole face.
const ON_LABEL: f32 = 20.0;
const OVER_LABEL: f32 = 200.0;
const OVER_FACE: f32 = 70.0;
/// Cost of covering the whole of one's own face.
const OVER_OWN: f32 = 40.0;
/// Cost of each doubling of the label's area beyond the face's.
const OUTGROWN: f32 = 6.0;
/// Cost of a label for which there is no room at all.
const NO_LABEL: f32 = 1000.0;
/// What it is worth to stay.
const STAY: f32 = 12.0;

/// A place for each of `wanted` in a frame of `image` pixels; `None` where not even the
/// smallest label fits into the frame.
pub(super) fn place(wanted: &[Wanted], image: (u32, u32)) -> Few<Option<(Choice, Place)>> {
    // In a crowd the first to be placed must not take the room of the others: the whole is also
    // tried with less detail for all, and the cheapest whole wins.
    let tries = Detail::ALL.map(|most| place_with(wanted, image, most));
    let least = tries.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    least.map(|(_, placed)| placed).unwrap_or_default()
}

/// As [`place`], with no label in more detail than `most`; and what all of it costs.
fn place_with(
    wanted: &[Wanted],
    image: (u32, u32),
    most: Detail,
) -> (f32, Few<Option<(Choice, Place)>>) {
    let mut placed: Few<Option<(Choice, Place)>> = Few::with_capacity(wanted.len());
    let mut total = 0.0;
    for (i, one) in wanted.iter().enumerate() {
        let mut best: Option<(f32, Choice, Place)> = None;
        let allowed = candidates(one, image).filter(|(choice, ..)| choice.detail >= most);
        for (choice, at, cost) in allowed {
            let labels = placed.iter().flatten().map(|(_, label)| match share(at, *label) {
                0.0 => 0.0,
                shared => ON_LABEL + OVER_LABEL * shared,
            });
            let faces = wanted.iter().enumerate().filter(|(j, _)| *j != i);
            let cost = cost
                + labels.sum::<f32>()
                + OVER_FACE * faces.map(|(_, other)| share(at, other.face)).sum::<f32>();
            if best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, choice, at));
            }
        }
        total += best.map_or(NO_LABEL, |(cost, ..)| cost);
        placed.push(best.map(|(_, choice, at)| (choice, at)));
    }
    (total, placed)
}

/// Every way to place a label that stays inside the frame, with what it costs by itself.
fn candidates(one: &Wanted, image: (u32, u32)) -> impl Iterator<Item = (Choice, Place, f32)> + '_ {
    let details = Detail::ALL.into_iter().zip(one.sizes).zip(LESS_DETAIL);
    details.flat_map(move |((detail, size), less)| {
        let area = |(w, h): (u32, u32)| w.max(1) as f32 * h.max(1) as f32;
        let outgrown = (area(size) / area((one.face.w, one.face.h))).log2().max(0.0);
        Stand::ALL.into_iter().filter_map(move |(stand, cost)| {
            let choice = Choice { detail, stand };
            let stay = if one.before == Some(choice) { STAY } else { 0.0 };
            let at = stand_at(stand, one.face, size, image)?;
            let hidden = overlap(at, one.face) / area((one.face.w, one.face.h));
            let cost = cost + less + OUTGROWN * outgrown + OVER_OWN * hidden - stay;
            Some((choice, at, cost))
        })
    })
}

/// The place of a label of `size` that stands so to `face`; `None` where it would leave the
/// frame. Along the edge that it stands on it is pushed in.
fn stand_at(stand: Stand, face: Place, size: (u32, u32), image: (u32, u32)) -> Option<Place> {
    let signed = |v: u32| i32::try_from(v).ok();
    let (w, h) = (signed(size.0)?, signed(size.1)?);
    let (frame_w, frame_h) = (signed(image.0)?, signed(image.1)?);
    let (right, bottom) = (face.x + signed(face.w)?, face.y + signed(face.h)?);
    if w > frame_w || h > frame_h {
        return None;
    }
    let gap = 1;
    let (x, y) = match stand {
        Stand::Above => (face.x, face.y - h - gap),
        Stand::AboveEnd => (right - w, face.y - h - gap),
        Stand::Below => (face.x, bottom + gap),
        Stand::BelowEnd => (right - w, bottom + gap),
        Stand::Right => (right + gap, face.y),
        Stand::Left => (face.x - w - gap, face.y),
        Stand::InsideTop => (face.x, face.y),
        Stand::InsideBottom => (face.x, bottom - h),
    };
    let (x, y) = match stand {
        Stand::Right | Stand::Left => (x, y.clamp(0, frame_h - h)),
        Stand::InsideTop | Stand::InsideBottom => {
            (x.clamp(0, frame_w - w), y.clamp(0, frame_h - h))
        }
        _ => (x.clamp(0, frame_w - w), y),
    };
    let inside = x >= 0 && y >= 0 && x + w <= frame_w && y + h <= frame_h;
    inside.then_some(Place { x, y, w: size.0, h: size.1 })
}

/// Pixels that two places share.
fn overlap(a: Place, b: Place) -> f32 {
    let span = |a: i32, aw: u32, b: i32, bw: u32| {
        let end = (i64::from(a) + i64::from(aw)).min(i64::from(b) + i64::from(bw));
        (end - i64::from(a.max(b))).max(0) as f32
    };
    span(a.x, a.w, b.x, b.w) * span(a.y, a.h, b.y, b.h)
}

/// How much of the smaller of two places the other covers, 0..=1.
fn share(a: Place, b: Place) -> f32 {
    let area = |p: Place| p.w as f32 * p.h as f32;
    let smaller = area(a).min(area(b));
    if smaller > 0.0 { overlap(a, b) / smaller } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZES: [(u32, u32); 3] = [(100, 40), (50, 22), (16, 16)];

    fn wanted(x: i32, y: i32, side: u32) -> Wanted {
        Wanted { face: Place { x, y, w: side, h: side }, sizes: SIZES, before: None }
    }

    fn choice(all: &[Wanted], i: usize) -> Choice {
        place(all, (640, 360))[i].expect("room").0
    }

    #[test]
    fn above_then_below_then_inside() {
        assert_eq!(choice(&[wanted(200, 150, 90)], 0).stand, Stand::Above);
        assert_eq!(choice(&[wanted(200, 2, 90)], 0).stand, Stand::Below);
        let tall = Wanted { face: Place { x: 0, y: 0, w: 640, h: 360 }, ..wanted(0, 0, 1) };
        assert_eq!(choice(&[tall], 0), Choice { detail: Detail::Full, stand: Stand::InsideTop });
    }

    #[test]
    fn a_small_face_gets_a_small_label() {
        assert_eq!(choice(&[wanted(200, 150, 90)], 0).detail, Detail::Full);
        assert_ne!(choice(&[wanted(200, 150, 20)], 0).detail, Detail::Full);
    }

    #[test]
    fn neighbours_do_not_share_a_place() {
        let row: Vec<Wanted> = (0..6).map(|i| wanted(20 + i * 100, 160, 80)).collect();
        let places = place(&row, (640, 360));
        for (i, a) in places.iter().flatten().enumerate() {
            for b in places.iter().flatten().skip(i + 1) {
                assert_eq!(share(a.1, b.1), 0.0, "{a:?} {b:?}");
            }
            assert!(row.iter().all(|face| share(a.1, face.face) == 0.0));
        }
    }

    #[test]
    fn a_crowd_shares_the_room() {
        let crowd: Vec<Wanted> =
            (0..15).map(|i| wanted(10 + i % 5 * 64, 30 + i / 5 * 70, 40)).collect();
        let places = place(&crowd, (330, 240));
        for (i, a) in places.iter().flatten().enumerate() {
            assert!(places.iter().flatten().skip(i + 1).all(|b| share(a.1, b.1) == 0.0));
            assert_eq!(a.0.detail, Detail::Short, "{a:?}");
        }
    }

    #[test]
    fn a_label_stays_while_its_face_sways() {
        // At the height where there is just no room above, the face sways by three pixels.
        let mut before = None;
        let mut changes = 0;
        for frame in 0..100 {
            let sway = [0, 1, 3, 1][frame % 4];
            let one = Wanted { before, ..wanted(200, 39 + sway, 90) };
            let found = place(&[one], (640, 360))[0].expect("room").0;
            changes += usize::from(before.is_some_and(|b| b != found));
            before = Some(found);
        }
        assert!(changes <= 1, "{changes} changes");
    }

    proptest! {
        #[test]
        fn labels_never_leave_the_frame(
            faces in prop::collection::vec((-50i32..700, -50i32..400, 1u32..400), 0..13),
            image in (1u32..700, 1u32..400),
        ) {
            let all: Vec<Wanted> = faces.iter().map(|(x, y, s)| wanted(*x, *y, *s)).collect();
            let places = place(&all, image);
            prop_assert_eq!(&places, &place(&all, image));
            let fits = image.0 >= 16 && image.1 >= 16;
            for at in &places {
                prop_assert_eq!(at.is_some(), fits);
                if let Some((_, at)) = at {
                    prop_assert!(at.x >= 0 && at.x as u32 + at.w <= image.0);
                    prop_assert!(at.y >= 0 && at.y as u32 + at.h <= image.1);
                }
            }
        }
    }
}
