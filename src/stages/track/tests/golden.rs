//! Interpolated boxes against detections of the same frames.

use std::fs;

use serde_json::Value;

use super::{Policy, frame};
use crate::core::geometry::{FaceBox, Point, Rect};
use crate::stages::track::{TrackedFrame, Tracker};

fn floats(v: &Value) -> Vec<f32> {
    let list = v.as_array().expect("a list");
    list.iter().map(|x| x.as_f64().expect("a number") as f32).collect()
}

fn face(v: &Value) -> FaceBox {
    let b = floats(&v["box"]);
    let marks: Vec<Vec<f32>> =
        v["landmarks"].as_array().expect("landmarks").iter().map(floats).collect();
    FaceBox {
        rect: Rect::new(b[0], b[1], b[2], b[3]),
        confidence: v["score"].as_f64().expect("a score") as f32,
        landmarks: std::array::from_fn(|i| Point { x: marks[i][0], y: marks[i][1] }),
    }
}

/// Each detection's overlap with the tracked box that overlaps it most (0 where there is none).
fn overlaps(out: &[TrackedFrame], truth: &[Vec<FaceBox>]) -> Vec<f32> {
    let best = |f: &TrackedFrame, t: &FaceBox| {
        f.faces.iter().map(|x| x.rect.iou(t.rect)).fold(0.0, f32::max)
    };
    out.iter()
        .zip(truth)
        .flat_map(|(f, t)| t.iter().map(|t| best(f, t)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_fifth_detection_is_enough_for_real_faces() {
    for clip in ["aoc_512", "debate_mexca"] {
        let name = format!("reference/golden/{clip}.detections.json");
        let Some(path) = crate::needs::shared(&name) else { return };
        let text = fs::read_to_string(path).expect("a golden file");
        let golden: Value = serde_json::from_str(&text).expect("JSON");
        let frames = golden["frames"].as_array().expect("frames");
        let truth: Vec<Vec<FaceBox>> = frames
            .iter()
            .map(|f| f.as_array().expect("faces").iter().map(face).collect())
            .collect();
        let cuts: Vec<u64> =
            golden["cuts"].as_array().expect("cuts").iter().filter_map(Value::as_u64).collect();
        let mut tracker = Tracker::new(Policy::default());
        let mut out = Vec::new();
        for (n, detections) in (0..).zip(&truth) {
            let cut = cuts.contains(&n);
            let detections = (n % 5 == 0 || cut).then_some(detections.as_slice());
            out.extend(tracker.push(frame(n), detections, cut));
        }
        out.extend(tracker.finish());
        let overlaps = overlaps(&out, &truth);
        let count = overlaps.len() as f32;
        let mean = overlaps.iter().sum::<f32>() / count;
        let matched = overlaps.iter().filter(|o| **o >= 0.5).count() as f32 / count;
        println!("{clip}: mean IoU {mean:.3}, matched {matched:.3}, tracks {}", tracker.people());
        assert!(mean > 0.9 && matched >= 0.99, "{clip}: mean {mean}, matched {matched}");
        assert!(tracker.people() as usize <= 2 * (cuts.len() + 1), "tracks: {}", tracker.people());
    }
}
