//! Prints the commands' text on standard output, and errors on standard error.
//!
//! Colours are used on a terminal only, and not with `NO_COLOR` or `TERM=dumb`; `CLICOLOR_FORCE`
//! forces them. A word always says the same as a colour. A reader that stops early (`… | head`) is
//! no error.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anstyle::{AnsiColor, Style};

use crate::core::exit::Exit;

/// A good finding.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something that is missing but not needed for the main job.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Something wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// A heading or a name.
pub(crate) const HEADING: Style = Style::new().bold();
/// Secondary text.
pub(crate) const DIM: Style = Style::new().dimmed();

/// `text` in `style`; the output streams drop the escape codes where colours are off.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints `text` on standard output unchanged.
pub(crate) fn print(text: &str) -> Exit {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            fail(Exit::InputOutput, format!("cannot write to standard output: {error}"))
        }
        _ => Exit::Done,
    }
}

/// Prints a value as indented JSON on standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => fail(Exit::Internal, format!("cannot write the findings as JSON: {error}")),
    }
}

/// Prints `error: message` on standard error and gives back `exit`.
pub(crate) fn fail(exit: Exit, message: impl Display) -> Exit {
    let line = format!("{}: {message}\n", paint(BAD, "error"));
    // If even standard error cannot be written, the exit code remains.
    let _ = anstream::stderr().lock().write_all(line.as_bytes());
    exit
}

/// Prints `note: message` on standard error.
pub(crate) fn note(message: impl Display) {
    let line = format!("{}: {message}\n", paint(WARNING, "note"));
    let _ = anstream::stderr().lock().write_all(line.as_bytes());
}

/// Breaks `text` between words into lines of `width` characters or less; only a longer word exceeds
/// it. Every line but the first starts with `indent` spaces.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut used = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if out.is_empty() {
            used += length;
        } else if used + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = indent + length;
        } else {
            out.push(' ');
            used += 1 + length;
        }
        out.push_str(word);
    }
    out
}

/// A number of bytes in a readable unit.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        assert_eq!(wrap("one two three", 20, 2), "one two three");
        assert_eq!(wrap("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrap("a verylongword b", 6, 1), "a\n verylongword\n b");
        assert_eq!(wrap("", 6, 1), "");
    }

    #[test]
    fn sizes_have_a_readable_unit() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(4_300_000), "4.1 MiB");
        assert_eq!(bytes(1 << 45), "32.0 TiB");
    }
}
