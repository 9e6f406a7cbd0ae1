//! The metrics of a set of scored faces: average precision, ROC AUC, accuracy.
//!
//! Each row counts an integer number of times ([`RankedFaces::metrics`] takes the weights), so that
//! a bootstrap's draws need no copy of the rows and no second sort. [`Label::Audible`] is positive;
//! every other label is negative, as in AVA.

use serde::Serialize;

use super::labels::Label;
use super::matching::ScoredFace;

/// The metrics of one group of videos. A metric is `None` if it is undefined: without positives, or
/// without negatives.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct EvalMetrics {
    /// Number of labelled faces.
    pub frames: u64,
    /// Share of labelled faces that a predicted face matched.
    pub matched: f64,
    /// Share of labelled faces that speak audibly.
    pub positives: f64,
    /// Average precision as in AVA's evaluation: precision made monotonic from the right and summed
    /// over the steps of recall; equal scores share a step.
    pub ap: Option<f64>,
    /// Area under the ROC curve; equal scores count half.
    pub auc: Option<f64>,
    /// Share of faces on the right side of the threshold.
    pub accuracy: f64,
    /// Share predicted as speaking, by label.
    pub called_speaking: CalledSpeaking,
}

/// Share of faces with a score above the threshold, by label; `None` if no face has the label.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct CalledSpeaking {
    /// Of faces that speak audibly.
    #[serde(rename = "SPEAKING_AUDIBLE")]
    pub audible: Option<f64>,
    /// Of faces whose lips speak while another voice is heard.
    #[serde(rename = "SPEAKING_NOT_AUDIBLE")]
    pub not_audible: Option<f64>,
    /// Of faces that do not speak.
    #[serde(rename = "NOT_SPEAKING")]
    pub silent: Option<f64>,
}

/// Scored faces sorted by score, highest first.
#[derive(Clone, Debug)]
pub(crate) struct RankedFaces<'a> {
    faces: Vec<&'a ScoredFace>,
}

/// Counts of positives and negatives in a run of faces.
#[derive(Clone, Copy, Default)]
struct LabelCounts {
    positives: u64,
    negatives: u64,
}

impl<'a> RankedFaces<'a> {
    /// Ranks `faces`.
    pub(crate) fn new(faces: impl IntoIterator<Item = &'a ScoredFace>) -> Self {
        let mut faces: Vec<&ScoredFace> = faces.into_iter().collect();
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { faces }
    }

    /// The faces, highest score first.
    pub(crate) fn faces(&self) -> &[&'a ScoredFace] {
        &self.faces
    }

    /// The metrics at `threshold`, where the face at index i counts `weight(i)` times; `None` if no
    /// face counts.
    pub(crate) fn metrics(
        &self,
        threshold: f64,
        weight: impl Fn(usize) -> u64,
    ) -> Option<EvalMetrics> {
        let mut steps: Vec<LabelCounts> = Vec::new();
        let (mut all, mut matched, mut correct) = (LabelCounts::default(), 0, 0);
        let mut called = [(0_u64, 0_u64); Label::ALL.len()];
        let mut last = f64::NAN;
        for (i, face) in self.faces.iter().enumerate() {
            let times = weight(i);
            let (speaks, predicted) = (face.label == Label::Audible, face.score > threshold);
            if face.score != last {
                steps.push(LabelCounts::default());
                last = face.score;
            }
            let step = steps.last_mut().into_iter().chain([&mut all]);
            step.for_each(|c| *(if speaks { &mut c.positives } else { &mut c.negatives }) += times);
            matched += u64::from(face.matched) * times;
            correct += u64::from(speaks == predicted) * times;
            let (yes, of) = &mut called[face.label as usize];
            *yes += u64::from(predicted) * times;
            *of += times;
        }
        let frames = all.positives + all.negatives;
        let [audible, not_audible, silent] = called.map(|(yes, of)| share(yes, of));
        Some(EvalMetrics {
            frames,
            matched: share(matched, frames)?,
            positives: share(all.positives, frames)?,
            ap: average_precision(&steps, all),
            auc: roc_auc(&steps, all),
            accuracy: share(correct, frames)?,
            called_speaking: CalledSpeaking { audible, not_audible, silent },
        })
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

fn average_precision(steps: &[LabelCounts], all: LabelCounts) -> Option<f64> {
    if all.positives == 0 {
        return None;
    }
    let (mut true_positives, mut called) = (0, 0);
    let mut points = Vec::with_capacity(steps.len());
    for step in steps {
        true_positives += step.positives;
        called += step.positives + step.negatives;
        // A draw may leave the first steps empty.
        let precision = share(true_positives, called).unwrap_or(0.0);
        points.push((step.positives as f64 / all.positives as f64, precision));
    }
    let mut best = 0.0_f64;
    let areas = points.iter().rev().map(|(recall_gained, precision)| {
        best = best.max(*precision);
        recall_gained * best
    });
    Some(areas.sum())
}

fn roc_auc(steps: &[LabelCounts], all: LabelCounts) -> Option<f64> {
    if all.positives == 0 || all.negatives == 0 {
        return None;
    }
    let mut above = 0;
    let mut sum = 0.0;
    for step in steps {
        let below = all.negatives - above - step.negatives;
        sum += step.positives as f64 * (below as f64 + step.negatives as f64 / 2.0);
        above += step.negatives;
    }
    Some(sum / (all.positives as f64 * all.negatives as f64))
}
