//! CPU seconds by stage, read from the kernel's accounts of each thread.
//!
//! Threads are named after their stages; those that a library starts inherit the name of the
//! thread that started them, so decoder and encoder show up under their streaming threads. Sampled
//! while the work goes on, as a thread's account is gone with the thread: what one did after the
//! last sample is not seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// The name of a thread that does nothing but read accounts; its own time is no stage's.
pub const SAMPLER_THREAD: &str = "cpu-sampler";

/// What a stage took.
#[derive(Clone, Debug, Serialize)]
pub struct StageSeconds {
    /// The stage, in words.
    pub stage: String,
    /// User and system time of its threads, in seconds.
    pub cpu_seconds: f64,
}

/// The latest account of every thread seen, less what it had when this was made.
pub struct CpuByThread {
    before: BTreeMap<i32, f64>,
    seen: Mutex<BTreeMap<i32, (String, f64)>>,
}

/// Which stage a thread works for, by the start of its name.
const STAGES: [(&str, &str); 14] = [
    ("source", "source (frames on both paths)"),
    ("multiqueue", "decode (frames and audio)"),
    ("queue", "decode and mux queues"),
    ("typefind", "demux"),
    ("qtdemux", "demux"),
    ("audio", "source (audio)"),
    ("packets", "source (stored audio)"),
    ("track", "detect and track (without inference)"),
    ("engine", "inference (detector, encoders, head)"),
    ("score", "features, score and explain (without inference)"),
    ("overlay", "overlay and records"),
    ("frames", "encode"),
    ("progress", "progress"),
    ("locutor", "main"),
];

impl Default for CpuByThread {
    fn default() -> Self {
        let before = thread_times().into_iter().map(|(thread, _, seconds)| (thread, seconds));
        Self { before: before.collect(), seen: Mutex::default() }
    }
}

impl CpuByThread {
    /// Reads every thread's account.
    pub fn sample(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (thread, name, seconds) in thread_times() {
            let before = self.before.get(&thread).copied().unwrap_or(0.0);
            seen.insert(thread, (name, seconds - before));
        }
    }

    /// By stage, dearest first; what cannot be seen is left out.
    pub fn stages(&self) -> Vec<StageSeconds> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_stage: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, seconds) in seen.values().filter(|(name, _)| name != SAMPLER_THREAD) {
            let stage = STAGES.iter().find(|(start, _)| name.starts_with(start));
            *by_stage.entry(stage.map_or(name.as_str(), |(_, s)| s)).or_default() += seconds;
        }
        let mut stages: Vec<_> = by_stage
            .into_iter()
            .filter(|(_, seconds)| *seconds >= 0.005)
            .map(|(stage, cpu_seconds)| StageSeconds { stage: stage.to_owned(), cpu_seconds })
            .collect();
        stages.sort_by(|a, b| b.cpu_seconds.total_cmp(&a.cpu_seconds));
        stages
    }
}

/// Every thread's number, name, and seconds so far.
fn thread_times() -> Vec<(i32, String, f64)> {
    let tasks = procfs::process::Process::myself().and_then(|process| process.tasks());
    let ticks = procfs::ticks_per_second() as f64;
    let usage = |task: procfs::process::Task| {
        let stat = task.stat().ok()?;
        Some((task.tid, stat.comm, (stat.utime + stat.stime) as f64 / ticks))
    };
    tasks.map_or_else(|_| Vec::new(), |tasks| tasks.flatten().filter_map(usage).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_under_its_threads_name() {
        let cpu = CpuByThread::default();
        let work = || {
            let began = std::time::Instant::now();
            while began.elapsed().as_millis() < 100 {
                std::hint::spin_loop();
            }
            cpu.sample();
        };
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("overlay".into())
                .spawn_scoped(scope, work)
                .expect("a thread");
        });
        let stages = cpu.stages();
        let overlay = stages.iter().find(|s| s.stage == "overlay and records").expect("seen");
        assert!((0.05..1.0).contains(&overlay.cpu_seconds), "{stages:?}");
    }
}
