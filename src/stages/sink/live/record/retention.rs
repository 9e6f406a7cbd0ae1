//! Selects segments to remove: by age, by total size, by free space. Removes nothing itself.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::stages::sink::settings::RecorderSettings;

/// A complete segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its file.
    pub path: PathBuf,
    /// Time of the last write.
    pub at: SystemTime,
    /// Its size.
    pub bytes: u64,
}

/// Limits of what is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Maximum age.
    pub max_age: Option<Duration>,
    /// Maximum total size.
    pub max_total_bytes: Option<u64>,
    /// Minimum free space.
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

/// The segments to remove, oldest first, given the free space in bytes and the time `now`.
pub(super) fn plan(
    mut all: Vec<Segment>,
    rules: Rules,
    free_bytes: u64,
    now: SystemTime,
) -> Vec<Segment> {
    all.sort_by(|a, b| (a.at, &a.path).cmp(&(b.at, &b.path)));
    let mut total: u64 = all.iter().map(|s| s.bytes).sum();
    let mut free = free_bytes;
    let mut exceeds = |segment: &Segment| {
        let age = now.duration_since(segment.at).unwrap_or_default();
        let too_old = rules.max_age.is_some_and(|max| age > max);
        let too_large = rules.max_total_bytes.is_some_and(|max| total > max);
        let exceeds = too_old || too_large || free < rules.min_free_bytes;
        if exceeds {
            total -= segment.bytes;
            free = free.saturating_add(segment.bytes);
        }
        exceeds
    };
    all.into_iter().take_while(|s| exceeds(s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(rules: Rules, free: u64) -> Vec<String> {
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
    fn the_oldest_are_removed_first_and_no_more_than_needed() {
        let none = Rules { max_age: None, max_total_bytes: None, min_free_bytes: 0 };
        assert!(removed(none, 0).is_empty());
        let age = Rules { max_age: Some(Duration::from_secs(600)), ..none };
        assert_eq!(removed(age, 0), ["1", "3"]);
        assert_eq!(removed(Rules { max_total_bytes: Some(25), ..none }, 0), ["1", "3"]);
        assert_eq!(removed(Rules { min_free_bytes: 105, ..none }, 100), ["1"]);
        assert_eq!(removed(Rules { min_free_bytes: 1000, ..none }, 0), ["1", "3", "5", "9"]);
    }
}
