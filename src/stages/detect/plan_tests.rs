//! The search plan, frame by frame: resolution, interval, and what makes them finer or coarser.

use proptest::prelude::*;

use super::*;
use crate::core::geometry::{Point, Rect};

const HD: (usize, usize) = (1920, 1080);

fn faces(sizes: &[f32]) -> Vec<FaceBox> {
    let face = |size: &f32| FaceBox {
        rect: Rect::new(0.0, 0.0, 0.8 * size, *size),
        confidence: 0.9,
        landmarks: [Point::default(); 5],
    };
    sizes.iter().map(face).collect()
}

fn frame(i: i64, fps_num: i64, fps_den: i64) -> Pts {
    Pts::from_ns(i * fps_den * 1_000_000_000 / fps_num)
}

/// Runs the plan over `frames` frames of 25 fps with faces of `sizes`, of which each search
/// finds those that it reliably finds; gives the long side of each frame's search, 0 for none.
fn run(frames: i64, frame_size: (usize, usize), sizes: &[f32]) -> Vec<u32> {
    run_with(frames, frame_size, |_| sizes.to_vec())
}

/// The same with faces of `sizes` in each frame.
fn run_with(frames: i64, frame_size: (usize, usize), sizes: impl Fn(i64) -> Vec<f32>) -> Vec<u32> {
    let mut plan = DetectPlan::new(PlanSettings::default());
    let mut searched = Vec::new();
    for i in 0..frames {
        let now = plan.next(frame(i, 25, 1), frame_size, false).current;
        if let Some(search) = now {
            let found: Vec<f32> =
                sizes(i).into_iter().filter(|s| *s >= search.reliable_face_px()).collect();
            plan.update(search, &faces(&found));
        }
        searched.push(now.map_or(0, |search| search.long_side_px));
    }
    searched
}

#[test]
fn large_faces_need_a_coarse_search_every_fifth_frame_and_a_wide_one_every_four_seconds() {
    let searched = run(276, HD, &[300.0]);
    for (i, long_side) in searched.iter().enumerate() {
        let expected = match i {
            0 | 25 | 75 | 175 | 275 => 1280,
            i if i % 5 == 0 => 320,
            _ => 0,
        };
        assert_eq!(*long_side, expected, "frame {i}");
    }
}

#[test]
fn a_new_small_face_in_a_stable_shot_is_found_by_the_next_wide_search() {
    let sizes = |frame| if frame < 80 { vec![300.0] } else { vec![300.0, 62.0] };
    let searched = run_with(351, HD, sizes);
    let wide: Vec<_> = (0..).zip(&searched).filter(|(_, side)| **side == 1280).collect();
    let wide: Vec<i32> = wide.into_iter().map(|(i, _)| i).collect();
    // Every four seconds until it is found, then after a second, then slower again once the
    // searches in between find it, too.
    assert_eq!(wide, [0, 25, 75, 175, 200, 250, 350]);
    assert_eq!(searched[185], 640);
}

#[test]
fn faces_that_a_coarse_search_finds_need_no_finer_search() {
    // 60 of 1280 pixels: by its manifest the detector may miss this face at 320.
    let mut plan = DetectPlan::new(PlanSettings::for_detector(64, 960));
    let mut searched = |i: i64, seen: &dyn Fn(u32) -> bool| {
        let search =
            plan.next(frame(i, 25, 1), (1280, 720), false).current.expect("a search is due");
        let sizes = if seen(search.long_side_px) { &[60.0][..] } else { &[] };
        plan.update(search, &faces(sizes));
        search.long_side_px
    };
    let found: Vec<u32> = (0..10).map(|i| searched(5 * i, &|_| true)).collect();
    assert_eq!(found, [960, 320, 320, 320, 320, 960, 320, 320, 320, 320]);
    // From the first search that misses it.
    let missed: Vec<u32> = (10..15).map(|i| searched(5 * i, &|side| side > 320)).collect();
    assert_eq!(missed, [320, 960, 320, 960, 320]);
}

#[test]
fn a_new_face_does_not_replace_a_missed_one() {
    let at = |x: f32, size: f32| FaceBox {
        rect: Rect::new(x, 200.0, x + 0.8 * size, 200.0 + size),
        confidence: 0.9,
        landmarks: [Point::default(); 5],
    };
    let (old, new) = (at(100.0, 60.0), at(700.0, 200.0));
    let mut plan = DetectPlan::new(PlanSettings::for_detector(64, 960));
    let mut searched = |i: i64, found: &[FaceBox]| {
        let search =
            plan.next(frame(i, 25, 1), (1280, 720), false).current.expect("a search is due");
        plan.update(search, found);
        search.long_side_px
    };
    let stable: Vec<u32> = (0..16).map(|i| searched(5 * i, &[old])).collect();
    assert_eq!(stable.iter().filter(|side| **side == 960).count(), 3, "{stable:?}");
    assert_eq!([80, 85].map(|i| searched(i, &[old, new])), [320, 320]);
    assert_eq!([90, 95, 100].map(|i| searched(i, &[new])), [320, 960, 320]);
}

#[test]
fn small_faces_keep_the_search_fine() {
    let at = |frame_size, sizes: &[f32]| -> Vec<u32> {
        run(26, frame_size, sizes).into_iter().step_by(5).collect()
    };
    assert_eq!(at(HD, &[30.0, 300.0]), [1280, 320, 1280, 320, 1280, 1280]);
    assert_eq!(at(HD, &[62.0]), [1280, 320, 640, 320, 640, 1280]);
    assert_eq!(at((640, 360), &[20.0]), [640, 320, 640, 320, 640, 640]);
    assert_eq!(at((300, 200), &[20.0]), [300; 6]);
    // Faces that the wide search cannot find do not make it finer.
    assert_eq!(at(HD, &[20.0]), [1280, 320, 320, 320, 320, 1280]);
    assert_eq!(at(HD, &[]), [1280, 320, 320, 320, 320, 1280]);
}

#[test]
fn a_detector_that_needs_larger_faces_gets_a_higher_resolution() {
    let fineness = |settings: PlanSettings| {
        let mut plan = DetectPlan::new(settings);
        let first = plan.next(frame(0, 25, 1), (1280, 720), true).current.expect("the first");
        plan.update(first, &faces(&[60.0]));
        (first.long_side_px, plan.search(plan.fine_long_side_px, SearchKind::Between).long_side_px)
    };
    // 60 of 1280 pixels are 20 of 427: the next step for a detector that needs 20 px. One that
    // needs 64 px would need more than the widest search.
    assert_eq!(fineness(PlanSettings::default()), (1280, 480));
    assert_eq!(fineness(PlanSettings::for_detector(64, 960)), (960, 960));
}

#[test]
fn missed_faces_make_the_next_search_finer() {
    let mut plan = DetectPlan::new(PlanSettings::default());
    let mut sides = Vec::new();
    for i in (0..50).step_by(5) {
        let search =
            plan.next(frame(i, 25, 1), (640, 360), false).current.expect("a search is due");
        // Two large faces, one of which only a search at 640 finds.
        let all = faces(&[100.0, 120.0]);
        plan.update(search, &all[..if search.long_side_px == 640 { 2 } else { 1 }]);
        sides.push(search.long_side_px);
    }
    assert_eq!(sides, [640, 320, 480, 320, 640, 640, 320, 480, 320, 640]);
}

#[test]
fn both_frames_at_a_cut_are_searched() {
    let mut plan = DetectPlan::new(PlanSettings::default());
    for i in 0..7 {
        plan.next(frame(i, 25, 1), HD, false);
    }
    let Searches { previous, current } = plan.next(frame(7, 25, 1), HD, true);
    assert_eq!(previous.map(|s| s.long_side_px), Some(320));
    assert_eq!(current.map(|s| s.long_side_px), Some(1280));
    // The frame before the next cut was searched already.
    let again = plan.next(frame(8, 25, 1), HD, true);
    assert_eq!(again.previous, None);
}

#[test]
fn a_new_shot_is_searched_as_its_own_faces_need_it() {
    let mut plan = DetectPlan::new(PlanSettings::default());
    // A small face, then a cut to a large one; the old shot's last frame must not matter.
    let mut sides = Vec::new();
    for (i, cut, sizes) in [(0, false, &[30.0][..]), (5, false, &[]), (10, false, &[30.0])] {
        let search = plan.next(frame(i, 25, 1), HD, cut).current.expect("a search is due");
        plan.update(search, &faces(sizes));
        sides.push(search.long_side_px);
    }
    plan.next(frame(11, 25, 1), HD, false);
    let Searches { previous, current } = plan.next(frame(12, 25, 1), HD, true);
    for (search, sizes) in [(previous, &[][..]), (current, &[300.0])] {
        let search = search.expect("both at a cut");
        plan.update(search, &faces(sizes));
        sides.push(search.long_side_px);
    }
    let next = plan.next(frame(17, 25, 1), HD, false).current.expect("a search is due");
    assert_eq!(sides, [1280, 320, 1280, 1280, 1280]);
    assert_eq!(next.long_side_px, 320);
    plan.update(next, &faces(&[300.0]));
    let next = plan.next(frame(22, 25, 1), HD, false).current.expect("a search is due");
    assert_eq!(next.long_side_px, 320);
}

#[test]
fn the_last_frame_is_searched_once() {
    let mut plan = DetectPlan::new(PlanSettings::default());
    assert_eq!(plan.finish(), None);
    plan.next(frame(0, 25, 1), HD, false);
    assert_eq!(plan.finish(), None);
    plan.next(frame(0, 25, 1), HD, false);
    plan.next(frame(1, 25, 1), HD, false);
    assert_eq!(plan.finish().map(|s| s.long_side_px), Some(320));
}

proptest! {
    #[test]
    fn searches_are_on_time_at_any_frame_rate(
        fps_num in prop::sample::select(vec![5_000i64, 15_000, 22_131, 24_000, 30_000, 60_000]),
        fps_den in prop::sample::select(vec![1000i64, 1001]),
    ) {
        let mut plan = DetectPlan::new(PlanSettings::default());
        let span = Span::from_ns(1_000_000_000 * fps_den / fps_num);
        let mut last = Pts::ZERO;
        for i in 0..300 {
            let pts = frame(i, fps_num, fps_den);
            if plan.next(pts, HD, false).current.is_some() {
                let late = (pts - last).ns() - 200_000_000;
                prop_assert!(late <= span.ns() / 2 + 2, "frame {i} is {late} ns late");
                last = pts;
            }
        }
    }
}
