//! The log: readable lines, JSON lines, or the journal's own form. A repeated message is logged
//! once in a window, later with the number of repetitions.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

/// How long an identical message is suppressed after it was logged.
const WINDOW: Duration = Duration::from_secs(30);
/// Maximum number of remembered messages; beyond it all are logged.
const MAX_MESSAGES: usize = 512;

/// The log's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The journal's own form where standard error is the journal, else for people.
    #[default]
    Auto,
    /// Lines for people.
    Human,
    /// A JSON object a line.
    Json,
    /// The journal's own form, with fields.
    Journald,
}

/// Logs to standard error (or the journal) by `filter`: a level, or RUST_LOG syntax.
pub fn start(filter: &str, format: Format) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|e| {
        eprintln!("locutor: --log {filter}: {e}; logging warnings");
        EnvFilter::new("warn")
    });
    let lines =
        || fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colours());
    let format = match format {
        Format::Auto if is_journal() => Format::Journald,
        Format::Auto => Format::Human,
        given => given,
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Json => lines().json().with_filter(RepeatFilter::new(WINDOW)).boxed(),
        Format::Journald => match tracing_journald::layer() {
            Ok(journal) => journal.with_filter(RepeatFilter::new(WINDOW)).boxed(),
            Err(e) => {
                eprintln!("locutor: the journal cannot be reached ({e}); logging lines");
                lines().with_filter(RepeatFilter::new(WINDOW)).boxed()
            }
        },
        Format::Auto | Format::Human => lines().with_filter(RepeatFilter::new(WINDOW)).boxed(),
    };
    // Only tests have a log already.
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
}

/// Whether lines are coloured: on a terminal, unless `NO_COLOR` is set.
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Whether systemd connected standard error to the journal.
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let stat = rustix::fs::fstat(std::io::stderr());
    stat.is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[derive(Debug)]
struct RepeatEntry {
    at: Instant,
    suppressed: u64,
}

/// Admits a message once in a window.
#[derive(Debug)]
struct RepeatFilter {
    window: Duration,
    recent: Mutex<HashMap<String, RepeatEntry>>,
}

/// The target of the lines that report repetitions.
const REPEATED: &str = "locutor::repeated";

impl RepeatFilter {
    fn new(window: Duration) -> Self {
        Self { window, recent: Mutex::default() }
    }

    /// Whether to log `message` now, and the repetitions of messages whose window is over.
    fn admit(&self, message: String, now: Instant) -> (bool, Vec<(String, u64)>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = Vec::new();
        recent.retain(|text, recent| {
            let is_over = now.saturating_duration_since(recent.at) >= self.window;
            if is_over && recent.suppressed > 0 {
                over.push((text.clone(), recent.suppressed));
            }
            !is_over
        });
        if let Some(recent) = recent.get_mut(&message) {
            recent.suppressed += 1;
            return (false, over);
        }
        if recent.len() < MAX_MESSAGES {
            recent.insert(message, RepeatEntry { at: now, suppressed: 0 });
        }
        (true, over)
    }
}

/// A message and its fields as one text.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}

impl<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> Filter<S>
    for RepeatFilter
{
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        if event.metadata().target() == REPEATED {
            return true;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        // The same text about another stream is another message.
        let span = context.event_span(event).map(|span| span.id().into_u64()).unwrap_or_default();
        let (admitted, over) =
            self.admit(format!("{}\u{0}{span}", text.0.trim_end()), Instant::now());
        for (message, times) in over {
            let message = message.split('\0').next().unwrap_or_default().to_owned();
            tracing::warn!(target: REPEATED, "repeated {times} times: {message}");
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_is_logged_once_a_window_with_its_count() {
        let (repeats, start) = (RepeatFilter::new(Duration::from_secs(30)), Instant::now());
        let admit = |text: &str, s: u64| repeats.admit(text.into(), start + Duration::from_secs(s));
        assert_eq!(admit("gone", 0), (true, vec![]));
        assert_eq!(admit("gone", 1), (false, vec![]));
        assert_eq!(admit("other", 2), (true, vec![]));
        assert_eq!(admit("gone", 29), (false, vec![]));
        assert_eq!(admit("third", 31), (true, vec![("gone".into(), 2)]));
        assert_eq!(admit("gone", 32), (true, vec![]));
    }

    #[test]
    fn memory_is_bounded() {
        let (repeats, now) = (RepeatFilter::new(WINDOW), Instant::now());
        assert!((0..MAX_MESSAGES * 2).all(|n| repeats.admit(n.to_string(), now).0));
        assert!(repeats.recent.lock().expect("whole").len() <= MAX_MESSAGES);
    }
}
