//! The figures, as values and as text.

use std::fmt::Write as _;

use serde::Serialize;

use super::rate::Rate;
use crate::models::explain::Mode;

/// Both rates at one batch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BatchFigures {
    /// Faces at once.
    pub batch: usize,
    /// Number of streams with these faces.
    pub streams: usize,
    /// The bare engine.
    pub bare: Rate,
    /// From frames in memory to verdicts.
    pub end_to_end: Rate,
    /// Number of heatmaps made.
    pub heatmaps: usize,
    /// The end-to-end rate as a share of the package's ceiling.
    pub share_of_ceiling: f64,
}

/// A package's figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PackageFigures {
    /// The package.
    pub package: String,
    /// The explain mode of the heatmaps.
    pub explain: Mode,
    /// Whether the GPU replayed the bare engine's calls (CUDA graphs).
    pub replayed: bool,
    /// Whether the bare engine's host memory was page-locked.
    pub pinned: bool,
    /// The bare engine's best rate over all batches, in face-frames per second.
    pub ceiling: f64,
    /// The best end-to-end rate, in face-frames per second.
    pub best: f64,
    /// The best end-to-end rate as a share of the ceiling.
    pub share_of_ceiling: f64,
    /// The batches, in the order given.
    pub batches: Vec<BatchFigures>,
    /// Why batches are missing, if any are.
    pub problem: Option<String>,
}

impl PackageFigures {
    /// From the measured batches; computes the shares.
    pub(crate) fn new(
        package: String,
        explain: Mode,
        (replayed, pinned): (bool, bool),
        mut batches: Vec<BatchFigures>,
    ) -> Self {
        let best_rate = |rate: fn(&BatchFigures) -> &Rate| {
            let rates = batches.iter().map(|b| rate(b).face_frames_per_second);
            rates.fold(0.0, f64::max)
        };
        let (ceiling, best) = (best_rate(|b| &b.bare), best_rate(|b| &b.end_to_end));
        for batch in &mut batches {
            batch.share_of_ceiling = share(batch.end_to_end.face_frames_per_second, ceiling);
        }
        let share_of_ceiling = share(best, ceiling);
        let problem = None;
        Self {
            package,
            explain,
            replayed,
            pinned,
            ceiling,
            best,
            share_of_ceiling,
            batches,
            problem,
        }
    }
}

fn share(rate: f64, ceiling: f64) -> f64 {
    rate / ceiling.max(1e-9)
}

/// A whole measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Throughput {
    /// The provider that ran inference.
    pub device: String,
    /// Frames of a face per call.
    pub frames_per_call: usize,
    /// The packages, in the order given.
    pub packages: Vec<PackageFigures>,
}

impl Throughput {
    /// The figures as text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for p in &self.packages {
            let yes = |yes: bool| if yes { "" } else { "no " };
            let _ = writeln!(
                text,
                "{} on {}: face-frames a second and ms a call, {} frames of a face a call, \
                 heatmaps {} ({}CUDA graphs, {}page-locked memory)",
                p.package,
                self.device,
                self.frames_per_call,
                p.explain.name(),
                yes(p.replayed),
                yes(p.pinned),
            );
            let _ = writeln!(
                text,
                "faces {:>10} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8} {:>8} {:>8} {:>8}",
                "bare", "p50", "p95", "p99", "streams", "end to end", "p50", "p95", "p99", "share"
            );
            for b in &p.batches {
                let (bare, whole) = (&b.bare, &b.end_to_end);
                let _ = writeln!(
                    text,
                    "{:5} {:10.0} {:8.2} {:8.2} {:8.2} {:8} {:10.0} {:8.2} {:8.2} {:8.2} {:8.2}",
                    b.batch,
                    bare.face_frames_per_second,
                    bare.p50_ms,
                    bare.p95_ms,
                    bare.p99_ms,
                    b.streams,
                    whole.face_frames_per_second,
                    whole.p50_ms,
                    whole.p95_ms,
                    whole.p99_ms,
                    b.share_of_ceiling,
                );
            }
            if let Some(problem) = &p.problem {
                let _ = writeln!(text, "stopped early: {problem}");
            }
            let (best, ceiling, share) = (p.best, p.ceiling, p.share_of_ceiling);
            let _ = writeln!(text, "end to end at best {best:.0} of {ceiling:.0}: {share:.2}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn shares_are_of_the_best_bare_rate_over_all_batches() {
        let rate = |face_frames| Rate::new(vec![], face_frames, Duration::from_secs(1));
        let batch = |batch, bare, whole| BatchFigures {
            batch,
            streams: 1,
            bare: rate(bare),
            end_to_end: rate(whole),
            heatmaps: whole,
            share_of_ceiling: 0.0,
        };
        let batches = vec![batch(1, 100, 90), batch(4, 400, 200), batch(8, 300, 320)];
        let p = PackageFigures::new("p".into(), Mode::Paper, (true, false), batches);
        assert!((p.ceiling - 400.0).abs() < 1e-9 && (p.best - 320.0).abs() < 1e-9);
        assert!((p.share_of_ceiling - 0.8).abs() < 1e-9);
        let shares: Vec<f64> = p.batches.iter().map(|b| b.share_of_ceiling).collect();
        for (share, expected) in shares.iter().zip([0.225, 0.5, 0.8]) {
            assert!((share - expected).abs() < 1e-9, "{shares:?}");
        }
        let all = Throughput { device: "cuda:0".into(), frames_per_call: 5, packages: vec![p] };
        let text = all.to_text();
        assert!(text.starts_with("p on cuda:0: "), "{text}");
        assert!(text.contains("(CUDA graphs, no page-locked memory)"), "{text}");
        assert!(text.ends_with("end to end at best 320 of 400: 0.80\n\n"), "{text}");
        let none = PackageFigures::new("p".into(), Mode::Paper, (true, true), Vec::new());
        assert!(none.share_of_ceiling.abs() < 1e-9);
    }
}
