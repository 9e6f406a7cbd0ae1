//! docs/cli.md says what the command line takes. `LOCUTOR_UPDATE_DOCS=1` writes it anew.

use std::path::Path;

use clap::CommandFactory;
use locutor::cli::{Cli, reference};

#[test]
fn docs_cli_md_is_what_the_command_line_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let generated = reference::markdown(&Cli::command());
    if std::env::var_os("LOCUTOR_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &generated).expect("docs/cli.md can be written");
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stored == generated,
        "docs/cli.md differs from the command line; write it anew with\n  \
         LOCUTOR_UPDATE_DOCS=1 cargo test --test cli_reference"
    );
}
