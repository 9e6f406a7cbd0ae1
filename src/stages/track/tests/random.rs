//! The tracker's guarantees under random detections, times, cuts and epochs.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::face;
use crate::core::evidence::TrackId;
use crate::core::geometry::FaceBox;
use crate::core::time::{Epoch, FrameRef, Pts};
use crate::stages::track::{BoxFill, Policy, Tracker};

#[derive(Clone, Debug)]
struct Step {
    gap_ms: i64,
    detections: Option<Vec<FaceBox>>,
    cut: bool,
    new_epoch: bool,
}

fn any_face() -> impl Strategy<Value = FaceBox> {
    let odd = prop_oneof![20 => Just(0.0_f32), 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)];
    (0.0..300.0_f32, 0.0..200.0_f32, -2.0..90.0_f32, 0.3..1.0_f32, odd).prop_map(
        |(x, y, size, confidence, odd)| FaceBox { confidence, ..face(x + odd, y, size, 0.0) },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    (
        prop_oneof![8 => 10..120_i64, 1 => 120..3000_i64, 1 => Just(0_i64)],
        prop::bool::weighted(0.01),
        prop::option::of(prop::collection::vec(any_face(), 0..6)),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.03),
    )
        .prop_map(|(gap_ms, back, detections, cut, new_epoch)| {
            let gap_ms = if back { -gap_ms } else { gap_ms };
            Step { gap_ms, detections, cut, new_epoch }
        })
}

proptest! {
    #[test]
    fn guarantees_hold_for_any_input(
        steps in prop::collection::vec(any_step(), 1..150),
        carry in any::<bool>(),
    ) {
        let box_fill = if carry { BoxFill::Extrapolate } else { BoxFill::Interpolate };
        let mut tracker = Tracker::new(Policy { box_fill, ..Policy::default() });
        let bound = tracker.max_lag();
        let (mut pushed, mut out) = (Vec::new(), Vec::new());
        let (mut epoch, mut ns) = (Epoch(0), 0);
        for (seq, step) in steps.iter().enumerate() {
            ns += step.gap_ms * 1_000_000;
            if step.new_epoch {
                epoch = epoch.next();
            }
            let id = FrameRef { epoch, seq: seq as u64, pts: Pts::from_ns(ns) };
            pushed.push(id);
            out.extend(tracker.push(id, step.detections.as_deref(), step.cut));
            // No frame is held beyond the bound, in time or in frames (with a clock that runs
            // backwards only `max_frames` holds).
            let steady = steps[..=seq].iter().all(|s| s.gap_ms >= 0);
            for held in &pushed[out.len()..] {
                let recent = id.seq - held.seq <= bound.frames as u64;
                prop_assert!(!steady || recent || id.pts - held.pts <= bound.span);
            }
            if carry {
                prop_assert_eq!(out.len(), pushed.len());
            }
        }
        out.extend(tracker.finish());
        // Conservation: every frame once, in order.
        prop_assert_eq!(out.iter().map(|f| f.frame).collect::<Vec<_>>(), pushed);
        // A track is one unbroken run of frames without a cut, and its end is reported once.
        let mut frames_of: BTreeMap<TrackId, Vec<usize>> = BTreeMap::new();
        let mut ended: BTreeMap<TrackId, usize> = BTreeMap::new();
        for (n, f) in out.iter().enumerate() {
            let ids: BTreeSet<_> = f.faces.iter().map(|x| x.track).collect();
            prop_assert_eq!(ids.len(), f.faces.len());
            for x in &f.faces {
                prop_assert!(x.rect.x1.is_finite() && x.rect.y2.is_finite() && x.rect.area() > 0.0);
                prop_assert!(!x.detected || steps[n].detections.is_some());
                frames_of.entry(x.track).or_default().push(n);
            }
            for id in &f.ended {
                prop_assert!(ended.insert(*id, n).is_none());
            }
        }
        for (id, frames) in &frames_of {
            let (a, b) = (frames[0], frames[frames.len() - 1]);
            prop_assert_eq!(frames.len(), b - a + 1, "track {} has gaps", id);
            prop_assert!(steps[a + 1..=b].iter().all(|s| !s.cut && !s.new_epoch));
            prop_assert_eq!(ended.get(id).copied().unwrap_or(out.len()), b + 1);
        }
        prop_assert!(ended.keys().all(|id| frames_of.contains_key(id)));
        // Every track number has a face.
        prop_assert_eq!(frames_of.len(), tracker.people() as usize);
    }
}
