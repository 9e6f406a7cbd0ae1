//! The documents are true: their commands can be typed, their links lead somewhere, and no option
//! or exit code of the program is missing from them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, Parser};
use locutor::cli::Cli;

use crate::tree::{files, none_of, root, text};

/// All documents.
fn documents() -> Vec<PathBuf> {
    files().into_iter().filter(|file| file.extension().is_some_and(|e| e == "md")).collect()
}

fn read(file: &Path) -> String {
    text(file).expect("a document is text")
}

/// A document's text and its blocks of shell commands, apart.
fn split(document: &str) -> (String, Vec<String>) {
    let (mut prose, mut commands, mut block) = (String::new(), Vec::new(), None::<bool>);
    for line in document.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(kind), None) => block = Some(kind == "sh"),
            (Some(_), Some(_)) => block = None,
            (None, Some(true)) => commands.push(line.to_owned()),
            (None, Some(false)) => {}
            (None, None) => prose.extend([line, "\n"]),
        }
    }
    (prose, joined(&commands))
}

/// Lines that end in a backslash joined with what follows; comments left out.
fn joined(lines: &[String]) -> Vec<String> {
    let mut whole = vec![String::new()];
    for line in lines {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let last = whole.last_mut().expect("there is one from the start");
        if let Some(begun) = line.strip_suffix('\\') {
            last.push_str(begun);
        } else {
            last.push_str(line);
            whole.push(String::new());
        }
    }
    whole.retain(|line| !line.is_empty() && !line.starts_with('#'));
    whole
}

/// What stands between single backticks.
fn code_spans(prose: &str) -> Vec<&str> {
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn make_targets() -> BTreeSet<String> {
    let makefile = read(Path::new("Makefile"));
    let heads = makefile.lines().filter_map(|line| line.split_once(':'));
    let names = heads.filter(|(name, _)| !name.starts_with(['.', '\t', '#', ' ']));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

/// What is wrong with one line of a shell block.
fn wrong_command(line: &str) -> Option<String> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    words.truncate(words.iter().position(|w| ["|", ">", "&&", "||"].contains(w)).unwrap_or(99));
    match words.first()?.rsplit('/').next()? {
        "make" => {
            let targets = make_targets();
            // What has a `=` in it sets a variable.
            let given = words[1..].iter().filter(|word| !word.contains('='));
            let unknown = given.into_iter().find(|target| !targets.contains(**target));
            unknown.map(|target| format!("the Makefile has no target {target}"))
        }
        "locutor" => Cli::try_parse_from(words).err().map(|error| error.to_string()),
        _ if words[0].starts_with("tools/") => {
            let missing = !root().join(words[0]).is_file();
            missing.then(|| format!("there is no {}", words[0]))
        }
        _ => None,
    }
}

/// Every command below `command`, with the words that lead to it.
fn commands(command: &Command, words: &str, out: &mut Vec<(String, Command)>) {
    out.push((words.to_owned(), command.clone()));
    for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
        commands(below, &format!("{words} {}", below.get_name()), out);
    }
}

fn all_commands() -> Vec<(String, Command)> {
    let mut out = Vec::new();
    commands(&Cli::command(), "locutor", &mut out);
    out
}

fn options(command: &Command) -> Vec<String> {
    let longs = command.get_arguments().filter_map(|arg| arg.get_long());
    let own = longs.filter(|long| !["help", "version"].contains(long));
    own.map(|long| format!("--{long}")).collect()
}

/// Whether `text` has `option` as a whole word.
fn mentions(text: &str, option: &str) -> bool {
    text.match_indices(option).any(|(at, _)| {
        let next = text[at + option.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '-')
    })
}

#[test]
fn commands_in_the_documents_can_be_typed() {
    let known = all_commands();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in documents() {
        let (prose, lines) = split(&read(&file));
        for line in &lines {
            seen += 1;
            if let Some(problem) = wrong_command(line) {
                wrong.push(format!("{}: {line}: {problem}", file.display()));
            }
        }
        for span in code_spans(&prose) {
            let is_known =
                |second: &str| known.iter().any(|(w, _)| *w == format!("locutor {second}"));
            let problem = match span.split_whitespace().collect::<Vec<_>>()[..] {
                ["locutor", second, ..] => !second.starts_with('-') && !is_known(second),
                ["make", target] => !make_targets().contains(target),
                _ => false,
            };
            if problem {
                wrong.push(format!("{}: `{span}`", file.display()));
            }
        }
    }
    assert!(seen > 5, "only {seen} commands were found: are shell blocks marked sh?");
    none_of("commands in the documents can be typed", &wrong);
}

/// Documents whose options are the program's own.
const USER_DOCUMENTS: [&str; 8] = [
    "README.md",
    "docs/cli.md",
    "docs/evaluation.md",
    "docs/faithfulness.md",
    "docs/licences.md",
    "docs/models.md",
    "docs/recordings.md",
    "docs/records.md",
];

#[test]
fn options_in_the_documents_for_users_exist() {
    let known: BTreeSet<String> = all_commands().iter().flat_map(|(_, c)| options(c)).collect();
    let mut unknown = Vec::new();
    for file in USER_DOCUMENTS {
        let (prose, _) = split(&read(Path::new(file)));
        for span in code_spans(&prose).into_iter().filter(|span| span.starts_with("--")) {
            let option = span.split([' ', '=', '[']).next().unwrap_or_default();
            if !known.contains(option) {
                unknown.push(format!("{file}: {option}"));
            }
        }
    }
    none_of("options in the documents for users exist", &unknown);
}

#[test]
fn every_option_is_in_the_documents() {
    let readers = |file: &PathBuf| file == Path::new("README.md") || file.starts_with("docs");
    let told: String = documents().iter().filter(|f| readers(f)).map(|f| read(f)).collect();
    let mut missing = Vec::new();
    for (words, command) in all_commands() {
        let untold = options(&command).into_iter().filter(|option| !mentions(&told, option));
        missing.extend(untold.map(|option| format!("{words} {option}")));
    }
    none_of("every option is explained in README.md or docs/", &missing);
}

#[test]
fn every_exit_code_is_in_the_documents() {
    let document = read(Path::new("docs/cli.md"));
    let codes = read(Path::new("src/core/exit.rs"));
    let codes = codes.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
    let codes = codes.filter_map(|line| line.split_once(" => ")?.1.strip_suffix(','));
    let codes: Vec<_> = codes.filter(|code| code.parse::<u8>().is_ok()).collect();
    assert!(codes.len() >= 12, "src/core/exit.rs is not written as this rule expects");
    let untold = codes.iter().filter(|code| !document.contains(&format!("\n| {code} |")));
    let untold: Vec<_> = untold.map(|code| (*code).to_owned()).collect();
    none_of("every exit code has a row in the table of docs/cli.md", &untold);
}

/// Folders that documents name files of.
const FOLDERS: [&str; 10] = [
    "benches/",
    "docs/",
    "models/",
    "packaging/",
    "pipelines/",
    "src/",
    "systemd/",
    "tests/",
    "tools/",
    "training/",
];

#[test]
fn files_in_the_documents_for_developers_exist() {
    let mut missing = Vec::new();
    for file in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let (prose, _) = split(&read(Path::new(file)));
        let paths = code_spans(&prose).into_iter().filter(|span| {
            FOLDERS.iter().any(|folder| span.starts_with(folder)) && !span.contains(' ')
        });
        let absent = paths.filter(|path| !root().join(path).exists());
        missing.extend(absent.map(|path| format!("{file}: {path}")));
    }
    none_of("files that the documents for developers name exist", &missing);
}

/// A heading's anchor, as the usual hosts make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

fn has_anchor(document: &str, wanted: &str) -> bool {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|a| a == wanted)
}

/// The targets of all links and frames.
fn links(prose: &str) -> Vec<&str> {
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for file in documents() {
        let own = read(&file);
        let (prose, _) = split(&own);
        for link in links(&prose).into_iter().filter(|l| !l.starts_with("http")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = file.parent().unwrap_or(Path::new("")).join(path);
            let there = path.is_empty() || root().join(&target).exists();
            let document = if path.is_empty() { Some(own.clone()) } else { document(&target) };
            if !there || !heading.is_empty() && !document.is_some_and(|d| has_anchor(&d, heading)) {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    none_of("links in the documents lead somewhere", &broken);
}

fn document(file: &Path) -> Option<String> {
    std::fs::read_to_string(root().join(file)).ok()
}

#[test]
fn documents_are_taken_apart() {
    let (prose, lines) =
        split("a `--b` c\n```sh\n# no\nmake \\\n  demo   # yes\n```\n```\nx\n```\n[l](d#e)");
    assert_eq!((code_spans(&prose), links(&prose)), (vec!["--b"], vec!["d#e"]));
    assert_eq!(lines, ["make demo"]);
    assert!(wrong_command("make nonsense").is_some() && wrong_command("make demo").is_none());
    assert!(wrong_command("locutor annotate a.mp4 --nonsense").is_some());
    assert!(mentions("use `--json`.", "--json") && !mentions("--json-lines", "--json"));
    assert_eq!(anchor("The run's clock"), "the-runs-clock");
}
