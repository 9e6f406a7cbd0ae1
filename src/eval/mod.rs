//! Predictions against labels: how often a model is right about who speaks.
//!
//! Takes labelled and predicted faces ([`labels`]), finds which predicted face is which labelled
//! one ([`matching`]), and gives figures ([`metrics`]) for each group of videos, with an interval
//! over videos ([`bootstrap`]) where one is asked for. Pure: nothing here needs media or inference.
//!
//! Groups follow the names of composites, `KIND__PERSON` or `KIND__PERSON__PERSON`; the group
//! `all` holds every video, whatever its name.

pub mod bootstrap;
pub mod labels;
pub mod matching;
pub mod metrics;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use bootstrap::{Interval, draws, interval_90};
use labels::{LabelledFace, PredictedFace};
use matching::{MatchRules, ScoredFace, match_faces};
use metrics::{EvalMetrics, RankedFaces};

/// The groups: a name, and the kinds of composites in it; no kinds stand for every video.
const GROUPS: [(&str, &[&str]); 7] = [
    ("turn", &["sbsturn"]),
    ("both", &["sbsboth"]),
    ("dub", &["own", "dub"]),
    ("shift", &["own", "shift"]),
    ("mute", &["own", "mute"]),
    ("own", &["own"]),
    ("all", &[]),
];

/// How predictions are judged.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EvalRules {
    /// When two faces are the same.
    pub matching: MatchRules,
    /// A score above it is called speaking.
    pub threshold: f64,
    /// Draws of the bootstrap; 0 for no intervals.
    pub draws: usize,
    /// Its seed.
    pub seed: u64,
}

/// A group's figures.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct GroupMetrics {
    /// The figures.
    #[serde(flatten)]
    pub metrics: EvalMetrics,
    /// How far the luck of the draw could move them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_90: Option<Intervals>,
}

/// 90 % bootstrap intervals over videos; `None` where a figure means nothing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Intervals {
    /// Videos that were drawn from; those that differ in kind only (`own__A`, `dub__A`) are drawn
    /// together.
    pub videos: usize,
    /// Of the average precision.
    pub ap: Option<Interval>,
    /// Of the area under the ROC curve.
    pub auc: Option<Interval>,
    /// Of the accuracy.
    pub accuracy: Option<Interval>,
}

/// The figures of all groups that have a labelled face, in a fixed order; serialises as a map.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// Name and figures.
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

/// Judges `predictions` by `labels`.
pub fn evaluate(
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
    let silent = labelled.into_iter().filter(|video| !predicted.contains(video));
    Evaluation { groups, unpredicted: silent.map(str::to_owned).collect() }
}

/// What a composite is: its name's first part.
fn kind(video: &str) -> &str {
    video.split("__").next().unwrap_or(video)
}

/// Whom a composite shows: its name without the kind. Composites of the same people are not
/// independent of each other, so a bootstrap draws them together.
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
        // A draw may hold no positive: it says nothing of the figures that need one.
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
