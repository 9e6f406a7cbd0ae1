//! Pings systemd's watchdog, only while no stage is stuck.
//!
//! Takes the streams' heartbeats and the states of their sources. A [`StallDetector`] finds stages
//! without progress since its last check although frames arrive. While there are any, no ping is sent,
//! and systemd restarts the process. A source that is known to be lost is no fault. Neither is a sink
//! whose disk or network does not answer: that is reported as an error of the sink.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::streams::StreamList;
use crate::telemetry::status::{SourceState, Status};

/// If a source connects for longer, or its next try is overdue by more, its supervisor is stuck.
const SUPERVISOR_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the streams are checked without systemd's watchdog.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum age of the status line.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Stream, stage, and the heartbeat's index in the stream.
type HeartbeatKey = (Arc<str>, &'static str, usize);

/// Finds stages without progress.
#[derive(Debug, Default)]
pub(crate) struct StallDetector {
    counts: HashMap<HeartbeatKey, u64>,
    last_check: Option<Instant>,
}

impl StallDetector {
    /// Readable messages about what is stuck since the last call. New stages, and streams whose source
    /// was not live all the time since, are checked from the next call on.
    pub(crate) fn check(&mut self, streams: &[Status], now: Instant) -> Vec<String> {
        let mut stuck = Vec::new();
        let mut counts = HashMap::new();
        for status in streams {
            let source = status.source();
            let mut moved = false;
            let (mut stalled, mut unresponsive) = (Vec::new(), Vec::new());
            for (n, heartbeat) in status.heartbeats().iter().enumerate() {
                let key = (Arc::clone(&status.stream), heartbeat.stage, n);
                let count = heartbeat.count();
                match self.counts.get(&key) {
                    Some(before) if *before == count && heartbeat.external => {
                        unresponsive.push(heartbeat.stage)
                    }
                    Some(before) if *before == count => stalled.push(heartbeat.stage),
                    Some(_) => moved = true,
                    None => {}
                }
                counts.insert(key, count);
            }
            status.set_unresponsive(unresponsive);
            let name = &status.stream;
            match source {
                SourceState::Live { since } if self.last_check.is_some_and(|l| since <= l) => {
                    stuck.extend(stalled.iter().map(|stage| format!("{name}: {stage}")));
                }
                SourceState::Connecting { since } if !moved && overdue(now, since) => {
                    stuck.push(format!("{name}: the source connects for too long"));
                }
                SourceState::Lost { next_try, .. } if !moved && overdue(now, next_try) => {
                    stuck.push(format!("{name}: the source is not tried again"));
                }
                _ => {}
            }
        }
        (self.counts, self.last_check) = (counts, Some(now));
        stuck
    }
}

fn overdue(now: Instant, due: Instant) -> bool {
    now.saturating_duration_since(due) > SUPERVISOR_TIMEOUT
}

/// The watchdog; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches `streams` on its own thread: pings at half of systemd's interval, and updates
    /// [`StreamList::stuck`] and systemd's status line.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn start(streams: StreamList) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watchdog_timeout = sd_notify::watchdog_enabled();
        let interval = watchdog_timeout
            .map_or(CHECK_INTERVAL, |limit| limit / 2)
            .max(Duration::from_millis(10));
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watch(&streams, &stopped, watchdog_timeout.is_some(), interval))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there is already in the log.
            let _ = thread.join();
        }
    }
}

fn watch(streams: &StreamList, stop: &AtomicBool, pings: bool, interval: Duration) {
    let mut detector = StallDetector::default();
    let mut last_status = String::new();
    while !stop.load(Ordering::Relaxed) {
        let all = streams.all();
        let stuck = detector.check(&all, Instant::now());
        let status = status_line(&all, &stuck);
        if status != last_status {
            if !stuck.is_empty() {
                tracing::error!("stuck: {}; no ping to systemd's watchdog", stuck.join("; "));
            }
            send(&[NotifyState::Status(&status)]);
            last_status = status;
        }
        if pings && stuck.is_empty() {
            send(&[NotifyState::Watchdog]);
        }
        streams.set_stuck(stuck.clone());
        let until = Instant::now() + interval;
        // Parking may end early.
        while !stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left.min(STATUS_INTERVAL));
            let status = status_line(&streams.all(), &stuck);
            if left > STATUS_INTERVAL && status != last_status {
                send(&[NotifyState::Status(&status)]);
                last_status = status;
            }
        }
    }
}

/// A status line about all streams.
fn status_line(streams: &[Status], stuck: &[String]) -> String {
    let live = streams.iter().filter(|s| matches!(s.source(), SourceState::Live { .. })).count();
    let failing = streams.iter().filter(|s| !s.sink_errors().is_empty()).count();
    let mut line = format!("{live} of {} streams live", streams.len());
    if failing > 0 {
        line.push_str(&format!(", {failing} with a failing sink"));
    }
    if !stuck.is_empty() {
        line.push_str(&format!("; stuck: {}", stuck.join("; ")));
    }
    line
}

/// Reports to systemd that the process is ready.
pub(crate) fn ready() {
    send(&[NotifyState::Ready]);
}

/// Reports to systemd that the configuration is being reloaded; [`ready`] ends that.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Reports to systemd that the process is stopping.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Does nothing without a service manager.
fn send(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("cannot notify systemd: {e}");
    }
}

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod tests;
