//! `locutor eval`: predictions against labels, as a table or JSON.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::terminal::{fail, note, print, print_json};
use crate::core::exit::Exit;
use crate::eval::bootstrap::Interval;
use crate::eval::labels::{TableError, read_labels, read_predictions};
use crate::eval::matching::MatchRules;
use crate::eval::{EvalRules, Evaluation, evaluate};

/// `locutor eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Labelled faces, as AVA-ActiveSpeaker CSV.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub labels: Vec<PathBuf>,
    /// Predicted faces with a column `score`, as --ava-csv writes them; several files are one set.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub predictions: Vec<PathBuf>,
    /// Minimum overlap of a labelled and a predicted box of the same face, 0 to 1.
    #[arg(long, value_name = "IOU", default_value_t = 0.5, value_parser = share)]
    pub min_iou: f64,
    /// Maximum time in seconds between the two.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.021, value_parser = seconds)]
    pub max_dt: f64,
    /// A score above it is called speaking, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = share)]
    pub threshold: f64,
    /// Draws of a bootstrap over videos, for 90 % intervals; 0 draws none, 1000 is usual.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub bootstrap: usize,
    /// Seed of the bootstrap: the same seed gives the same intervals.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print the figures as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|v| (0.0..=1.0).contains(v));
    share.ok_or_else(|| "write a number between 0 and 1".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|v| (0.0..=f64::MAX).contains(v));
    seconds.ok_or_else(|| "write seconds, 0 or more".to_owned())
}

/// Runs `locutor eval`.
pub(crate) fn eval(args: &EvalArgs) -> Exit {
    let evaluation = match evaluate_files(args) {
        Ok(evaluation) => evaluation,
        Err(error) => return fail(error.exit(), error),
    };
    note_unpredicted(&evaluation.unpredicted);
    if args.json { print_json(&evaluation) } else { print(&table(&evaluation)) }
}

fn evaluate_files(args: &EvalArgs) -> Result<Evaluation, TableError> {
    let mut labels = Vec::new();
    for path in &args.labels {
        labels.append(&mut read_labels(path)?);
    }
    let mut predictions = Vec::new();
    for path in &args.predictions {
        predictions.append(&mut read_predictions(path)?);
    }
    let rules = EvalRules {
        matching: MatchRules { min_iou: args.min_iou, max_seconds: args.max_dt },
        threshold: args.threshold,
        draws: args.bootstrap,
        seed: args.seed,
    };
    Ok(evaluate(&labels, &predictions, rules))
}

/// A video without predictions counts as missed. Often its name is only misspelt.
fn note_unpredicted(videos: &[String]) {
    let Some(first) = videos.first() else { return };
    note(format!(
        "{} labelled {} no prediction and {} as missed, {first} first; video_id must be the same \
         in both tables (--ava-csv writes the recording's name without its extension)",
        videos.len(),
        if videos.len() == 1 { "video has" } else { "videos have" },
        if videos.len() == 1 { "counts" } else { "count" },
    ));
}

/// The figures as text.
fn table(evaluation: &Evaluation) -> String {
    let heads = ["group", "frames", "matched", "pos", "AP", "AUC", "acc"];
    let [group, frames, matched, pos, ap, auc, acc] = heads;
    let mut out = format!(
        "{group:6} {frames:>7} {matched:>8} {pos:>5} {ap:>6} {auc:>6} {acc:>6}  \
         called speaking: audible / dubbed lips / silent\n"
    );
    for (name, found) in &evaluation.groups {
        let f = &found.metrics;
        let called = f.called_speaking;
        let called = [called.audible, called.not_audible, called.silent].map(|v| figure(v, 2));
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{name:6} {:7} {:8.3} {:5.2} {:>6} {:>6} {:6.3}  {}",
            f.frames,
            f.matched,
            f.positives,
            figure(f.ap, 3),
            figure(f.auc, 3),
            f.accuracy,
            called.join(" / "),
        );
    }
    if evaluation.groups.iter().any(|(_, found)| found.interval_90.is_some()) {
        out.push('\n');
        out.push_str(&intervals(evaluation));
    }
    out
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "  - ".into(), |v| format!("{v:.digits$}"))
}

fn intervals(evaluation: &Evaluation) -> String {
    let range = |interval: Option<Interval>| {
        interval.map_or_else(|| "-".into(), |[low, high]| format!("{low:.3}..{high:.3}"))
    };
    let [group, videos, ap, auc, acc] = ["group", "videos", "AP", "AUC", "acc"];
    let mut out = format!("{group:6} {videos:>7} {ap:>13} {auc:>13} {acc:>13}  90 % of draws\n");
    for (name, found) in &evaluation.groups {
        let Some(found) = &found.interval_90 else { continue };
        let _ = writeln!(
            out,
            "{name:6} {:7} {:>13} {:>13} {:>13}",
            found.videos,
            range(found.ap),
            range(found.auc),
            range(found.accuracy),
        );
    }
    out
}
