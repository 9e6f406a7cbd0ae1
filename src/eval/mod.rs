//! Evaluation: compares predictions with labels.
//!
//! Reads labelled and predicted faces ([`labels`]), matches them ([`matching`]), and computes
//! metrics ([`metrics`]) for each group of videos, with a bootstrap interval over videos
//! ([`bootstrap`]) if requested. Nothing here needs media or inference.
//!
//! Groups follow the names of composites, `KIND__PERSON` or `KIND__PERSON__PERSON`. The group
//! `all` holds every video.

pub(crate) mod bootstrap;
pub(crate) mod labels;
pub(crate) mod matching;
pub(crate) mod metrics;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use bootstrap::{Interval, draws, interval_90};
use labels::{LabelledFace, PredictedFace};
use matching::{MatchRules, ScoredFace, match_faces};
use metrics::{EvalMetrics, RankedFaces};

/// The groups: a name, and the kinds of composites in it. An empty list means every video.
const GROUPS: [(&str, &[&str]); 7] = [
    ("turn", &["sbsturn"]),
    ("both", &["sbsboth"]),
    ("dub", &["own", "dub"]),
    ("shift", &["own", "shift"]),
    ("mute", &["own", "mute"]),
    ("own", &["own"]),
    ("all", &[]),
];

/// The evaluation's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct EvalRules {
    /// The conditions for a match.
    pub matching: MatchRules,
    /// A score above it is predicted as speaking.
    pub threshold: f64,
    /// Number of bootstrap draws; 0 for no intervals.
    pub draws: usize,
    /// The bootstrap's seed.
    pub seed: u64,
}

/// A group's metrics.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct GroupMetrics {
    /// The metrics.
    #[serde(flatten)]
    pub metrics: EvalMetrics,
    /// Their bootstrap intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_90: Option<Intervals>,
}

/// 90 % bootstrap intervals over videos; `None` if a metric is undefined.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Intervals {
    /// Number of videos drawn from; videos that differ in kind only (`own__A`, `dub__A`) are drawn
    /// together.
    pub videos: usize,
    /// Of the average precision.
    pub ap: Option<Interval>,
    /// Of the area under the ROC curve.
    pub auc: Option<Interval>,
    /// Of the accuracy.
    pub accuracy: Option<Interval>,
}

/// The metrics of all groups that have a labelled face, in a fixed order; serialises as a map.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Evaluation {
    /// Name and metrics.
    pub groups: Vec<(&'static str, GroupMetrics)>,
    /// Labelled videos without a single prediction.
    pub unpredicted: Vec<String>,
}

impl Serialize for Evaluation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.groups.len()))?;
        self.groups.iter().try_for_each(|(name, metrics)| map.serialize_entry(name, metrics))?;
        map.end()
    }
}

/// Evaluates `predictions` against `labels`.
pub(crate) fn evaluate(
    labels: &[LabelledFace],
    predictions: &[PredictedFace],
    rules: EvalRules,
) -> Evaluation {
    let scored = match_faces(labels, predictions, rules.matching);
    let groups = GROUPS.iter().filter_map(|(name, kinds)| {
        let within = |face: &&ScoredFace| kinds.is_empty() || kinds.contains(&kind(&face.video));
        Some((*name, group(&RankedFaces::new(scored.iter().filter(within)), rules)?))
    });
    let groups = groups.collect();
    let predicted: std::collections::HashSet<&str> =
        predictions.iter().map(|face| &*face.video).collect();
    let labelled: std::collections::BTreeSet<&str> =
        labels.iter().map(|face| &*face.video).collect();
    let unpredicted = labelled.into_iter().filter(|video| !predicted.contains(video));
    Evaluation { groups, unpredicted: unpredicted.map(str::to_owned).collect() }
}

/// The kind of a composite: the first part of its name.
fn kind(video: &str) -> &str {
    video.split("__").next().unwrap_or(video)
}

/// The people in a composite: its name without the kind. Composites of the same people are not
/// independent, so a bootstrap draws them together.
fn people(video: &str) -> &str {
    match video.split_once("__") {
        Some((kind, people)) if GROUPS.iter().any(|(_, kinds)| kinds.contains(&kind)) => people,
        _ => video,
    }
}

fn group(ranked: &RankedFaces<'_>, rules: EvalRules) -> Option<GroupMetrics> {
    let metrics = ranked.metrics(rules.threshold, |_| 1)?;
    let interval_90 = (rules.draws > 0).then(|| intervals(ranked, rules));
    Some(GroupMetrics { metrics, interval_90 })
}

fn intervals(ranked: &RankedFaces<'_>, rules: EvalRules) -> Intervals {
    let mut numbers = BTreeMap::new();
    for face in ranked.faces() {
        numbers.insert(people(&face.video), 0);
    }
    numbers.values_mut().enumerate().for_each(|(i, number)| *number = i);
    let unit_of: Vec<usize> = ranked.faces().iter().map(|f| numbers[people(&f.video)]).collect();
    let (mut ap, mut auc, mut accuracy) = (Vec::new(), Vec::new(), Vec::new());
    for times in draws(numbers.len(), rules.draws, rules.seed) {
        // A draw without positives has no AP and no AUC.
        if let Some(drawn) = ranked.metrics(rules.threshold, |i| times[unit_of[i]]) {
            ap.extend(drawn.ap);
            auc.extend(drawn.auc);
            accuracy.push(drawn.accuracy);
        }
    }
    Intervals {
        videos: numbers.len(),
        ap: interval_90(ap),
        auc: interval_90(auc),
        accuracy: interval_90(accuracy),
    }
}

#[cfg(test)]
mod tests;
