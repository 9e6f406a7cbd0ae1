//! The process's CPU time and memory, read from the kernel.

/// The resources that a piece of work used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourceUsage {
    /// User and system time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Peak resident memory during the work, in bytes; 0 if unknown.
    pub peak_bytes: u64,
}

/// Runs `work` and measures the resources that it uses.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, ResourceUsage) {
    // Resets the peak. If the kernel does not allow it, the peak includes everything before.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let cpu = cpu_seconds();
    let done = work();
    let usage = ResourceUsage { cpu_seconds: cpu_seconds() - cpu, peak_bytes: peak_bytes() };
    (done, usage)
}

fn cpu_seconds() -> f64 {
    let stat = procfs::process::Process::myself().and_then(|p| p.stat());
    stat.map_or(0.0, |s| (s.utime + s.stime) as f64 / procfs::ticks_per_second() as f64)
}

/// User and system time of the calling thread, in seconds.
pub(crate) fn thread_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Peak resident memory of the process, in bytes; 0 if unknown.
pub(crate) fn peak_bytes() -> u64 {
    let status = procfs::process::Process::myself().and_then(|p| p.status());
    status.ok().and_then(|s| s.vmhwm).unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_shows_in_the_usage() {
        let (sum, usage) = measure(|| {
            let big = vec![1_u8; 64 << 20];
            let began = Instant::now();
            let mut sum = 0_u64;
            while began.elapsed().as_millis() < 60 {
                sum += big.iter().step_by(4_096).map(|b| u64::from(*b)).sum::<u64>();
            }
            sum
        });
        assert!(sum > 0 && usage.cpu_seconds > 0.0);
        assert!(usage.peak_bytes > 64 << 20, "{usage:?}");
    }
}
