//! What the verbs print, and how.
//!
//! Takes finished text; gives it to standard output, or an error with its remedy to standard
//! error. Colours only where the stream is a terminal and the user has not said no (`NO_COLOR`,
//! `TERM=dumb`; `CLICOLOR_FORCE` says yes). A reader that stops early (`… | head`) is no fault.
//! Colour never carries a meaning alone: there is always a word beside it.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anstyle::{AnsiColor, Style};

use crate::core::exit::Exit;

/// A good finding.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something that is missing but not needed for the main job.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Something wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// A heading or a name.
pub const HEADING: Style = Style::new().bold();
/// Side matter.
pub const DIM: Style = Style::new().dimmed();

/// `text` in `style`; the escape codes are dropped on the way out where nobody wants them.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints `text` on standard output as it stands.
pub fn print(text: &str) -> Exit {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            fail(Exit::InputOutput, format!("cannot write to standard output: {error}"))
        }
        _ => Exit::Done,
    }
}

/// Prints a value as indented JSON on standard output.
pub fn print_json(value: &impl serde::Serialize) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => fail(Exit::Internal, format!("the findings do not go into JSON: {error}")),
    }
}

/// Prints `error: message` on standard error and gives back `exit`.
pub fn fail(exit: Exit, message: impl Display) -> Exit {
    let line = format!("{}: {message}\n", paint(BAD, "error"));
    // Where not even standard error can be written, the exit code still tells.
    let _ = anstream::stderr().lock().write_all(line.as_bytes());
    exit
}

/// Prints `note: message` on standard error.
pub fn note(message: impl Display) {
    let line = format!("{}: {message}\n", paint(WARNING, "note"));
    let _ = anstream::stderr().lock().write_all(line.as_bytes());
}

/// Breaks `text` between words so that no line is longer than `width` characters, a longer word
/// excepted; every line but the first starts with `indent` spaces.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
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

/// A number of bytes in the unit that people would choose.
pub fn bytes(count: u64) -> String {
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
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(4_300_000), "4.1 MiB");
        assert_eq!(bytes(1 << 45), "32.0 TiB");
    }
}
