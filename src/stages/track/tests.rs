//! The tracker's guarantees on synthetic scenes; `random` tests them on random input.

mod golden;
mod random;

use super::*;
use crate::core::evidence::TrackId;
use crate::core::geometry::{FaceBox, Point, Rect};
use crate::core::time::{Epoch, FrameRef, Pts, Rate, Span};

const FRAME_NS: i64 = 40_000_000;

fn frame(seq: u64) -> FrameRef {
    FrameRef { epoch: Epoch(0), seq, pts: Pts::from_ns(seq as i64 * FRAME_NS) }
}

/// A face of `size` pixels centred at (`x`, `y`), turned to the side by `turn` of its size.
fn face(x: f32, y: f32, size: f32, turn: f32) -> FaceBox {
    let h = size / 2.0;
    let p = |dx: f32, dy: f32| Point { x: x + (dx + turn) * size, y: y + dy * size };
    FaceBox {
        rect: Rect::new(x - h, y - h, x + h, y + h),
        confidence: 0.8,
        landmarks: [p(-0.2, -0.15), p(0.2, -0.15), p(0.0, 0.0), p(-0.15, 0.2), p(0.15, 0.2)],
    }
}

fn confident(mut face: FaceBox) -> FaceBox {
    face.confidence = 0.95;
    face
}

/// Runs `scene` (detections by frame number) with a detection every `stride` frames.
fn run(
    policy: Policy,
    frames: u64,
    stride: u64,
    cuts: &[u64],
    scene: impl Fn(u64) -> Vec<FaceBox>,
) -> Vec<TrackedFrame> {
    let mut tracker = Tracker::new(policy);
    let mut out = Vec::new();
    for n in 0..frames {
        let detections = (n % stride == 0).then(|| scene(n));
        out.extend(tracker.push(frame(n), detections.as_deref(), cuts.contains(&n)));
    }
    out.extend(tracker.finish());
    assert_eq!(out.len() as u64, frames);
    out
}

fn boxes_of(out: &[TrackedFrame], id: u32) -> Vec<u64> {
    let has = |f: &&TrackedFrame| f.faces.iter().any(|x| x.track == TrackId(id));
    out.iter().filter(has).map(|f| f.frame.seq).collect()
}

fn x_of(frame: &TrackedFrame, id: u32) -> f32 {
    let face = frame.faces.iter().find(|f| f.track == TrackId(id)).expect("the track is there");
    face.rect.center().x
}

#[test]
fn boxes_between_detections_are_interpolated_by_time() {
    let out =
        run(Policy::default(), 21, 5, &[], |n| vec![face(100.0 + 3.0 * n as f32, 90.0, 50.0, 0.0)]);
    for f in &out {
        assert_eq!(f.faces.len(), 1, "frame {}", f.frame.seq);
        assert!((x_of(f, 1) - (100.0 + 3.0 * f.frame.seq as f32)).abs() < 1e-3);
        assert!((f.faces[0].landmarks[2].x - x_of(f, 1)).abs() < 1e-3);
        assert_eq!(f.faces[0].detected, f.frame.seq % 5 == 0);
    }
}

#[test]
fn interpolation_uses_time_not_the_frame_count() {
    let mut tracker = Tracker::new(Policy::default());
    let at = |seq, ms: i64| FrameRef { epoch: Epoch(0), seq, pts: Pts::from_ns(ms * 1_000_000) };
    tracker.push(at(0, 0), Some(&[confident(face(0.0, 0.0, 50.0, 0.0))]), false);
    tracker.push(at(1, 90), None, false);
    let out = tracker.push(at(2, 100), Some(&[face(10.0, 0.0, 50.0, 0.0)]), false);
    assert!((x_of(&out[0], 1) - 9.0).abs() < 1e-4);
}

#[test]
fn one_weak_detection_makes_no_track_and_one_confident_detection_does() {
    let once = |n: u64, f: FaceBox| if n == 10 { vec![f] } else { vec![] };
    let weak = run(Policy::default(), 40, 5, &[], |n| once(n, face(50.0, 50.0, 40.0, 0.0)));
    assert!(weak.iter().all(|f| f.faces.is_empty() && f.ended.is_empty()));
    let strong =
        run(Policy::default(), 40, 5, &[], |n| once(n, confident(face(50.0, 50.0, 40.0, 0.0))));
    assert_eq!(boxes_of(&strong, 1), [10]);
    assert_eq!(strong[11].ended, [TrackId(1)]);
}

#[test]
fn a_face_missing_for_half_a_second_keeps_its_track_and_for_longer_does_not() {
    let away = |from: u64, to: u64| {
        run(Policy::default(), 60, 4, &[], move |n| {
            if (from..to).contains(&n) { vec![] } else { vec![face(50.0, 50.0, 40.0, 0.0)] }
        })
    };
    // Found at 8 and at 20: 0.48 s.
    let short = away(9, 20);
    assert!(short.iter().all(|f| f.faces.len() == 1 && f.faces[0].track == TrackId(1)));
    // Found at 8 and at 24: 0.64 s.
    let long = away(9, 24);
    assert_eq!(boxes_of(&long, 1), (0..=8).collect::<Vec<_>>());
    assert_eq!(long[9].ended, [TrackId(1)]);
    assert_eq!(boxes_of(&long, 2), (24..60).collect::<Vec<_>>());
}

#[test]
fn a_cut_ends_every_track_at_the_frame_before_it() {
    let out = run(Policy::default(), 30, 5, &[13], |n| {
        if n == 15 || n < 13 { vec![face(50.0, 50.0, 40.0, 0.0)] } else { vec![] }
    });
    assert_eq!(boxes_of(&out, 1), (0..13).collect::<Vec<_>>());
    assert_eq!(out[13].ended, [TrackId(1)]);
    assert!(boxes_of(&out, 2).is_empty(), "one weak detection, then missed");
}

#[test]
fn a_confident_detection_just_before_a_cut_is_a_track() {
    let out = run(Policy::default(), 10, 5, &[8], |n| {
        if n == 5 { vec![face(50.0, 50.0, 40.0, 0.0)] } else { vec![] }
    });
    assert_eq!(boxes_of(&out, 1), [5, 6, 7]);
    assert_eq!(out[8].ended, [TrackId(1)]);
}

#[test]
fn an_epoch_ends_every_track() {
    let mut tracker = Tracker::new(Policy::default());
    let detections = [confident(face(50.0, 50.0, 40.0, 0.0))];
    let mut out = tracker.push(frame(0), Some(&detections), false);
    out.extend(tracker.push(FrameRef { epoch: Epoch(1), ..frame(1) }, Some(&detections), false));
    out.extend(tracker.finish());
    assert_eq!((boxes_of(&out, 1), boxes_of(&out, 2)), (vec![0], vec![1]));
    assert_eq!(out[1].ended, [TrackId(1)]);
}

#[test]
fn two_people_who_cross_keep_their_numbers() {
    for stride in [1, 3, 5] {
        for gap in [0.0_f32, 6.0, 20.0] {
            // One walks and looks right, the other left. While they overlap by more than half, the
            // detector finds only the one in front.
            let scene = move |n: u64| {
                let (a, b) = (100.0 + 5.0 * n as f32, 400.0 - 5.0 * n as f32);
                let front = face(a, 100.0, 80.0, 0.15);
                let back = face(b, 100.0 + gap, 76.0, -0.15);
                if front.rect.iou(back.rect) > 0.5 { vec![front] } else { vec![back, front] }
            };
            let out = run(Policy::default(), 80, stride, &[], scene);
            for f in &out[..76] {
                assert_eq!(f.faces.len(), 2, "stride {stride} gap {gap} frame {}", f.frame.seq);
                let want = 100.0 + 5.0 * f.frame.seq as f32;
                let got = x_of(f, 1);
                assert!((got - want).abs() < 8.0, "stride {stride} {}: {got} {want}", f.frame.seq);
            }
        }
    }
}

#[test]
fn a_hidden_face_that_stopped_is_found_at_its_last_position() {
    let out = run(Policy::default(), 60, 5, &[], |n| match n {
        0..=20 => vec![face(100.0 + 6.0 * n as f32, 100.0, 60.0, 0.0)],
        21..30 => vec![],
        _ => vec![face(225.0, 100.0, 60.0, 0.0)],
    });
    assert!(out.iter().all(|f| f.faces.len() == 1 && f.faces[0].track == TrackId(1)));
}

#[test]
fn twelve_faces_are_twelve_tracks() {
    let scene = |n: u64| {
        let wobble = (n as f32 * 0.7).sin() * 4.0;
        let mut all: Vec<FaceBox> = (0..12)
            .map(|k| {
                face(
                    60.0 + 100.0 * (k % 4) as f32 + wobble,
                    60.0 + 100.0 * (k / 4) as f32,
                    60.0,
                    0.0,
                )
            })
            .collect();
        all.rotate_left(n as usize % 12);
        all
    };
    let out = run(Policy::default(), 100, 5, &[], scene);
    let where_first: Vec<Rect> = out[0].faces.iter().map(|f| f.rect).collect();
    for f in &out {
        assert_eq!(
            f.faces.iter().map(|x| x.track.0).collect::<Vec<_>>(),
            (1..=12).collect::<Vec<_>>()
        );
        assert!(f.faces.iter().zip(&where_first).all(|(x, r)| x.rect.iou(*r) > 0.6));
    }
}

#[test]
fn live_faces_are_extrapolated_without_delay() {
    let policy = Policy { box_fill: BoxFill::Extrapolate, ..Policy::default() };
    let mut tracker = Tracker::new(policy);
    for n in 0..60 {
        let detections = [face(100.0 + 3.0 * n as f32, 90.0, 50.0, 0.0)];
        let out = tracker.push(frame(n), (n % 5 == 0).then_some(&detections[..]), false);
        assert_eq!((out.len(), out[0].frame.seq), (1, n));
        assert_eq!(out[0].faces.len(), usize::from(n >= 5));
        if n > 20 {
            assert!((x_of(&out[0], 1) - detections[0].rect.center().x).abs() < 2.0, "frame {n}");
        }
    }
    // Missed from now on: kept for half a second after the last detection (frame 55), then ended.
    let gone: Vec<u64> = (60..80)
        .flat_map(|n| tracker.push(frame(n), (n % 5 == 0).then_some(&[][..]), false))
        .filter(|f| f.ended == [TrackId(1)])
        .map(|f| f.frame.seq)
        .collect();
    assert_eq!(gone, [68]);
}

#[test]
fn one_frame_per_second_still_makes_tracks() {
    let mut tracker = Tracker::new(Policy::default());
    let at = |seq: u64| FrameRef { epoch: Epoch(0), seq, pts: Pts::from_seconds(seq as f64) };
    let detections = [face(50.0, 50.0, 40.0, 0.0)];
    let mut out: Vec<_> =
        (0..9).flat_map(|n| tracker.push(at(n), Some(&detections), false)).collect();
    out.extend(tracker.finish());
    assert_eq!(boxes_of(&out, 1), (0..9).collect::<Vec<_>>());
}

#[test]
fn a_stopped_clock_holds_no_more_than_max_frames() {
    let mut tracker = Tracker::new(Policy::default());
    for seq in 0..1000 {
        let detections = (seq == 0).then(|| vec![confident(face(50.0, 50.0, 40.0, 0.0))]);
        let at = FrameRef { epoch: Epoch(0), seq, pts: Pts::ZERO };
        tracker.push(at, detections.as_deref(), false);
        assert!(tracker.held() <= tracker.max_lag().max_frames);
    }
}

#[test]
fn the_bound_gives_a_frame_budget() {
    let bound = Policy::default().max_lag();
    let rate = |n| Rate::new(n, 1).expect("not zero");
    assert_eq!(bound.frames_at(rate(25)), 13);
    assert_eq!(bound.frames_at(rate(5)), 9);
    let slow = Policy::default().with_detection_interval(Span::from_ms(1000)).max_lag();
    assert_eq!(slow.span, Span::from_ms(1500));
    assert_eq!(
        Policy { box_fill: BoxFill::Extrapolate, ..Policy::default() }
            .max_lag()
            .frames_at(rate(25)),
        0
    );
}
