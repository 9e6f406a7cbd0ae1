//! What is wrong with a TOML text, told without repeating what stands in it: the line and the key,
//! and the key that was probably meant.

/// What `error` says about `text`, without the text's own values.
pub(in crate::config) fn describe_toml_error(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().and_then(|span| text.get(..span.start));
    let line = line.map(|before| before.matches('\n').count() + 1);
    let problem = problem(error);
    line.map_or_else(|| problem.clone(), |line| format!("line {line}: {problem}"))
}

/// `text` without what stands between `://` and `@` in it: who is to be there, and the password.
pub(in crate::config) fn redact_userinfo(text: &str) -> String {
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

/// What `error` says, without values, and with the key that was probably meant.
pub(super) fn problem(error: &toml::de::Error) -> String {
    // The first line of what is left: what was found may have several itself.
    redact_values(error.message()).lines().next().unwrap_or_default().to_owned()
}

/// A message of serde repeats what it found (`unknown variant …`, `invalid type: string "…"`),
/// which may be a secret. A key is shown where it looks like one, a word where it is nearly one of
/// those expected, and nothing between double quotes.
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

/// What was found where none of the words or keys that follow was.
fn found(message: &str) -> Option<&str> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    // What was found may hold a backtick itself: it ends before what was expected.
    let end = rest.rfind("`, expected").or_else(|| rest.rfind("`, there are"))?;
    Some(&rest[..end])
}

/// The key or word that was probably meant by the one that nobody knows.
fn suggestion(message: &str) -> Option<&str> {
    let found = found(message)?;
    let expected = message.rsplit("`, expected").next()?;
    let known = expected.split('`').skip(1).step_by(2);
    let near = known.map(|word| (strsim::damerau_levenshtein(found, word), word));
    let (far, word) = near.min()?;
    (far <= 1 + word.len() / 4).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_meant_is_told() {
        let said = "unknown field `urii`, expected one of `uri`, `credentials`";
        assert_eq!(suggestion(said), Some("uri"));
        let said = "unknown field `password`, expected `uri` or `credentials`";
        assert_eq!(suggestion(said), None);
        assert_eq!(suggestion("unknown variant `dealy`, expected `delay`"), Some("delay"));
        assert_eq!(suggestion("missing field `uri`"), None);
    }

    #[test]
    fn values_are_left_out() {
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
