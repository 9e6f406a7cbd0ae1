//! Changes of a stream's status since the last check, as events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::stages::sink::records::event::Event;
use crate::telemetry::status::{SourceState, Status};

/// RFC 3339 in UTC with milliseconds.
pub(super) fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The status as reported so far.
#[derive(Default)]
pub(super) struct StatusWatch {
    /// Since when the source is lost.
    lost_since: Option<Instant>,
    /// Since when each failed sink fails, and why.
    sink_errors: BTreeMap<String, (Instant, String)>,
}

impl StatusWatch {
    /// The changes of `status` as events; `utc` is now.
    pub(super) fn changes(&mut self, status: &Status, utc: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        match status.source() {
            SourceState::Lost { since, why, next_try } if self.lost_since.is_none() => {
                self.lost_since = Some(since);
                let since = to_utc(since, utc);
                events.push(Event::SourceLost { since, why, next_try: to_utc(next_try, utc) });
            }
            SourceState::Live { since } => {
                if let Some(lost_since) = self.lost_since.take() {
                    let lost_seconds = seconds(since.saturating_duration_since(lost_since));
                    events.push(Event::SourceRestored { lost_seconds });
                }
            }
            _ => {}
        }
        self.sinks(status, &mut events);
        events
    }

    fn sinks(&mut self, status: &Status, events: &mut Vec<Event>) {
        let now = status.sink_errors();
        self.sink_errors.retain(|sink, (since, _)| {
            let still_fails = now.contains_key(sink);
            if !still_fails {
                let failed_seconds = seconds(since.elapsed());
                events.push(Event::SinkRecovered { sink: sink.clone(), failed_seconds });
            }
            still_fails
        });
        for (sink, why) in now {
            let before = self.sink_errors.get_mut(&sink);
            if before.as_ref().is_some_and(|(_, before)| *before == why) {
                continue;
            }
            let since = before.map_or_else(Instant::now, |(since, _)| *since);
            self.sink_errors.insert(sink.clone(), (since, why.clone()));
            events.push(Event::SinkFailed { sink, why });
        }
    }
}

/// Seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Converts a monotonic time to UTC by the difference of the two clocks now.
fn to_utc(at: Instant, now_utc: Timestamp) -> String {
    let now = Instant::now();
    let ahead = at.saturating_duration_since(now);
    let ago = now.saturating_duration_since(at);
    let signed = |d| SignedDuration::try_from(d).unwrap_or(SignedDuration::ZERO);
    let at = now_utc.checked_add(signed(ahead) - signed(ago)).unwrap_or(now_utc);
    rfc3339(at)
}
