//! The command line as a document: docs/cli.md, made from the definitions that parse it.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::core::exit::Exit;

/// What stands above the generated tables.
const HEAD: &str = "\
# The command line

<!-- Generated from src/cli. After a change: LOCUTOR_UPDATE_DOCS=1 cargo test --test cli_reference -->

The built-in help and the manual pages (`man locutor-annotate`) say the same. An option that an
environment variable can set names the variable.
";

/// The whole document for `command` and every command below it.
pub fn markdown(command: &Command) -> String {
    let mut out = HEAD.to_owned();
    for sub in command.get_subcommands() {
        section(sub, &format!("{} {}", command.get_name(), sub.get_name()), &mut out);
    }
    out.push_str("\n## Options of every command\n");
    table(command, &mut out);
    exit_codes(&mut out);
    out
}

/// One command, or the commands below it where it does nothing by itself.
fn section(command: &Command, words: &str, out: &mut String) {
    if command.is_hide_set() {
        return;
    }
    if command.has_subcommands() {
        for sub in command.get_subcommands() {
            section(sub, &format!("{words} {}", sub.get_name()), out);
        }
        return;
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().bin_name(words).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = write!(out, "\n## `{words}`\n\n{}\n\n```text\n{usage}\n```\n", sentence(&about));
    table(command, out);
}

/// The arguments and options of one command.
fn table(command: &Command, out: &mut String) {
    let shown: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    if shown.is_empty() {
        return;
    }
    out.push_str("\n| argument or option | meaning | default |\n|---|---|---|\n");
    for arg in shown {
        let (meaning, default) = (cell(&meaning(arg)), cell(&default(arg)));
        let _ = writeln!(out, "| {} | {meaning} | {default} |", name(arg));
    }
}

fn takes_values(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// How the argument is typed.
fn name(arg: &Arg) -> String {
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let value = if value.is_empty() { arg.get_id().as_str().to_uppercase() } else { value };
    let repeated = if takes_several(arg) { "…" } else { "" };
    if arg.is_positional() {
        return format!("`{value}{repeated}`");
    }
    let value = if takes_values(arg) { format!(" {value}{repeated}") } else { String::new() };
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    format!("{short}`--{}{value}`", arg.get_long().unwrap_or_default())
}

/// Whether the argument takes several words, or may be given several times.
fn takes_several(arg: &Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Append) && arg.get_value_delimiter().is_none()
}

/// The help, with the words that are allowed and the environment variable.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut text = sentence(&help.map(ToString::to_string).unwrap_or_default());
    let words = arg.get_possible_values();
    let words = words.iter().filter(|word| takes_values(arg) && !word.is_hide_set());
    let words: Vec<_> = words.map(|word| format!("`{}`", word.get_name())).collect();
    if !words.is_empty() {
        let _ = write!(text, " One of {}.", words.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Environment: `{}`.", variable.to_string_lossy());
    }
    text.trim_start().to_owned()
}

fn default(arg: &Arg) -> String {
    let values = arg.get_default_values().iter().filter(|_| takes_values(arg));
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    match values.is_empty() {
        true if arg.is_required_set() => "required".to_owned(),
        true => String::new(),
        false => format!("`{}`", values.join(",")),
    }
}

/// With the full stop that clap takes off.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with(['.', '?', '!']) { text } else { format!("{text}.") }
}

/// Text that may stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn exit_codes(out: &mut String) {
    out.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        let _ = writeln!(out, "| {} | {} |", exit.code(), cell(exit.meaning()));
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    fn command() -> Command {
        let below = Command::new("cut")
            .about("Cut a file")
            .arg(Arg::new("file").required(true).value_name("FILE").help("What is cut"))
            .arg(Arg::new("at").short('a').long("at").default_value("1|2").help("Where"))
            .arg(Arg::new("how").long("how").value_parser(["fine", "coarse"]).env("X_HOW"))
            .arg(Arg::new("dry").long("dry").action(ArgAction::SetTrue).help("Write nothing"));
        Command::new("x")
            .subcommand(Command::new("group").subcommand(below))
            .subcommand(Command::new("secret").hide(true))
    }

    #[test]
    fn every_argument_has_a_row() {
        let text = markdown(&command());
        assert!(text.contains("## `x group cut`\n\nCut a file.\n\n```text\nx group cut"), "{text}");
        for row in [
            "| `FILE` | What is cut. | required |",
            r"| `-a`, `--at AT` | Where. | `1\|2` |",
            "| `--how HOW` | One of `fine`, `coarse`. Environment: `X_HOW`. |  |",
            "| `--dry` | Write nothing. |  |",
            "| 0 | ",
        ] {
            assert!(text.contains(row), "{row} is not in {text}");
        }
        assert!(!text.contains("secret"));
    }
}
