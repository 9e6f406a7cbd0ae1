//! Which segments go: by age, by all their bytes, by what is free. Plans only; removes nothing.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::stages::sink::settings::RecorderSettings;

/// A whole segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where.
    pub path: PathBuf,
    /// When it was last written.
    pub at: SystemTime,
    /// Its size.
    pub bytes: u64,
}

/// How long and how much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Older ones go.
    pub max_age: Option<Duration>,
    /// The oldest go while all are larger.
    pub max_total_bytes: Option<u64>,
    /// The oldest go while less is free.
    pub min_free_bytes: u64,
}

impl From<&RecorderSettings> for Rules {
    fn from(recording: &RecorderSettings) -> Self {
        Self {
            max_age: recording.max_age,
            max_total_bytes: recording.max_total_bytes,
            min_free_bytes: recording.min_free_bytes,
        }
    }
}

/// The segments that go, oldest first, given what is free (bytes) and the time `now`.
pub(super) fn plan(
    mut all: Vec<Segment>,
    rules: Rules,
    free_bytes: u64,
    now: SystemTime,
) -> Vec<Segment> {
    all.sort_by(|a, b| (a.at, &a.path).cmp(&(b.at, &b.path)));
    let mut total: u64 = all.iter().map(|s| s.bytes).sum();
    let mut free = free_bytes;
    let goes = |segment: &Segment| {
        let age = now.duration_since(segment.at).unwrap_or_default();
        let old = rules.max_age.is_some_and(|most| age > most);
        let large = rules.max_total_bytes.is_some_and(|most| total > most);
        let gone = old || large || free < rules.min_free_bytes;
        if gone {
            total -= segment.bytes;
            free = free.saturating_add(segment.bytes);
        }
        gone
    };
    let mut goes = goes;
    all.into_iter().take_while(|s| goes(s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(rules: Rules, free: u64) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let segment = |n: u64| Segment {
            path: format!("{n}").into(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(n * 100),
            bytes: 10,
        };
        let all = [5, 3, 9, 1].map(segment).to_vec();
        plan(all, rules, free, now).iter().map(|s| s.path.display().to_string()).collect()
    }

    #[test]
    fn the_oldest_go_first_and_no_more_than_must() {
        let none = Rules { max_age: None, max_total_bytes: None, min_free_bytes: 0 };
        assert!(gone(none, 0).is_empty());
        let age = Rules { max_age: Some(Duration::from_secs(600)), ..none };
        assert_eq!(gone(age, 0), ["1", "3"]);
        assert_eq!(gone(Rules { max_total_bytes: Some(25), ..none }, 0), ["1", "3"]);
        assert_eq!(gone(Rules { min_free_bytes: 105, ..none }, 100), ["1"]);
        assert_eq!(gone(Rules { min_free_bytes: 1000, ..none }, 0), ["1", "3", "5", "9"]);
    }
}
