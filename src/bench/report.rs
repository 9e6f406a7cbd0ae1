//! The measurements, as values and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::graph_times::{GraphTimes, HEAD_HOP};
use super::resource_usage::ResourceUsage;
use super::threads::StageSeconds;
use crate::onnx::stats::{GraphKind, GraphStats};

/// Source frames per detection in the floor's recipe.
const FRAMES_PER_DETECTION: f64 = 5.0;

/// The contents of the clip.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ClipCounts {
    /// Number of source frames.
    pub frames: u64,
    /// Number of ticks of 40 ms.
    pub ticks: u64,
    /// Number of faces, summed over source frames.
    pub face_frames: u64,
    /// Number of faces, summed over ticks.
    pub face_ticks: u64,
    /// Length in seconds.
    pub media_seconds: f64,
}

impl ClipCounts {
    /// CPU seconds of the bare graphs for the clip.
    pub(crate) fn bare_cpu_seconds(&self, bare: &GraphTimes) -> f64 {
        let ms = self.frames as f64 / FRAMES_PER_DETECTION * bare.detection_ms
            + self.face_ticks as f64 * (bare.face_ms + bare.head_ms / HEAD_HOP as f64)
            + self.ticks as f64 * bare.audio_ms;
        ms / 1_000.0
    }
}

/// One measurement of a package.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The whole path.
    pub run: ResourceUsage,
    /// The graphs alone.
    pub bare: GraphTimes,
    /// Wall time of the whole path, as it reports it.
    pub wall_seconds: f64,
    /// CPU seconds of the whole path without heatmaps.
    pub without_heat: f64,
    /// The whole path's CPU seconds by stage.
    pub stages: Vec<StageSeconds>,
    /// Counts of inference calls.
    pub inference: BTreeMap<GraphKind, GraphStats>,
}

/// A package's figures: medians over the repeats; ratios are taken within a repeat.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PackageReport {
    /// The package.
    pub package: String,
    /// The contents of the clip, as this run counted them.
    pub counts: ClipCounts,
    /// CPU seconds of the whole path.
    pub cpu_seconds: f64,
    /// Wall time in seconds.
    pub wall_seconds: f64,
    /// Media seconds per second.
    pub times_real_time: f64,
    /// Peak resident memory in MB, including what earlier runs in this process left behind:
    /// `locutor annotate --stats` reports it for one run.
    pub peak_mb: f64,
    /// CPU seconds of the bare graphs.
    pub bare_cpu_seconds: f64,
    /// The whole path's CPU seconds over the floor's.
    pub overhead: f64,
    /// Wall time over CPU seconds per core; 1 if all cores are busy all the time.
    pub wall_over_cores: f64,
    /// CPU seconds with heatmaps over CPU seconds without.
    pub heat_over_none: f64,
    /// CPU seconds by stage, of the last repeat.
    pub stages: Vec<StageSeconds>,
    /// Counts of inference calls, of the last repeat.
    pub inference: BTreeMap<GraphKind, GraphStats>,
    /// One face-frame through face encoder and head, in ms on one thread.
    pub face_frame_ms: f64,
    /// Times of the bare graphs, of the last repeat.
    pub bare: Option<GraphTimes>,
}

impl PackageReport {
    /// From the samples of all repeats and their transcodes.
    pub(crate) fn new(
        package: String,
        counts: ClipCounts,
        transcodes: &[ResourceUsage],
        samples: &[Sample],
    ) -> Self {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let bare = |s: &Sample| counts.bare_cpu_seconds(&s.bare);
        let overheads = samples
            .iter()
            .zip(transcodes)
            .map(|(s, t)| s.run.cpu_seconds / (t.cpu_seconds + bare(s)).max(1e-9));
        let wall_seconds = of(|s| s.wall_seconds);
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let last = samples.last();
        Self {
            package,
            counts,
            cpu_seconds: of(|s| s.run.cpu_seconds),
            wall_seconds,
            times_real_time: counts.media_seconds / wall_seconds.max(1e-9),
            peak_mb: of(|s| s.run.peak_bytes as f64 / 1e6),
            bare_cpu_seconds: median(samples.iter().map(bare)),
            overhead: median(overheads),
            face_frame_ms: of(|s| s.bare.face_ms + s.bare.head_ms / HEAD_HOP as f64),
            wall_over_cores: median(
                samples.iter().map(|s| s.wall_seconds * cores / s.run.cpu_seconds.max(1e-9)),
            ),
            heat_over_none: of(|s| s.run.cpu_seconds / s.without_heat.max(1e-9)),
            stages: last.map(|s| s.stages.clone()).unwrap_or_default(),
            inference: last.map(|s| s.inference.clone()).unwrap_or_default(),
            bare: last.map(|s| s.bare),
        }
    }
}

/// A whole measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The recording.
    pub clip: String,
    /// Number of repeats.
    pub repeats: usize,
    /// The detector package.
    pub detector: String,
    /// CPU seconds of decode → encode → mux with nothing in between.
    pub transcode_cpu_seconds: f64,
    /// The packages, in the order given.
    pub packages: Vec<PackageReport>,
}

impl Report {
    /// The figures as text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!(
            "{}, median of {}\n{:8.2}  CPU s to decode, encode and mux alone\n",
            self.clip, self.repeats, self.transcode_cpu_seconds
        );
        let first = self.packages.first().map_or(1.0, |p| p.face_frame_ms);
        for p in &self.packages {
            let _ = writeln!(
                text,
                "\n{} with {}: {} frames, {} face-frames, {:.1} s",
                p.package,
                self.detector,
                p.counts.frames,
                p.counts.face_frames,
                p.counts.media_seconds
            );
            let rows = [
                (p.cpu_seconds, "CPU s, the whole path".to_owned()),
                (p.bare_cpu_seconds, "CPU s of the bare graphs that the clip needs".to_owned()),
                (p.overhead, "× the floor (transcode + bare graphs)".to_owned()),
                (p.wall_over_cores, "× the time that all cores need together".to_owned()),
                (p.heat_over_none, "× the CPU s without heatmaps".to_owned()),
                (p.times_real_time, format!("× real time ({:.2} s)", p.wall_seconds)),
                (p.peak_mb, "MB peak resident, including earlier runs".to_owned()),
            ];
            for (value, what) in rows {
                let _ = writeln!(text, "{value:8.2}  {what}");
            }
            let ratio = p.face_frame_ms / first.max(1e-9);
            let _ = writeln!(
                text,
                "{:8.3}  ms a face-frame, face and head, one thread ({ratio:.2} × the first)",
                p.face_frame_ms
            );
            p.details(&mut text);
        }
        text
    }
}

impl PackageReport {
    /// Adds stages and graphs of the last repeat to `text`.
    fn details(&self, text: &mut String) {
        if let Some(bare) = &self.bare {
            let _ = writeln!(
                text,
                "          detection {:.2} ms, face {:.3} ms, audio {:.3} ms a tick, head {:.3} ms \
                 a call",
                bare.detection_ms, bare.face_ms, bare.audio_ms, bare.head_ms
            );
        }
        for s in &self.stages {
            let _ = writeln!(text, "{:8.2}  CPU s, {}", s.cpu_seconds, s.stage);
        }
        for (graph, count) in self.inference.iter().filter(|(_, count)| count.calls > 0) {
            let _ = writeln!(text, "{}", count.summary(*graph));
        }
    }
}

/// The median; NaN without values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH_TIMES: GraphTimes =
        GraphTimes { detection_ms: 2.0, face_ms: 1.0, audio_ms: 0.5, head_ms: 5.0 };

    fn usage(cpu_seconds: f64) -> ResourceUsage {
        ResourceUsage { cpu_seconds, peak_bytes: 3_000_000 }
    }

    #[test]
    fn the_floor_counts_what_the_clip_needs() {
        let counts = ClipCounts {
            frames: 500,
            ticks: 400,
            face_frames: 1_000,
            face_ticks: 800,
            media_seconds: 16.0,
        };
        // 100 detections, 800 faces, 160 heads, 400 ticks of audio.
        let expected = 0.2 + 0.8 + 0.8 + 0.2;
        assert!((counts.bare_cpu_seconds(&GRAPH_TIMES) - expected).abs() < 1e-9);
        let sample = |cpu| Sample {
            run: usage(cpu),
            bare: GRAPH_TIMES,
            wall_seconds: 4.0,
            without_heat: cpu / 1.5,
            stages: Vec::new(),
            inference: BTreeMap::new(),
        };
        let report = PackageReport::new(
            "p".into(),
            counts,
            &[usage(2.0), usage(8.0), usage(2.0)],
            &[sample(4.0), sample(20.0), sample(5.0)],
        );
        // 4 / 4, 20 / 10, 5 / 4: ratios within a repeat, then the median.
        assert!((report.overhead - 1.25).abs() < 1e-9, "{report:?}");
        assert!((report.times_real_time - 4.0).abs() < 1e-9);
        assert!((report.face_frame_ms - 2.0).abs() < 1e-9);
        assert!((report.heat_over_none - 1.5).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median([4.0, 1.0, 3.0, 2.0].into_iter()) - 2.5).abs() < 1e-12);
        assert!(median(std::iter::empty()).is_nan());
    }
}
