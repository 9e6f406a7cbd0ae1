//! Long runs: memory, descriptors and threads do not grow while cameras come and go.

use std::time::{Duration, Instant};

use crate::kit::camera::Camera;
use crate::kit::daemon::{Daemon, Plan, RECORD, SERVE, Start};
use crate::kit::row::Row;
use crate::kit::{full, sleep};

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    minutes: f64,
    rss_mb: f64,
    fds: usize,
    threads: usize,
}

impl Sample {
    fn of(daemon: &Daemon, begun: Instant) -> Self {
        let id = i32::try_from(daemon.process.0.id()).expect("an id");
        let process = procfs::process::Process::new(id).expect("it runs");
        let stat = process.stat().expect("its figures");
        Self {
            minutes: begun.elapsed().as_secs_f64() / 60.0,
            rss_mb: (stat.rss * procfs::page_size()) as f64 / 1e6,
            fds: process.fd_count().unwrap_or(0),
            threads: usize::try_from(stat.num_threads).unwrap_or(0),
        }
    }
}

/// Least squares, per minute.
fn slope(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let n = samples.len().max(1) as f64;
    let (x, y) = (
        samples.iter().map(|s| s.minutes).sum::<f64>() / n,
        samples.iter().map(&of).sum::<f64>() / n,
    );
    let (mut up, mut down) = (0.0, 0.0);
    for sample in samples {
        up += (sample.minutes - x) * (of(sample) - y);
        down += (sample.minutes - x).powi(2);
    }
    if down > 0.0 { up / down } else { 0.0 }
}

#[test]
#[ignore = "a minute at least; SOAK_SECONDS says how long"]
fn soak() {
    let what = "three streams, one camera away a third of the time";
    let Some(mut row) = Row::begin("soak", what) else { return };
    let asked = std::env::var("SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    let seconds: u64 = asked.unwrap_or(if full() { 1_800 } else { 60 });
    let stay = [Camera::start(&[]), Camera::start(&["--codec", "mjpeg", "--rate", "10"])];
    let mut comes = Some(Camera::start(&[]));
    let port = comes.as_ref().expect("it is there").port;
    let record =
        RECORD.replace("segment_seconds = 60", "segment_seconds = 20\nmax_size_gib = 0.05");
    let plans = [
        Plan::new("a", &stay[0].uri(), &format!("{record}{SERVE}")),
        Plan::new("b", &stay[1].uri(), SERVE),
        Plan::new("c", &crate::kit::camera::uri(port), &record.replace("kept", "kept-c")),
    ];
    // As the unit and the container run it.
    let start = Start::new(row.dir.path(), &plans).with("MALLOC_ARENA_MAX", "2");
    let mut daemon = start.spawn();
    for plan in &plans {
        daemon.until(&plan.name, "live");
    }
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds));
    let mut samples = Vec::new();
    while begun.elapsed() < length {
        // Away for ten seconds of every thirty.
        let wanted = begun.elapsed().as_secs() % 30 < 20;
        match (&comes, wanted) {
            (Some(_), false) => {
                comes = None;
                row.ran();
            }
            (None, true) => comes = Some(Camera::on(port, &[])),
            _ => {}
        }
        assert!(daemon.runs(), "it ended");
        samples.push(Sample::of(&daemon, begun));
        sleep(2.0);
    }
    let warm = (length / 4).min(Duration::from_secs(180)).as_secs_f64() / 60.0;
    let steady: Vec<Sample> = samples.iter().copied().filter(|s| s.minutes >= warm).collect();
    let (first, last) = (steady.first().expect("samples"), steady.last().expect("samples"));
    let memory = slope(&steady, |s| s.rss_mb);
    let fds = slope(&steady, |s| s.fds as f64);
    let threads = slope(&steady, |s| s.threads as f64);
    row.note(format!(
        "{seconds} s, after {:.0} s of warm-up: memory {:.0} to {:.0} MB ({memory:+.2} MB a minute), \
         descriptors {} to {} ({fds:+.2} a minute), threads {} to {} ({threads:+.2} a minute)",
        warm * 60.0, first.rss_mb, last.rss_mb, first.fds, last.fds, first.threads, last.threads
    ));
    for stream in ["a", "b"] {
        assert_eq!(daemon.state(stream), "live", "{stream}");
    }
    daemon.stop();
    if seconds >= 600 {
        assert!(memory <= 1.0, "memory grows by {memory:.2} MB a minute");
        assert!(fds <= 1.0 && threads <= 1.0, "descriptors {fds:+.2}, threads {threads:+.2}");
    }
}
