//! CPU seconds by stage, from the kernel's CPU times of each thread.
//!
//! Threads are named after their stages. A library's threads inherit the name of the thread that
//! started them, so decoder and encoder show up under their streaming threads. Times are sampled
//! during the work, as the kernel drops a thread's time when it ends. Work after the last sample is
//! not counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// The name of the sampling thread; its own time belongs to no stage.
pub(crate) const SAMPLER_THREAD: &str = "cpu-sampler";

/// The CPU time of a stage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StageSeconds {
    /// A description of the stage.
    pub stage: String,
    /// User and system time of its threads, in seconds.
    pub cpu_seconds: f64,
}

/// The CPU time of every thread since this was created.
pub(crate) struct CpuByThread {
    before: BTreeMap<i32, f64>,
    cpu_times: Mutex<BTreeMap<i32, (String, f64)>>,
}

/// The stage of a thread, by the prefix of its name.
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
        Self { before: before.collect(), cpu_times: Mutex::default() }
    }
}

impl CpuByThread {
    /// Samples the CPU time of every thread.
    pub(crate) fn sample(&self) {
        let mut cpu_times = self.cpu_times.lock().unwrap_or_else(PoisonError::into_inner);
        for (thread, name, seconds) in thread_times() {
            let before = self.before.get(&thread).copied().unwrap_or(0.0);
            cpu_times.insert(thread, (name, seconds - before));
        }
    }

    /// CPU time by stage, highest first; stages below 5 ms are omitted.
    pub(crate) fn stages(&self) -> Vec<StageSeconds> {
        let cpu_times = self.cpu_times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_stage: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, seconds) in cpu_times.values().filter(|(name, _)| name != SAMPLER_THREAD) {
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

/// The id, the name and the CPU seconds so far of every thread.
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
    fn work_shows_under_the_name_of_its_thread() {
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
        let overlay = stages.iter().find(|s| s.stage == "overlay and records").expect("is listed");
        assert!((0.05..1.0).contains(&overlay.cpu_seconds), "{stages:?}");
    }
}
