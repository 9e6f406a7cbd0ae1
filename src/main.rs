//! The `locutor` program: parses the command line, starts the log, runs the command.

use std::process::ExitCode;

use clap::Parser;

use locutor::cli::{Cli, dispatch};

fn main() -> ExitCode {
    let cli = Cli::parse();
    locutor::cli::log::start(cli.log_filter(), cli.log_format);
    dispatch(&cli.command).into()
}
