//! Assigns detections to tracks, with the highest total similarity.
//!
//! Similarity is the sum of overlap, proximity of the centres and proximity of the landmarks, all
//! relative to the faces' size and to the track's expected position. Pairs too far apart are
//! excluded. The assignment is optimal (Kuhn–Munkres), not greedy: in a crowd, a greedy choice can
//! take the only box of a neighbour, and two people swap numbers.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::core::geometry::{FaceBox, Landmarks, Point, Rect};

use super::motion::size;

/// Boxes with at least this overlap may be the same face.
const MIN_IOU: f32 = 0.2;
/// So may boxes whose centres are closer than this share of their size ...
const MAX_DISTANCE: f32 = 0.5;
/// ... if their sizes differ by less than this factor.
const MAX_SIZE_RATIO: f32 = 1.6;
/// Bonus for every allowed pair, so that two fair pairs beat one excellent pair.
const PAIR_BONUS: f32 = 0.5;
/// Scales similarities to integers for the solver.
const SCALE: f32 = 1e6;

/// A track's expected face.
pub(super) struct ExpectedFace {
    /// Its expected box.
    pub rect: Rect,
    /// Its expected landmarks.
    pub landmarks: Landmarks,
}

/// For each expected track the index of its detection, or `None`.
pub(super) fn assign(expected: &[ExpectedFace], detections: &[FaceBox]) -> Vec<Option<usize>> {
    if expected.is_empty() || detections.is_empty() {
        return vec![None; expected.len()];
    }
    let weight = |t: usize, d: usize| (similarity(&expected[t], &detections[d]) * SCALE) as i64;
    let mut assigned = vec![None; expected.len()];
    if assign_unambiguous(expected.len(), detections.len(), weight, &mut assigned) {
        return assigned;
    }
    assigned.fill(None);
    // The solver needs at most as many rows as columns.
    if expected.len() <= detections.len() {
        let w = Matrix::from_fn(expected.len(), detections.len(), |(t, d)| weight(t, d));
        for (t, d) in kuhn_munkres(&w).1.into_iter().enumerate() {
            assigned[t] = (w[(t, d)] > 0).then_some(d);
        }
    } else {
        let w = Matrix::from_fn(detections.len(), expected.len(), |(d, t)| weight(t, d));
        for (d, t) in kuhn_munkres(&w).1.into_iter().enumerate() {
            if w[(d, t)] > 0 {
                assigned[t] = Some(d);
            }
        }
    }
    assigned
}

/// Assigns every track its best detection; `false` where two tracks have the same best one, so that
/// the solver is needed. Without conflict this is optimal.
fn assign_unambiguous(
    tracks: usize,
    detections: usize,
    weight: impl Fn(usize, usize) -> i64,
    assigned: &mut [Option<usize>],
) -> bool {
    (0..tracks).all(|t| {
        let best = (0..detections).map(|d| (weight(t, d), d)).max_by_key(|(weight, _)| *weight);
        let best = best.filter(|(weight, _)| *weight > 0).map(|(_, d)| d);
        let free = best.is_none() || assigned[..t].iter().all(|other| *other != best);
        assigned[t] = best;
        free
    })
}

/// The similarity of a track and a detection: 0 where they cannot be the same face, else above 0.
fn similarity(track: &ExpectedFace, face: &FaceBox) -> f32 {
    let (a, b) = (size(track.rect), size(face.rect));
    if a <= 0.0 || b <= 0.0 {
        return 0.0;
    }
    let iou = track.rect.iou(face.rect);
    let mean_size = (a + b) / 2.0;
    let distance_ratio = distance(track.rect.center(), face.rect.center()) / mean_size;
    let near = distance_ratio < MAX_DISTANCE && a.max(b) / a.min(b) < MAX_SIZE_RATIO;
    if iou < MIN_IOU && !near {
        return 0.0;
    }
    let marks: f32 =
        track.landmarks.iter().zip(&face.landmarks).map(|(p, q)| distance(*p, *q)).sum();
    let landmark_distance_ratio = marks / track.landmarks.len() as f32 / mean_size;
    PAIR_BONUS + iou + proximity(distance_ratio) + proximity(landmark_distance_ratio)
}

/// 1 at no distance, falling to 0 at the distance of one face size.
fn proximity(distance_ratio: f32) -> f32 {
    (1.0 - distance_ratio).clamp(0.0, 1.0)
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, s: f32) -> FaceBox {
        FaceBox {
            rect: Rect::new(x, 0.0, x + s, s),
            confidence: 0.8,
            landmarks: [Point { x: x + s / 2.0, y: s / 2.0 }; 5],
        }
    }

    fn at(x: f32, s: f32) -> ExpectedFace {
        let f = face(x, s);
        ExpectedFace { rect: f.rect, landmarks: f.landmarks }
    }

    #[test]
    fn the_best_total_wins_over_the_best_first_pair() {
        // Track 0 is nearest to detection 0, but track 1 can only be detection 0.
        let tracks = [at(10.0, 100.0), at(-45.0, 100.0)];
        let detections = [face(5.0, 100.0), face(70.0, 100.0)];
        assert_eq!(assign(&tracks, &detections), [Some(1), Some(0)]);
    }

    #[test]
    fn faces_too_far_or_too_different_are_not_assigned() {
        assert_eq!(assign(&[at(0.0, 100.0)], &[face(90.0, 100.0)]), [None]);
        assert_eq!(assign(&[at(0.0, 100.0)], &[face(30.0, 40.0)]), [None]);
        assert_eq!(
            assign(&[at(0.0, 100.0), at(500.0, 100.0)], &[face(501.0, 99.0)]),
            [None, Some(0)]
        );
        assert_eq!(assign(&[at(0.0, 10.0)], &[]), [None]);
    }

    proptest! {
        #[test]
        fn an_unambiguous_assignment_equals_the_solvers(
            weights in prop::collection::vec(0i64..50, 12),
            tracks in 1usize..4,
        ) {
            let weight = |t: usize, d: usize| weights[t * 4 + d];
            let mut assigned = vec![None; tracks];
            prop_assume!(assign_unambiguous(tracks, 4, weight, &mut assigned));
            let w = Matrix::from_fn(tracks, 4, |(t, d)| weight(t, d));
            let total: i64 = assigned.iter().enumerate().map(|(t, d)| d.map_or(0, |d| weight(t, d))).sum();
            prop_assert_eq!(total, kuhn_munkres(&w).0);
        }
    }
}
