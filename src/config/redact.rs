//! Describes TOML errors without repeating the text's values: the line, the key, and the key that
//! was probably meant.

use super::renamed::present_name;

/// The line in `text` and the message of `error`, without the text's values.
pub(super) fn describe_toml_error(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().and_then(|span| text.get(..span.start));
    let line = line.map(|before| before.matches('\n').count() + 1);
    let problem = problem(error);
    line.map_or_else(|| problem.clone(), |line| format!("line {line}: {problem}"))
}

/// `text` without the user and password between `://` and `@`.
pub(super) fn redact_userinfo(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str("://");
        let end =
            piece.find(|c: char| c.is_whitespace() || "`\"'".contains(c)).unwrap_or(piece.len());
        match piece[..end].rfind('@') {
            Some(at) => {
                out.push('…');
                out.push_str(&piece[at..]);
            }
            None => out.push_str(piece),
        }
    }
    out
}

/// The message of `error` without values, and with the key that was probably meant.
pub(super) fn problem(error: &toml::de::Error) -> String {
    // Redact before taking the first line: the value may have several lines.
    redact_values(error.message()).lines().next().unwrap_or_default().to_owned()
}

/// Serde's messages repeat the value (`unknown variant …`, `invalid type: string "…"`), which may
/// be a secret. A key is shown if it looks like one, a word if it resembles an expected one. Text
/// between double quotes is never shown.
fn redact_values(message: &str) -> String {
    let Some(found) = found(message) else { return redact_quoted(message) };
    let meant = suggestion(message);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_key = message.starts_with("unknown field") && found.len() <= 32;
    let is_shown = found.chars().all(plain) && (is_key || meant.is_some());
    let hidden = || message.replacen(&format!("`{found}`"), "`…`", 1);
    let said = if is_shown { message.to_owned() } else { hidden() };
    match meant {
        Some(meant) => format!("{}; did you mean `{meant}`?", redact_quoted(&said)),
        None => redact_quoted(&said),
    }
}

fn redact_quoted(message: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in message.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                out.push_str(if quoted { "…\"" } else { "\"" });
                quoted = !quoted;
            }
            c if !quoted => out.push(c),
            _ => {}
        }
    }
    out
}

/// The unknown key or word that `message` is about.
fn found(message: &str) -> Option<&str> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    // The value may hold a backtick itself: it ends before the list of expected words.
    let end = rest.rfind("`, expected").or_else(|| rest.rfind("`, there are"))?;
    Some(&rest[..end])
}

/// The expected key or word that was probably meant: the present name of a renamed key, else the
/// most similar one.
pub(super) fn suggestion(message: &str) -> Option<&str> {
    let found = found(message)?;
    let expected = message.rsplit("`, expected").next()?;
    let known = expected.split('`').skip(1).step_by(2);
    if let Some(name) = present_name(found)
        && known.clone().any(|word| word == name)
    {
        return Some(name);
    }
    let near = known.map(|word| (strsim::damerau_levenshtein(found, word), word));
    let (far, word) = near.min()?;
    (far <= 1 + word.len() / 4).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_suggests_the_key_that_was_meant() {
        let said = "unknown field `urii`, expected one of `uri`, `credentials`";
        assert_eq!(suggestion(said), Some("uri"));
        let said = "unknown field `password`, expected `uri` or `credentials`";
        assert_eq!(suggestion(said), None);
        assert_eq!(suggestion("unknown variant `dealy`, expected `delay`"), Some("delay"));
        assert_eq!(suggestion("missing field `uri`"), None);
        let said = "unknown field `keep_gib`, expected `directory` or `max_size_gib`";
        assert_eq!(suggestion(said), Some("max_size_gib"));
        let said = "unknown field `keep_gib`, expected `uri` or `transport`";
        assert_eq!(suggestion(said), None, "a key of another table");
    }

    #[test]
    fn values_are_redacted() {
        let said = redact_values(r#"invalid type: string "hun\"ter2", expected u32"#);
        assert_eq!(said, r#"invalid type: string "…", expected u32"#);
        for found in ["eve:hunter2", "hunter2", "hunter2\"", "a`, b", "", "hunter2\n", "a\nhunter2"]
        {
            let said = format!("unknown variant `{found}`, expected `tcp` or `auto`");
            let said = redact_values(&said);
            assert_eq!(said, "unknown variant `…`, expected `tcp` or `auto`", "{found}");
        }
        let said = redact_values("unknown field `eve:hunter2`, expected `uri`");
        assert_eq!(said, "unknown field `…`, expected `uri`");
    }
}
