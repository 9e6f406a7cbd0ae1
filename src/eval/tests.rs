//! The metrics compared with plain, slow implementations and with known results.

use std::sync::Arc;

use proptest::prelude::*;

use super::labels::{FractionBox, Label, LabelledFace, PredictedFace};
use super::matching::{MatchRules, ScoredFace, match_faces};
use super::metrics::RankedFaces;
use super::{EvalRules, Evaluation, evaluate};

const RULES: EvalRules = EvalRules {
    matching: MatchRules { min_iou: 0.5, max_seconds: 0.021 },
    threshold: 0.5,
    draws: 0,
    seed: 0,
};

fn bbox(x1: f64, y1: f64, side: f64) -> FractionBox {
    FractionBox { x1, y1, x2: x1 + side, y2: y1 + side }
}

fn labelled(video: &str, seconds: f64, bbox: FractionBox, label: Label) -> LabelledFace {
    LabelledFace { video: video.into(), seconds, bbox, label }
}

fn predicted(video: &str, seconds: f64, bbox: FractionBox, score: f64) -> PredictedFace {
    PredictedFace { video: video.into(), seconds, bbox, score }
}

/// A scored face each, with scores on a coarse grid so that many are equal.
fn scored() -> impl Strategy<Value = Vec<ScoredFace>> {
    let one =
        (0_usize..3, 0_u32..6, any::<bool>(), 0_usize..4).prop_map(|(l, s, m, v)| ScoredFace {
            video: Arc::from(format!("v{v}")),
            label: Label::ALL[l],
            score: if m { f64::from(s) / 5.0 } else { 0.0 },
            matched: m,
        });
    prop::collection::vec(one, 1..60)
}

/// Precision and recall at every threshold, then the best precision at that recall or a higher one.
fn slow_ap(faces: &[(f64, bool)]) -> Option<f64> {
    let positives = faces.iter().filter(|f| f.1).count() as f64;
    let at = |threshold: f64| {
        let called = faces.iter().filter(|f| f.0 >= threshold);
        let right = called.clone().filter(|f| f.1).count() as f64;
        (right / positives, right / called.count() as f64)
    };
    let mut points: Vec<_> = faces.iter().map(|f| at(f.0)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
    let best =
        |recall: f64| points.iter().filter(|p| p.0 >= recall).map(|p| p.1).fold(0.0, f64::max);
    let mut before = 0.0;
    let mut sum = 0.0;
    for (recall, _) in &points {
        sum += (recall - before) * best(*recall);
        before = *recall;
    }
    (positives > 0.0).then_some(sum)
}

/// The share of pairs of a positive and a negative that are in the right order.
fn slow_auc(faces: &[(f64, bool)]) -> Option<f64> {
    let mut pairs = Vec::new();
    for positive in faces.iter().filter(|f| f.1) {
        for negative in faces.iter().filter(|f| !f.1) {
            pairs.push(match positive.0.total_cmp(&negative.0) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            });
        }
    }
    (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64)
}

/// Compares every prediction with every label.
fn slow_match(label: &LabelledFace, all: &[PredictedFace], rules: MatchRules) -> Option<f64> {
    let own: Vec<_> = all.iter().filter(|p| p.video == label.video).collect();
    let apart = |p: &PredictedFace| (p.seconds - label.seconds).abs();
    let min_distance = own.iter().map(|p| apart(p)).fold(f64::INFINITY, f64::min);
    let time =
        own.iter().filter(|p| apart(p) == min_distance).map(|p| p.seconds).reduce(f64::min)?;
    let mut best: Option<(f64, f64)> = None;
    for face in own.iter().filter(|p| p.seconds == time && min_distance <= rules.max_seconds) {
        let overlap = face.bbox.iou(label.bbox);
        if best.is_none_or(|b| overlap > b.0) {
            best = Some((overlap, face.score));
        }
    }
    best.filter(|b| b.0 >= rules.min_iou).map(|b| b.1)
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-9,
        (a, b) => a.is_none() && b.is_none(),
    }
}

proptest! {
    #[test]
    fn metrics_equal_their_definitions(faces in scored()) {
        let pairs: Vec<_> = faces.iter().map(|f| (f.score, f.label == Label::Audible)).collect();
        let found = RankedFaces::new(&faces).metrics(0.5, |_| 1).expect("there are faces");
        prop_assert!(close(found.ap, slow_ap(&pairs)), "{:?} {:?}", found.ap, slow_ap(&pairs));
        prop_assert!(close(found.auc, slow_auc(&pairs)), "{:?} {:?}", found.auc, slow_auc(&pairs));
        let right = pairs.iter().filter(|(s, y)| (*s > 0.5) == *y).count();
        prop_assert!((found.accuracy - right as f64 / pairs.len() as f64).abs() < 1e-12);
    }

    #[test]
    fn a_weight_equals_copies(faces in scored(), weights in prop::collection::vec(0_u64..4, 60)) {
        let ranked = RankedFaces::new(&faces);
        let weighed = ranked.metrics(0.4, |i| weights[i]);
        let copies = ranked.faces().iter().zip(&weights).flat_map(|(f, n)| vec![*f; *n as usize]);
        let copies: Vec<_> = copies.collect();
        let copied = RankedFaces::new(copies).metrics(0.4, |_| 1);
        prop_assert_eq!(weighed.is_some(), copied.is_some());
        if let (Some(a), Some(b)) = (weighed, copied) {
            prop_assert_eq!((a.frames, a.matched, a.accuracy), (b.frames, b.matched, b.accuracy));
            prop_assert!(close(a.ap, b.ap) && close(a.auc, b.auc));
            prop_assert_eq!(a.called_speaking, b.called_speaking);
        }
    }

    #[test]
    fn matching_equals_an_exhaustive_search(
        labels in prop::collection::vec((0_u32..2, 0_u32..40, 0_u32..4), 1..20),
        predictions in prop::collection::vec((0_u32..2, 0_u32..40, 0_u32..4, 0_u32..100), 0..60),
    ) {
        let spot = |p: u32| bbox(f64::from(p) * 0.05, 0.1, 0.2);
        let name = |v: u32| format!("v{v}");
        let seconds = |t: u32| f64::from(t) * 0.01;
        let labels: Vec<_> = labels
            .iter()
            .map(|(v, t, p)| labelled(&name(*v), seconds(*t), spot(*p), Label::Audible))
            .collect();
        let predictions: Vec<_> = predictions
            .iter()
            .map(|(v, t, p, s)| predicted(&name(*v), seconds(*t), spot(*p), f64::from(*s) / 100.0))
            .collect();
        let found = match_faces(&labels, &predictions, RULES.matching);
        for (label, scored) in labels.iter().zip(&found) {
            let slow = slow_match(label, &predictions, RULES.matching);
            prop_assert_eq!(scored.matched.then_some(scored.score), slow);
            prop_assert!(scored.matched || scored.score == 0.0);
        }
    }
}

fn names(evaluation: &Evaluation) -> Vec<&'static str> {
    evaluation.groups.iter().map(|(name, _)| *name).collect()
}

#[test]
fn groups_follow_the_composites_names() {
    let here = bbox(0.1, 0.1, 0.3);
    let label = |video| labelled(video, 0.0, here, Label::Audible);
    let groups = |video| names(&evaluate(&[label(video)], &[], RULES));
    assert_eq!(groups("own__ada"), ["dub", "shift", "mute", "own", "all"]);
    assert_eq!(groups("sbsturn__ada__bob"), ["turn", "all"]);
    assert_eq!(groups("meeting"), ["all"]);
    assert_eq!(groups("meeting__2024"), ["all"]);
}

#[test]
fn an_undetected_face_is_a_missed_speaker() {
    let here = bbox(0.1, 0.1, 0.3);
    let labels = [
        labelled("a", 0.0, here, Label::Audible),
        labelled("a", 0.04, here, Label::Silent),
        labelled("b", 0.0, here, Label::NotAudible),
    ];
    let predictions = [predicted("a", 0.0, bbox(0.6, 0.6, 0.3), 0.9)];
    let found = evaluate(&labels, &predictions, RULES);
    let metrics = &found.groups[0].1.metrics;
    assert_eq!((metrics.frames, metrics.matched), (3, 0.0));
    // One step with everything in it.
    assert!(close(metrics.ap, Some(1.0 / 3.0)) && close(metrics.auc, Some(0.5)));
    assert!(close(Some(metrics.accuracy), Some(2.0 / 3.0)));
    assert_eq!(found.unpredicted, ["b"]);
    let json = serde_json::to_value(&found).expect("a map");
    assert_eq!(json["all"]["called_speaking"]["SPEAKING_AUDIBLE"], 0.0);
    assert!(json["all"].get("interval_90").is_none());
}

#[test]
fn intervals_come_from_whole_videos() {
    let here = bbox(0.1, 0.1, 0.3);
    let (mut labels, mut predictions) = (Vec::new(), Vec::new());
    for video in 0..12 {
        for tick in 0..40 {
            let (id, at) = (format!("v{video}"), f64::from(tick) * 0.04);
            let speaks = tick % 2 == 0;
            // In three of the twelve videos the prediction is inverted.
            let score = if speaks == (video % 4 != 0) { 0.9 } else { 0.1 };
            labels.push(labelled(
                &id,
                at,
                here,
                if speaks { Label::Audible } else { Label::Silent },
            ));
            predictions.push(predicted(&id, at, here, score));
        }
    }
    let rules = EvalRules { draws: 2_000, seed: 4, ..RULES };
    let found = evaluate(&labels, &predictions, rules);
    assert_eq!(found, evaluate(&labels, &predictions, rules));
    let intervals = found.groups[0].1.interval_90.clone().expect("asked for");
    assert_eq!(intervals.videos, 12);
    let [low, high] = intervals.accuracy.expect("always there");
    // The standard error of 3 in 12 is .125, and the accuracy is a multiple of 1/12.
    assert!((0.50..=0.585).contains(&low) && (0.9..=0.92).contains(&high), "{low} {high}");
}

#[test]
fn composites_of_the_same_people_are_drawn_together() {
    let here = bbox(0.1, 0.1, 0.3);
    let videos = ["own__ada", "dub__ada", "own__bob", "dub__bob"];
    let labels = videos.map(|video| labelled(video, 0.0, here, Label::Audible));
    let found = evaluate(&labels, &[], EvalRules { draws: 10, ..RULES });
    let of = |name| found.groups.iter().find(|g| g.0 == name).expect("is there").1.clone();
    assert_eq!(of("dub").interval_90.expect("asked for").videos, 2);
    assert_eq!(of("all").interval_90.expect("asked for").videos, 2);
}
