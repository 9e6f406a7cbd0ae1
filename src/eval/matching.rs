//! Matches predicted faces to labelled ones.
//!
//! Input: the faces of any number of videos in any order. Output: one [`ScoredFace`] for each
//! labelled face, in the labels' order. A labelled face matches the predicted face of the same
//! video, in the nearest predicted frame, that overlaps it most. A face without a match gets the
//! score 0, so an undetected face is a missed speaker.

use std::collections::HashMap;
use std::sync::Arc;

use super::labels::{FractionBox, Label, LabelledFace, PredictedFace};

/// The conditions for a match.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct MatchRules {
    /// Minimum intersection over union, 0..=1.
    pub min_iou: f64,
    /// Maximum seconds between label and prediction.
    pub max_seconds: f64,
}

impl Default for MatchRules {
    /// An IoU of 0.5, and half a frame at 25 frames a second.
    fn default() -> Self {
        Self { min_iou: 0.5, max_seconds: 0.021 }
    }
}

/// A labelled face with its predicted score.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ScoredFace {
    /// The video.
    pub video: Arc<str>,
    /// The label.
    pub label: Label,
    /// P(speaking), 0..=1; 0 if no face matched.
    pub score: f64,
    /// Whether a predicted face matched.
    pub matched: bool,
}

/// A video's predictions: frames sorted by time, each with its faces in input order.
type Frames = Vec<(f64, Vec<(FractionBox, f64)>)>;

/// Finds the predicted face of every labelled one.
pub(crate) fn match_faces(
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
        // The sort is stable: faces of one frame keep their order.
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

/// The faces of the frame nearest to `seconds`; of two equally near ones, the earlier.
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

/// The overlap and the score of the face that overlaps `bbox` most; the first one on a tie.
fn most_overlapping(faces: &[(FractionBox, f64)], bbox: FractionBox) -> Option<(f64, f64)> {
    let overlaps = faces.iter().map(|(other, score)| (other.iou(bbox), *score));
    overlaps.reduce(|best, next| if next.0 > best.0 { next } else { best })
}
