//! Checks names that become paths, mounts, topics and labels: none may leave a directory or break a
//! label.

use std::time::Duration;

use jiff::Timestamp;

/// Maximum length of a name.
const MAX_BYTES: usize = 64;

/// Whether `text` is a name: letters, digits, `-`, `_` and `.`, not starting with a dot.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=MAX_BYTES).contains(&text.len()) && !text.starts_with('.') && text.chars().all(allowed)
}

/// The rules for names, for error messages.
pub(crate) const NAME_RULES: &str =
    "up to 64 letters (a to z), digits, `-`, `_` and `.`, with no dot in front";

/// Whether `text` is a mount path: names separated by slashes, without a leading one.
pub(crate) fn is_mount(text: &str) -> bool {
    text.split('/').all(is_name)
}

/// Checks `pattern` (strftime, UTC) as the name of segments.
///
/// # Errors
/// A message, if it leaves its folder, is not a valid pattern, or gives two segments of length
/// `segment` the same name.
pub(crate) fn check_pattern(pattern: &str, segment: Duration) -> Result<(), String> {
    if pattern.starts_with('/') || pattern.contains('\0') {
        return Err("is an absolute path; write it under the sink's directory, e.g. \
                    %Y-%m-%d/%H-%M-%S"
            .into());
    }
    // Any time serves as an example; no part of this one is at the end of its range.
    let start = Timestamp::from_second(1_768_435_200).map_err(|e| e.to_string())?;
    let name = named(pattern, start)?;
    let parts = name.split('/');
    if parts.clone().any(|part| part.is_empty() || part.starts_with('.')) || name.len() > 200 {
        return Err(format!(
            "gives `{name}`; no part of it may be empty, begin with a dot or be longer than 200"
        ));
    }
    let hours = |n: u64| Duration::from_secs(n * 3_600);
    let days = |n: u64| hours(n * 24);
    let apart = [segment, hours(1), hours(12), days(1), days(7), days(31), days(365), days(366)];
    for later in apart.into_iter().filter(|later| *later >= segment) {
        let at = start.checked_add(later).map_err(|e| e.to_string())?;
        if named(pattern, at)? == name {
            return Err(format!(
                "gives `{name}` again after {} s, so that one segment would replace another; \
                 name the whole date and time, e.g. %Y-%m-%d/%H-%M-%S",
                later.as_secs()
            ));
        }
    }
    Ok(())
}

/// The name that `pattern` makes at `at`, in UTC.
fn named(pattern: &str, at: Timestamp) -> Result<String, String> {
    jiff::fmt::strtime::format(pattern, at).map_err(|e| format!("is not a strftime pattern: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_no_directory() {
        for name in ["a", "front-door", "room_2.left", "7"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", ".", "..", ".a", "a/b", "a b", "ü", "a\n", "a\"", &long] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_mount("a") && is_mount("house/door"));
        assert!(!is_mount("/a") && !is_mount("a/") && !is_mount("a//b") && !is_mount("a/../b"));
    }

    #[test]
    fn two_segments_never_share_a_name() {
        let segment = Duration::from_secs(300);
        for good in ["%Y-%m-%d/%H-%M-%S", "%Y%m%dT%H%MZ", "%s", "door-%F_%H.%M"] {
            assert_eq!(check_pattern(good, segment), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("%H-%M-%S", "again after 86400 s"),
            ("%Y-%m-%d", "again after 300 s"),
            ("%Y-%m-%d_%I-%M", "again after 43200 s"),
            ("%Y-%d-%H-%M", "again after 2678400 s"),
            ("%m-%d-%H-%M", "again after 31536000 s"),
            ("/srv/%s", "absolute"),
            ("../%s", "dot"),
            ("a/../../%s", "dot"),
            ("a//%s", "empty"),
            ("%", "not a strftime pattern"),
            ("", "empty"),
        ] {
            let said = check_pattern(bad, segment).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
        // Minutes are precise enough for segments of a minute.
        assert!(check_pattern("%Y-%m-%d_%H-%M", Duration::from_secs(60)).is_ok());
        assert!(check_pattern("%Y-%m-%d_%H-%M", Duration::from_secs(30)).is_err());
    }
}
