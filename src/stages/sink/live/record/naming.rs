//! Names of segments: a strftime pattern in UTC under one folder.
//!
//! Takes the configured pattern and a time; gives a path, which never leaves the folder. The recorder
//! never touches a file for which [`Naming::owns`] is false.

use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The ending of a complete segment.
pub(super) const WHOLE: &str = "mp4";
/// The ending of a segment while it is written.
pub(super) const PART: &str = "mp4.part";

/// The pattern of names.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pattern: String,
}

impl Naming {
    /// Names by `pattern`, e.g. `%Y-%m-%d/%H-%M-%S`.
    ///
    /// # Errors
    /// A message where the pattern is invalid, or leads out of the folder.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let naming = Self { pattern: pattern.to_owned() };
        let example = naming.stem(Timestamp::UNIX_EPOCH)?;
        let is_normal = |c: Component<'_>| matches!(c, Component::Normal(_));
        if example.components().count() == 0 || !example.components().all(is_normal) {
            return Err(format!(
                "the name `{pattern}` must stay under its directory: no `..`, no \
                                leading `/`"
            ));
        }
        Ok(naming)
    }

    /// The name at `time`, without its ending.
    ///
    /// # Errors
    /// A message where the pattern is invalid.
    pub(super) fn stem(&self, time: Timestamp) -> Result<PathBuf, String> {
        let time = time.to_zoned_datetime(TimeZone::UTC);
        let name = jiff::fmt::strtime::format(&self.pattern, &time);
        name.map(PathBuf::from)
            .map_err(|e| format!("the name `{}` is not a valid pattern: {e}", self.pattern))
    }

    /// Whether `path`, relative to the folder, is a segment of this pattern with this `ending`, with or
    /// without the number of a second segment of the same name.
    pub(super) fn owns(&self, path: &Path, ending: &str) -> bool {
        let Some(name) = path.to_str() else { return false };
        let Some(stem) = name.strip_suffix(ending).and_then(|s| s.strip_suffix('.')) else {
            return false;
        };
        let is = |stem: &str| {
            let read = jiff::fmt::strtime::parse(&self.pattern, stem);
            // Parse and format again, as parsing accepts more than formatting produces.
            read.is_ok_and(|time| time.to_string(&self.pattern).is_ok_and(|again| again == stem))
        };
        let numbered = stem.rsplit_once('~').filter(|(_, n)| n.parse::<u32>().is_ok());
        is(stem) || numbered.is_some_and(|(stem, _)| is(stem))
    }
}

/// `stem` with an ending, and with a number unless that is 0.
pub(super) fn with_ending(stem: &Path, number: u32, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    if number > 0 {
        name.push(format!("~{number}"));
    }
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_under_their_folder() {
        for bad in ["../%H", "/%H", "a/../../%H", "", "%!"] {
            assert!(Naming::new(bad).is_err(), "{bad} is accepted");
        }
        let naming = Naming::new("%Y-%m-%d/%H-%M-%S").expect("a pattern");
        let stem = naming.stem(Timestamp::from_second(86_400).expect("a day")).expect("a name");
        assert_eq!(with_ending(&stem, 2, WHOLE), Path::new("1970-01-02/00-00-00~2.mp4"));
    }

    #[test]
    fn only_names_of_the_pattern_are_owned() {
        let naming = Naming::new("%Y-%m-%d/%H-%M-%S").expect("a pattern");
        let owns = |name: &str| naming.owns(Path::new(name), WHOLE);
        assert!(owns("2026-01-02/03-04-05.mp4") && owns("2026-01-02/03-04-05~1.mp4"));
        assert!(naming.owns(Path::new("2026-01-02/03-04-05.mp4.part"), PART));
        for other in [
            "holiday.mp4",
            "2026-01-02/x.mp4",
            "2026-01-02/03-04-05.mkv",
            "2026-01-02/03-04-05.mp4.part",
            "2026-1-2/3-4-5.mp4",
            "2026-01-02/03-04-05~x.mp4",
        ] {
            assert!(!owns(other), "{other} is owned");
        }
    }
}
