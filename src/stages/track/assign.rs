//! Which detection belongs to which track: the assignment with the highest total likeness.
//!
//! Likeness adds overlap, nearness of the middles and nearness of the landmarks, all relative to
//! the faces' size, against where each track is expected at that moment. Pairs too far apart are
//! gated out. The assignment is optimal (Kuhn–Munkres) and not greedy: in a crowd, a greedy choice
//! takes the one box that a neighbour needed, and two people change numbers.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::core::geometry::{FaceBox, Landmarks, Point, Rect};

use super::motion::size;

/// Boxes that overlap by this much may be the same face.
const MIN_IOU: f32 = 0.2;
/// So may boxes whose middles are nearer than this share of their size ...
const MAX_DISTANCE: f32 = 0.5;
/// ... where neither is larger than the other by this factor.
const MAX_SIZE_RATIO: f32 = 1.6;
/// Every allowed pair counts for this much, so that two fair pairs beat one excellent pair.
const PAIR_BONUS: f32 = 0.5;
/// Likeness as whole numbers, for the solver.
const SCALE: f32 = 1e6;

/// A track as it is expected to be seen.
pub struct ExpectedFace {
    /// Where its box should be.
    pub rect: Rect,
    /// Where its landmarks should be.
    pub landmarks: Landmarks,
}

/// For each expected track the index of its detection, or `None`.
pub fn assign(expected: &[ExpectedFace], detections: &[FaceBox]) -> Vec<Option<usize>> {
    if expected.is_empty() || detections.is_empty() {
        return vec![None; expected.len()];
    }
    let weight = |t: usize, d: usize| (similarity(&expected[t], &detections[d]) * SCALE) as i64;
    let mut assigned = vec![None; expected.len()];
    if assign_unambiguous(expected.len(), detections.len(), weight, &mut assigned) {
        return assigned;
    }
    assigned.fill(None);
    // The solver wants no more rows than columns.
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

/// Gives every track its best detection; `false` where two want the same, so that all have to be
/// weighed. What nobody disputes no solver could better.
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

/// How alike a track and a detection are: 0 where they cannot be the same face, else above 0.
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

/// 1 for no distance at all, falling to 0 at a whole face's size.
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
        // Track 0 lies nearest to detection 0, but track 1 can only be detection 0.
        let tracks = [at(10.0, 100.0), at(-45.0, 100.0)];
        let detections = [face(5.0, 100.0), face(70.0, 100.0)];
        assert_eq!(assign(&tracks, &detections), [Some(1), Some(0)]);
    }

    #[test]
    fn too_far_or_too_different_is_nobody() {
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
        fn what_nobody_disputes_is_what_the_solver_finds(
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
