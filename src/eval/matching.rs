//! Which predicted face is a labelled one.
//!
//! Takes the faces of any number of videos in any order; gives one [`ScoredFace`] for every labelled
//! face, in the labels' order. A labelled face is that predicted face of the same video, in the
//! nearest predicted frame, which overlaps it most. One that has no match gets the score 0: a
//! missed face is a missed speaker.

use std::collections::HashMap;
use std::sync::Arc;

use super::labels::{FractionBox, Label, LabelledFace, PredictedFace};

/// When two faces are the same.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MatchRules {
    /// Intersection over union, at least, 0..=1.
    pub min_iou: f64,
    /// Seconds between label and prediction, at most.
    pub max_seconds: f64,
}

impl Default for MatchRules {
    /// Half of the union, and half a frame at 25 frames a second.
    fn default() -> Self {
        Self { min_iou: 0.5, max_seconds: 0.021 }
    }
}

/// A labelled face and what was predicted of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ScoredFace {
    /// Which video.
    pub video: Arc<str>,
    /// The truth.
    pub label: Label,
    /// P(speaking), 0..=1; 0 where no face matched.
    pub score: f64,
    /// Whether a predicted face matched.
    pub matched: bool,
}

/// A video's predictions: frames in order of time, each with its faces in the order given.
type Frames = Vec<(f64, Vec<(FractionBox, f64)>)>;

/// Finds the predicted face of every labelled one.
pub fn match_faces(
    labels: &[LabelledFace],
    predictions: &[PredictedFace],
    rules: MatchRules,
) -> Vec<ScoredFace> {
    let frames = by_frame(predictions);
    labels
        .iter()
        .map(|face| {
            let frames = frames.get(&*face.video).map_or(&[][..], Vec::as_slice);
            let found = nearest(frames, face.seconds, rules.max_seconds)
                .and_then(|faces| most_overlapping(faces, face.bbox))
                .filter(|(overlap, _)| *overlap >= rules.min_iou);
            ScoredFace {
                video: Arc::clone(&face.video),
                label: face.label,
                score: found.map_or(0.0, |(_, score)| score),
                matched: found.is_some(),
            }
        })
        .collect()
}

fn by_frame(predictions: &[PredictedFace]) -> HashMap<&str, Frames> {
    let mut sorted: HashMap<&str, Vec<&PredictedFace>> = HashMap::new();
    for face in predictions {
        sorted.entry(&face.video).or_default().push(face);
    }
    let mut frames: HashMap<&str, Frames> = HashMap::new();
    for (video, mut faces) in sorted {
        // Stable, so that faces of one frame keep their order.
        faces.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let frames = frames.entry(video).or_default();
        for face in faces {
            let here = (face.bbox, face.score);
            match frames.last_mut() {
                Some((at, others)) if *at == face.seconds => others.push(here),
                _ => frames.push((face.seconds, vec![here])),
            }
        }
    }
    frames
}

/// The faces of the frame nearest to `seconds`, the earlier one of two that are equally near.
fn nearest(
    frames: &[(f64, Vec<(FractionBox, f64)>)],
    seconds: f64,
    max_seconds: f64,
) -> Option<&[(FractionBox, f64)]> {
    let after = frames.partition_point(|(at, _)| *at < seconds);
    let around = &frames[after.saturating_sub(1)..frames.len().min(after + 1)];
    let near = around.iter().map(|frame| ((frame.0 - seconds).abs(), frame));
    let (_, (_, faces)) =
        near.filter(|(apart, _)| *apart <= max_seconds).min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(faces)
}

/// The face that overlaps `bbox` most, the first one of several: its overlap and its score.
fn most_overlapping(faces: &[(FractionBox, f64)], bbox: FractionBox) -> Option<(f64, f64)> {
    let overlaps = faces.iter().map(|(other, score)| (other.iou(bbox), *score));
    overlaps.reduce(|best, next| if next.0 > best.0 { next } else { best })
}
