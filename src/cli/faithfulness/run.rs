//! Runs the measurement and prints the figures.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::FaithfulnessArgs;
use crate::cli::terminal::{fail, note, print, print_json};
use crate::config::ConfigError;
use crate::core::exit::Exit;
use crate::faithfulness::clips::{Request, measure_clips};
use crate::faithfulness::report::{ClipReport, Comparison, MapReport, Mean, Report};
use crate::run::RunError;
use crate::stages::explain::faithfulness::Substrate;

/// With fewer windows, maps with similar figures cannot be ranked.
const ENOUGH: usize = 30;

/// Runs `locutor faithfulness`.
pub(crate) fn faithfulness(args: &FaithfulnessArgs) -> Exit {
    let measured = request(args).and_then(|request| measure_clips(&request, progress));
    let report = match measured {
        Ok(report) => report,
        Err(error) => return fail(error.exit(), error),
    };
    let windows = report.windows.len();
    if windows == 0 {
        return fail(Exit::BadData, nothing_found(&report, args.seconds));
    }
    if windows < ENOUGH {
        note(format!(
            "only {windows} windows, where reliable figures need {ENOUGH} or more: maps whose \
             intervals overlap cannot be ranked; give more clips, of other people"
        ));
    }
    if report.survives_masking() {
        note(format!(
            "with the whole frame masked, {} scores almost the same as without a mask: substrate \
             {} does not remove what it relies on, so maps cannot be compared{}",
            report.conditions.package,
            word(&report.conditions.substrate),
            if args.substrate == Substrate::Blur { "; try --substrate still" } else { "" },
        ));
    }
    if args.json { print_json(&report) } else { print(&table(&report)) }
}

fn request(args: &FaithfulnessArgs) -> Result<Request, RunError> {
    let device = args
        .device
        .parse()
        .map_err(|e| ConfigError::Invalid { key: "--device".into(), problem: format!("{e}") })?;
    Ok(Request {
        clips: args.clips.clone(),
        audio_track: args.audio_track,
        package: args.package.clone(),
        detector: args.detector.clone(),
        device,
        modes: args.modes(),
        window_ticks: args.window_ticks(),
        windows_per_clip: args.windows,
        substrate: args.substrate,
        seed: args.seed,
    })
}

/// Reports a finished recording, as measuring takes minutes.
fn progress(clip: &ClipReport) {
    let line = format!("{}: {} windows measured", clip.clip.display(), clip.windows);
    if std::io::stderr().is_terminal() {
        eprintln!("{line}");
    } else {
        tracing::info!("{line}");
    }
}

fn nothing_found(report: &Report, seconds: f64) -> String {
    let sum = |of: fn(&ClipReport) -> usize| report.clips.iter().map(of).sum::<usize>();
    let notes: Vec<_> = report.clips.iter().filter_map(|c| c.note.as_deref()).collect();
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!(
        "there is no window of {seconds} s in which {} says speaking{notes}: of {} tracks {} are \
         silent and {} too short or without audio; give clips in which people are seen and heard \
         speaking, or shorter windows with --seconds",
        report.conditions.package,
        sum(|c| c.tracks),
        sum(|c| c.silent),
        sum(|c| c.too_short),
    )
}

/// The figures as text.
fn table(report: &Report) -> String {
    let c = &report.conditions;
    let mut out = format!(
        "{} on {}, faces by {}; {} windows of {} s, substrate {}, seed {}\n\n",
        c.package,
        c.provider,
        c.detector,
        report.windows.len(),
        c.window_seconds,
        word(&c.substrate),
        c.seed,
    );
    out.push_str(&clips(report));
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "\nz {} with the whole frame, {} with all of it masked",
        mean(report.z_full),
        mean(report.z_masked),
    );
    let _ = writeln!(
        out,
        "Spearman of gate × activation with the effect of removing the channel: {}\n",
        mean(report.correlation),
    );
    out.push_str(&maps(report));
    out
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn mean(mean: Option<Mean>) -> String {
    mean.map_or_else(
        || "-".into(),
        |m| format!("{:+.2} ({:+.2}..{:+.2})", m.mean, m.interval_90[0], m.interval_90[1]),
    )
}

fn clips(report: &Report) -> String {
    let width = report.clips.iter().map(|c| name(c).chars().count()).max().unwrap_or(0).max(4);
    let mut out = format!(
        "{:width$} {:>7} {:>8} {:>7} {:>9} {:>10}\n",
        "clip", "tracks", "windows", "silent", "too short", "skipped"
    );
    for clip in &report.clips {
        let _ = write!(
            out,
            "{:width$} {:7} {:8} {:7} {:9} {:10}",
            name(clip),
            clip.tracks,
            clip.windows,
            clip.silent,
            clip.too_short,
            clip.skipped
        );
        out.push_str(&clip.note.as_ref().map_or_else(String::new, |note| format!("  {note}")));
        out.push('\n');
    }
    out
}

fn name(clip: &ClipReport) -> String {
    let path = &clip.clip;
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Every map, the most faithful first.
fn maps(report: &Report) -> String {
    let mut rows: Vec<&MapReport> = report.maps.iter().collect();
    let gap = |m: &MapReport| m.gap.map_or(f64::NEG_INFINITY, |g| g.mean);
    rows.sort_by(|a, b| gap(b).total_cmp(&gap(a)));
    let width = rows.iter().map(|m| title(m).chars().count()).max().unwrap_or(0);
    let mut out = format!(
        "{:width$} {:>7} {:>21} {:>21} {:>22} {:>15} {:>15} {:>8}\n",
        "map",
        "windows",
        "del z 10/20/40 %",
        "ins z 10/20/40 %",
        "gap (90 %)",
        "above permuted",
        "above mouth box",
        "typical",
    );
    for map in rows {
        let _ = writeln!(
            out,
            "{:width$} {:7} {:>21} {:>21} {:>22} {:>15} {:>15} {:>8}",
            title(map),
            map.windows,
            by_area(map.deletion),
            by_area(map.insertion),
            if map.gap.is_some() { mean(map.gap) } else { "empty".into() },
            compared(map.above_permuted),
            compared(map.above_mouth_box),
            map.typical.map_or_else(|| "-".into(), |v| format!("{v:.3}")),
        );
    }
    out
}

fn title(map: &MapReport) -> String {
    if map.control { format!("{} (control)", map.map) } else { map.map.to_owned() }
}

fn by_area(values: Option<[f64; 3]>) -> String {
    values.map_or_else(|| "-".into(), |[a, b, c]| format!("{a:+.2}/{b:+.2}/{c:+.2}"))
}

fn compared(compared: Option<Comparison>) -> String {
    compared.map_or_else(
        || "-".into(),
        |c| format!("{:.0} %, p {:.3}", 100.0 * c.above as f64 / c.of as f64, c.p),
    )
}
