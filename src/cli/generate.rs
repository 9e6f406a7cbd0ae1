//! `locutor generate`: manual pages and shell completions, for packages.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::Cli;
use super::terminal::fail;
use crate::core::exit::Exit;

/// `locutor generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What is written.
    pub what: What,
    /// The folder; it is made where it is missing.
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
}

/// What can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// A manual page for every command.
    Man,
    /// Completions for bash, zsh and fish.
    Completions,
}

/// Runs `locutor generate`.
pub(crate) fn generate(args: &GenerateArgs) -> Exit {
    let written = std::fs::create_dir_all(&args.into).and_then(|()| match args.what {
        What::Man => man_pages(&args.into),
        What::Completions => completions(&args.into),
    });
    match written {
        Ok(()) => Exit::Done,
        Err(error) => fail(Exit::CannotCreate, format!("{}: {error}", args.into.display())),
    }
}

/// The commands that are listed in the help: hidden ones are left out.
fn public(command: &Command) -> Command {
    let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned();
    let bare = Command::new("locutor")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(command.get_arguments().cloned())
        .subcommands(subs);
    match command.get_about() {
        Some(about) => bare.about(about.clone()),
        None => bare,
    }
}

/// Writes `locutor.1`, `locutor-annotate.1` and so on.
fn man_pages(into: &Path) -> io::Result<()> {
    let mut root = public(&Cli::command());
    root.build();
    pages(&root, into)
}

fn pages(command: &Command, into: &Path) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        pages(sub, into)?;
    }
    let man = Man::new(command.clone()).manual("locutor");
    let mut page = Vec::new();
    man.render(&mut page)?;
    exit_status().to_writer(&mut page)?;
    std::fs::write(into.join(man.get_filename()), page)
}

/// The section on exit codes, the same on every page.
fn exit_status() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        section.control("TP", []);
        section.text([roman(exit.code().to_string())]);
        section.text([roman(exit.meaning())]);
    }
    section
}

fn completions(into: &Path) -> io::Result<()> {
    let root = public(&Cli::command());
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut root.clone(), "locutor", into)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_public_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("man");
        let args = GenerateArgs { what: What::Man, into: into.clone() };
        assert_eq!(generate(&args), Exit::Done);
        let names = names(&into);
        for name in ["locutor.1", "locutor-annotate.1", "locutor-models-import.1"] {
            assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
        }
        assert!(!names.iter().any(|n| n.contains("generate") || n.contains("help")), "{names:?}");
        let page = std::fs::read_to_string(into.join("locutor-annotate.1")).unwrap();
        assert!(page.contains("frame\\-budget\\-mib") && page.contains("EXIT STATUS"), "{page}");
    }

    #[test]
    fn completions_know_the_options() {
        let dir = tempfile::tempdir().unwrap();
        completions(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["_locutor", "locutor.bash", "locutor.fish"]);
        for name in names(dir.path()) {
            let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
            assert!(text.contains("frame-budget-mib") && !text.contains("generate man"));
        }
    }
}
