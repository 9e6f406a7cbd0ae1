//! `--stats`: CPU seconds by stage, read from the kernel's accounts of each thread.
//!
//! Threads are named after their stages; those that a library starts inherit the name of the
//! thread that started them, so decoder and encoder show up under their streaming threads. Sampled
//! while the run goes on, as a thread's account is gone with the thread.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use crate::run::Report;

/// The latest account of every thread seen.
#[derive(Default)]
pub struct CpuByThread {
    seen: Mutex<BTreeMap<i32, (String, f64)>>,
}

/// Which stage a thread works for, by the start of its name.
const STAGES: [(&str, &str); 14] = [
    ("source", "source (frames on both lanes)"),
    ("multiqueue", "decode (pictures and sound)"),
    ("queue", "decode and mux queues"),
    ("typefind", "demux"),
    ("qtdemux", "demux"),
    ("sound", "source (sound)"),
    ("packets", "source (stored sound)"),
    ("track", "detect and track (without inference)"),
    ("engine", "inference (detector, encoders, head)"),
    ("score", "features, score and explain (without inference)"),
    ("overlay", "overlay and records"),
    ("pictures", "encode"),
    ("progress", "progress"),
    ("locutor", "main"),
];

impl CpuByThread {
    /// Reads every thread's account.
    pub fn sample(&self) {
        let Ok(process) = procfs::process::Process::myself() else { return };
        let Ok(tasks) = process.tasks() else { return };
        let ticks = procfs::ticks_per_second() as f64;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.flatten() {
            if let Ok(stat) = task.stat() {
                let seconds = (stat.utime + stat.stime) as f64 / ticks;
                seen.insert(task.tid, (stat.comm, seconds));
            }
        }
    }

    /// The accounts as text, by stage, dearest first.
    pub fn table(&self, report: &Report) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_stage: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, seconds) in seen.values() {
            let stage = STAGES.iter().find(|(start, _)| name.starts_with(start));
            *by_stage.entry(stage.map_or(name.as_str(), |(_, s)| s)).or_default() += seconds;
        }
        let mut rows: Vec<_> = by_stage.into_iter().filter(|(_, s)| *s >= 0.005).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        let total: f64 = rows.iter().map(|r| r.1).sum();
        let mut text = String::from("CPU seconds by stage\n");
        for (stage, seconds) in rows {
            let share = 100.0 * seconds / total.max(1e-9);
            let _ = writeln!(text, "{seconds:8.2}  {share:4.0} %  {stage}");
        }
        let _ = writeln!(text, "calls of the graphs");
        for (graph, count) in report.inference.iter().filter(|(_, count)| count.calls > 0) {
            let _ = writeln!(
                text,
                "{:8.2} s, {} calls of {:.2} ms, {} items  {}",
                count.ms / 1e3,
                count.calls,
                count.ms / count.calls as f64,
                count.items,
                graph.name()
            );
        }
        let peak = procfs::process::Process::myself()
            .and_then(|p| p.status())
            .ok()
            .and_then(|s| s.vmhwm)
            .unwrap_or(0);
        let _ = writeln!(
            text,
            "{total:8.2}  in all, {:.2} s of CPU a second of recording",
            total / report.media_seconds.max(1e-9)
        );
        let _ = writeln!(text, "{:8.0}  MB at most resident", peak as f64 / 1_000.0);
        text
    }
}
