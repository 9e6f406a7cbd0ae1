//! Tells systemd that the process is well, and only while that is true.
//!
//! Takes the streams' beats and the states of their sources. A [`StallDetector`] says which stages have not
//! moved since it last looked although frames come; while there are any, no ping is sent, and
//! systemd ends the process and starts it anew. A source that is known to be away is no fault, nor is a
//! sink whose disk or network does not answer: that is the sink's trouble, told as such.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::streams::StreamList;
use crate::telemetry::status::{SourceState, Status};

/// A source that connects for longer, or is not tried again for so long after it should be, has a
/// supervisor that is stuck itself.
const SUPERVISOR_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the streams are looked at where systemd does not ask for it.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// What people are told is no older than this.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Which stage of which stream: those of one name are counted.
type HeartbeatKey = (Arc<str>, &'static str, usize);

/// Finds what does not move.
#[derive(Debug, Default)]
pub(crate) struct StallDetector {
    counts: HashMap<HeartbeatKey, u64>,
    last_check: Option<Instant>,
}

impl StallDetector {
    /// What has not moved since the last call although it should have, in words. A stage that was
    /// not there then, and a source that was not live all the time since, is given the time to
    /// the next call.
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

/// The watch; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches over `streams` on a thread of its own: pings at half the time that systemd gives,
    /// and keeps the list's [`StreamList::stuck`] and systemd's status line.
    ///
    /// # Errors
    /// Where there is no thread to be had.
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
            // A panic there was told already.
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
                tracing::error!("stuck: {}; systemd's watchdog is not fed", stuck.join("; "));
            }
            send(&[NotifyState::Status(&status)]);
            last_status = status;
        }
        if pings && stuck.is_empty() {
            send(&[NotifyState::Watchdog]);
        }
        streams.set_stuck(stuck.clone());
        let until = Instant::now() + interval;
        // Parking may end early for no reason.
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

/// One line about all streams.
fn status_line(streams: &[Status], stuck: &[String]) -> String {
    let live = streams.iter().filter(|s| matches!(s.source(), SourceState::Live { .. })).count();
    let troubled = streams.iter().filter(|s| !s.sink_errors().is_empty()).count();
    let mut line = format!("{live} of {} streams live", streams.len());
    if troubled > 0 {
        line.push_str(&format!(", {troubled} with a sink in trouble"));
    }
    if !stuck.is_empty() {
        line.push_str(&format!("; stuck: {}", stuck.join("; ")));
    }
    line
}

/// Tells systemd that everything is set up.
pub(crate) fn ready() {
    send(&[NotifyState::Ready]);
}

/// Tells systemd that the configuration is read again; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Tells systemd that the process is about to end.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Does nothing where no service manager listens.
fn send(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("systemd was not told: {e}");
    }
}

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod tests;
