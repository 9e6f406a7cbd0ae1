//! `locutor run` for live streams: handles signals and prints the report.

use std::sync::Arc;

use super::RunArgs;
use crate::config::ConfigError;
use crate::config::any::{AnyPipeline, read_any};
use crate::core::exit::Exit;
use crate::live::process::{Process, ProcessReport, Signals};
use crate::live::watchdog::{self, Watchdog};
use crate::run::RunError;

/// Runs `locutor run`: one recording, or any number of live streams.
pub(super) fn run(args: &RunArgs) -> Exit {
    if let [only] = args.pipelines.as_slice() {
        match read_any(only) {
            Ok(AnyPipeline::Recording(pipeline)) => {
                return super::annotate::run_file(&pipeline, args);
            }
            Ok(AnyPipeline::Camera(_)) => {}
            Err(e) => return fail(&e.into()),
        }
    }
    let signals = Signals::default();
    if let Err(e) = register_signals(&signals) {
        tracing::warn!("signals cannot be handled ({e}); they will end the process at once");
    }
    let process = match Process::start(&args.pipelines) {
        Ok(process) => process,
        Err(e) => return fail(&e),
    };
    if let Some(address) = process.health() {
        tracing::info!("health and metrics on {address}");
    }
    let watchdog = Watchdog::start(process.list());
    if let Err(e) = &watchdog {
        tracing::warn!("systemd's watchdog is not notified: its thread cannot be started ({e})");
    }
    watchdog::ready();
    print_report(&process.run(&signals), args)
}

fn fail(error: &RunError) -> Exit {
    eprintln!("locutor: {error}");
    match error {
        RunError::Config(ConfigError::Invalid { .. }) => Exit::Config,
        other => other.exit(),
    }
}

/// SIGTERM and Ctrl-C stop everything in order, a second one at once. SIGHUP reloads the files.
fn register_signals(signals: &Signals) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(Exit::Interrupted.code());
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&signals.stop))?;
        signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
    }
    signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload))?;
    Ok(())
}

fn print_report(figures: &ProcessReport, args: &RunArgs) -> Exit {
    if args.json {
        match serde_json::to_string_pretty(figures) {
            Ok(json) => println!("{json}"),
            Err(e) => eprintln!("locutor: the figures cannot be written as JSON: {e}"),
        }
    }
    if args.stats {
        for (stream, stages) in &figures.latency {
            eprintln!("{stream}: from capture, in ms     p50     p95     p99   count");
            for (stage, p) in stages {
                let ms = |s: f32| s * 1_000.0;
                let (p50, p95, p99) = (ms(p.p50), ms(p.p95), ms(p.p99));
                eprintln!("  to the end of {stage:<12} {p50:8.0}{p95:8.0}{p99:8.0}{:8}", p.count);
            }
        }
    }
    if figures.ended_in_time { Exit::Done } else { Exit::Internal }
}
