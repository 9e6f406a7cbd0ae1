//! `--stats`: the CPU time of each stage of a recording's run, as text.

use std::fmt::Write as _;

use crate::bench::resource_usage::peak_bytes;
use crate::bench::threads::CpuByThread;
use crate::run::Report;

/// CPU time by stage, largest first, and the calls of inference.
pub(super) fn table(cpu: &CpuByThread, report: &Report) -> String {
    let stages = cpu.stages();
    let total: f64 = stages.iter().map(|s| s.cpu_seconds).sum();
    let mut text = String::from("CPU seconds by stage\n");
    for s in stages {
        let share = 100.0 * s.cpu_seconds / total.max(1e-9);
        let _ = writeln!(text, "{:8.2}  {share:4.0} %  {}", s.cpu_seconds, s.stage);
    }
    let _ = writeln!(text, "graph calls");
    for (graph, count) in report.inference.iter().filter(|(_, count)| count.calls > 0) {
        let _ = writeln!(text, "{}", count.summary(*graph));
    }
    if report.pixels.frames > 0 {
        let _ = writeln!(
            text,
            "{:8.2}  whole frames copied or converted for each annotated frame",
            report.pixels.per_frame()
        );
    }
    let _ = writeln!(
        text,
        "{total:8.2}  in total, {:.2} s of CPU a second of recording",
        total / report.media_seconds.max(1e-9)
    );
    let _ = writeln!(text, "{:8.0}  MB resident at peak", peak_bytes() as f64 / 1e6);
    text
}
