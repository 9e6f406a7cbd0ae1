//! `locutor annotate`, and `locutor run` of a recording: builds the pipeline from the arguments,
//! shows the progress, and prints the report.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{AnnotateArgs, RunArgs, stats};
use crate::bench::threads::CpuByThread;
use crate::config::{ConfigError, FileSinkOptions, Pipeline, RecordPaths, parse_floor};
use crate::core::exit::Exit;
use crate::core::progress::Progress;
use crate::core::time::Span;
use crate::run::{Report, RunError, run};
use crate::stages::overlay::Style;
use crate::stages::source::SourceShape;

/// What is printed at the end.
#[derive(Clone, Copy)]
struct ReportOptions {
    json: bool,
    stats: bool,
}

/// Runs `locutor annotate`.
pub(super) fn annotate(args: &AnnotateArgs) -> Exit {
    let report_options = ReportOptions { json: args.json, stats: args.stats };
    match pipeline(args) {
        Ok(pipeline) => run_pipeline(&pipeline, report_options),
        Err(e) => fail(&RunError::from(e)),
    }
}

/// Runs `locutor run` of a recording.
pub(super) fn run_file(pipeline: &Pipeline, args: &RunArgs) -> Exit {
    run_pipeline(pipeline, ReportOptions { json: args.json, stats: args.stats })
}

fn pipeline(args: &AnnotateArgs) -> Result<Pipeline, ConfigError> {
    let device = args
        .device
        .parse()
        .map_err(|e| ConfigError::Invalid { key: "--device".into(), problem: format!("{e}") })?;
    let output = args.output.as_ref().map(|path| FileSinkOptions {
        path: path.clone(),
        encoder: Some(args.encoder.clone()).filter(|e| e != "auto"),
        crf: args.crf,
        preset: args.preset.word(),
    });
    Ok(Pipeline {
        input: args.input.clone(),
        audio_track: args.audio_track,
        output,
        records: RecordPaths {
            events: args.events.clone(),
            rttm: args.rttm.clone(),
            ava_csv: args.ava_csv.clone(),
            vtt: args.vtt.clone(),
        },
        package: args.package.clone(),
        detector: args.detector.clone(),
        device,
        lookahead: args.lookahead,
        explain: args.explain,
        floor: parse_floor(&args.floor)?,
        style: Style::default(),
        frame_budget_bytes: args.frame_budget_mib << 20,
        overwrite: args.overwrite,
    })
}

fn fail(error: &RunError) -> Exit {
    eprintln!("locutor: {error}");
    error.exit()
}

fn run_pipeline(pipeline: &Pipeline, report_options: ReportOptions) -> Exit {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first signal stops the run in order, the second at once.
        let armed = signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Interrupted.code()),
            Arc::clone(&stop),
        );
        if armed.and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop))).is_err() {
            tracing::warn!("signal {signal} cannot be handled; it will end the run at once");
        }
    }
    let (progress, done) = (Progress::default(), AtomicBool::new(false));
    let cpu = CpuByThread::default();
    let result = std::thread::scope(|scope| {
        let display = ProgressDisplay::new();
        let (progress, done, cpu, stop) = (&progress, &done, &cpu, &stop);
        let bar = display.clone();
        // Without this thread no progress is shown, but the run continues.
        let _ = std::thread::Builder::new()
            .name("progress".into())
            .spawn_scoped(scope, move || bar.follow(progress, done, cpu));
        // Ends the progress thread, also if the run panics.
        let _done = Done(done);
        run(pipeline, progress, |shape| display.opened(shape), stop)
    });
    match result {
        Ok(report) => print_report(&report, report_options, &cpu),
        Err(e) => fail(&e),
    }
}

/// Sets the flag when it is dropped: the run is over.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn print_report(report: &Report, report_options: ReportOptions, cpu: &CpuByThread) -> Exit {
    if report_options.json {
        match serde_json::to_string_pretty(report) {
            Ok(json) => println!("{json}"),
            Err(e) => eprintln!("locutor: the summary cannot be written as JSON: {e}"),
        }
    } else {
        println!("{}", report.summary.to_table());
        println!(
            "{:.1} s in {:.1} s ({:.2} × real time) on {} with {}, heatmaps by {}",
            report.media_seconds,
            report.wall_seconds,
            report.times_real_time,
            report.provider,
            report.package,
            report.explain,
        );
        for (role, path) in &report.outputs {
            println!("{role}: {}", path.display());
        }
    }
    if report_options.stats {
        eprint!("{}", stats::table(cpu, report));
    }
    match (report.complete, report.summary.degraded.is_empty()) {
        (false, _) => Exit::Interrupted,
        (true, false) => Exit::Degraded,
        (true, true) => Exit::Done,
    }
}

/// Progress: a bar on a terminal, log lines elsewhere.
#[derive(Clone)]
struct ProgressDisplay {
    bar: Option<ProgressBar>,
}

impl ProgressDisplay {
    fn new() -> Self {
        Self { bar: std::io::stderr().is_terminal().then(ProgressBar::hidden) }
    }

    fn opened(&self, shape: &SourceShape) {
        let audio = shape.audio.as_ref().map_or("no audio", |s| s.codec.as_str());
        let rate =
            shape.video.rate.map_or_else(|| "variable".into(), |r| format!("{:.3}", r.fps()));
        let line = format!("{}x{}, {rate} fps, {audio}", shape.video.width, shape.video.height);
        match &self.bar {
            Some(bar) => {
                let ms = shape.duration.map_or(0, |d| d.ns() / 1_000_000);
                bar.set_length(u64::try_from(ms).unwrap_or(0));
                bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                if let Ok(style) = ProgressStyle::with_template(
                    "{msg:24} {bar:30} {percent:>3} %  {elapsed} elapsed, {eta} left",
                ) {
                    bar.set_style(style);
                }
                bar.println(line);
            }
            None => tracing::info!("{line}"),
        }
        if shape.audio.is_none() {
            tracing::warn!("the recording has no audio: every score is unknown");
        }
    }

    fn follow(&self, progress: &Progress, done: &AtomicBool, cpu: &CpuByThread) {
        let mut polls = 0_u32;
        while !done.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
            polls += 1;
            if polls.is_multiple_of(3) {
                cpu.sample();
            }
            let at = Span::from_ns(progress.pts_ns.load(Ordering::Relaxed));
            let people = progress.people.load(Ordering::Relaxed);
            let speed = at.seconds() / (f64::from(polls) * 0.1);
            let text = if progress.drawing.load(Ordering::Relaxed) {
                format!("drawing, {:.1} s", at.seconds())
            } else {
                format!("{:.1} s, {speed:.1} × real time, {people} faces", at.seconds())
            };
            match &self.bar {
                Some(bar) => {
                    bar.set_position(u64::try_from(at.ns() / 1_000_000).unwrap_or(0));
                    bar.set_message(text);
                }
                None if polls.is_multiple_of(50) => tracing::info!("{text}"),
                None => {}
            }
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
