//! The process's own account of time and memory, read from the kernel.

use std::time::Instant;

/// What a piece of work cost.
#[derive(Clone, Copy, Debug)]
pub struct ResourceUsage {
    /// User and system time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Time on the clock, in seconds.
    pub wall_seconds: f64,
    /// The most memory that was resident while it went on, in bytes; 0 where it is not known.
    pub peak_bytes: u64,
}

/// Does `work` and says what it cost.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, ResourceUsage) {
    // Where the kernel does not let the mark be set back, the peak is that of all before, too.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    let done = work();
    let usage = ResourceUsage {
        cpu_seconds: cpu_seconds() - cpu,
        wall_seconds: clock.elapsed().as_secs_f64(),
        peak_bytes: peak_bytes(),
    };
    (done, usage)
}

fn cpu_seconds() -> f64 {
    let stat = procfs::process::Process::myself().and_then(|p| p.stat());
    stat.map_or(0.0, |s| (s.utime + s.stime) as f64 / procfs::ticks_per_second() as f64)
}

/// User and system time of the thread that asks, in seconds.
pub fn thread_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The most memory that was ever resident, in bytes; 0 where the system does not say.
pub fn peak_bytes() -> u64 {
    let status = procfs::process::Process::myself().and_then(|p| p.status());
    status.ok().and_then(|s| s.vmhwm).unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_the_account() {
        let (sum, usage) = measure(|| {
            let big = vec![1_u8; 64 << 20];
            let began = Instant::now();
            let mut sum = 0_u64;
            while began.elapsed().as_millis() < 60 {
                sum += big.iter().step_by(4_096).map(|b| u64::from(*b)).sum::<u64>();
            }
            sum
        });
        assert!(sum > 0 && usage.cpu_seconds > 0.0 && usage.wall_seconds >= 0.06);
        assert!(usage.peak_bytes > 64 << 20, "{usage:?}");
    }
}
