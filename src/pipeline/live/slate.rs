//! The text of a slate: that there is no frame, since when, why, and when the next try is.

use std::time::Instant;

use crate::core::time::Span;
use crate::telemetry::clock::StreamClock;
use crate::telemetry::status::SourceState;

/// The lines for a stream in this state.
pub(crate) fn lines(stream: &str, state: &SourceState, clock: StreamClock) -> Vec<String> {
    let utc = |since: &Instant| {
        let ago = Span::from_seconds(since.elapsed().as_secs_f64());
        clock.utc(clock.now() - ago).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    };
    match state {
        SourceState::Connecting { since } => {
            vec![format!("{stream}: no frame yet"), format!("connecting since {}", utc(since))]
        }
        SourceState::Lost { since, why, next_try } => {
            let wait = next_try.saturating_duration_since(Instant::now()).as_secs();
            let again = match wait {
                0 => "trying again now".to_owned(),
                wait => format!("trying again in {wait} s"),
            };
            vec![format!("{stream}: no frame"), format!("since {}", utc(since)), why.clone(), again]
        }
        SourceState::Live { .. } => {
            vec![format!("{stream}: no frame"), "the source sends nothing".to_owned()]
        }
        SourceState::Ended => vec![format!("{stream}: the source has ended")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slate_shows_why_and_when_the_next_try_is() {
        let now = Instant::now();
        let next_try = now + std::time::Duration::from_secs(9);
        let why = "connection refused".to_owned();
        let state = SourceState::Lost { since: now, why: why.clone(), next_try };
        let lines = lines("door", &state, StreamClock::start());
        assert_eq!((lines[0].as_str(), lines[2].as_str()), ("door: no frame", why.as_str()));
        assert!(lines[1].starts_with("since 2") && lines[1].ends_with("UTC"), "{lines:?}");
        assert!(lines[3].starts_with("trying again in "), "{lines:?}");
    }
}
