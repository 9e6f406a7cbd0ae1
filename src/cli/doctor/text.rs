//! The readable report: a line for each finding, what is missing marked, and how to fix it.

use std::fmt::Write as _;

use super::report::{ElementStatus, EncoderStatus, Media, Models, Report, RoleStatus, Runtime};
use crate::cli::terminal::{BAD, DIM, GOOD, HEADING, WARNING, paint, wrap};

const WIDTH: usize = 100;
/// Columns before a line's text: two spaces, the mark, a space.
const INDENT: usize = 11;

/// The mark in front of a line, in capitals if the main job cannot run.
#[derive(Clone, Copy)]
enum Mark {
    Ok,
    Absent { required: bool },
    Broken { required: bool },
}

impl Mark {
    fn paint(self) -> String {
        let (style, word) = match self {
            Self::Ok => (GOOD, "ok"),
            Self::Absent { required: true } => (BAD, "MISSING"),
            Self::Absent { required: false } => (WARNING, "absent"),
            Self::Broken { required: true } => (BAD, "BROKEN"),
            Self::Broken { required: false } => (WARNING, "broken"),
        };
        paint(style, format!("{word:<8}"))
    }
}

/// The whole report.
pub(super) fn render(report: &Report) -> String {
    let features = match report.locutor.features.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let title = paint(HEADING, format!("locutor {}", report.locutor.version));
    let mut out = format!("{title} {}\n", paint(DIM, format!("(features: {features})")));
    media(&mut out, &report.media);
    runtime(&mut out, &report.onnx_runtime);
    models(&mut out, &report.models);
    verdict(&mut out, report);
    out
}

fn heading(out: &mut String, name: &str, detail: &str) {
    let _ = write!(out, "\n{}", paint(HEADING, name));
    if !detail.is_empty() {
        let _ = write!(out, " {detail}");
    }
    out.push('\n');
}

fn line(out: &mut String, mark: Mark, text: &str) {
    let _ = writeln!(out, "  {} {}", mark.paint(), wrap(text, WIDTH, INDENT));
}

fn media(out: &mut String, media: &Media) {
    heading(out, "GStreamer", media.version.as_deref().unwrap_or_default());
    if let Some(problem) = &media.problem {
        line(out, Mark::Absent { required: true }, problem);
        return;
    }
    let mut rest: &[ElementStatus] = &media.elements;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|e| e.group == first.group).count();
        let (group, after) = rest.split_at(length);
        elements(out, group);
        rest = after;
    }
    for encoder in &media.encoders {
        encoder_line(out, encoder);
    }
    for decoder in &media.decoders {
        let mut text =
            format!("{} decoder: {} ({})", decoder.codec, decoder.element, decoder.runs_on);
        if !decoder.others.is_empty() {
            let _ = write!(text, "; then: {}", decoder.others.join(" "));
        }
        line(out, Mark::Ok, &text);
    }
    for plugin in &media.broken_plugins {
        line(
            out,
            Mark::Broken { required: false },
            &format!("{plugin}: GStreamer could not load this plugin"),
        );
    }
}

/// A group of elements: installed ones on one line, missing ones on a line each.
fn elements(out: &mut String, group: &[ElementStatus]) {
    let here: Vec<&str> = group.iter().filter_map(|e| e.found).collect();
    if let (false, Some(first)) = (here.is_empty(), group.first()) {
        line(out, Mark::Ok, &format!("{}: {}", first.group, here.join(" ")));
    }
    for e in group.iter().filter(|e| e.found.is_none()) {
        let text = format!("{} to {} (in {})", e.element, e.purpose, e.package);
        line(out, Mark::Absent { required: e.required }, &text);
    }
}

fn encoder_line(out: &mut String, encoder: &EncoderStatus) {
    let what = format!("{} encoder for {}:", encoder.codec, encoder.containers);
    let Some(element) = &encoder.element else {
        let text = format!("{what} none is installed");
        return line(out, Mark::Absent { required: encoder.required }, &text);
    };
    let mut text = format!("{what} {element} ({})", encoder.runs_on.unwrap_or("CPU"));
    if !encoder.others.is_empty() {
        let _ = write!(text, "; also here for --encoder: {}", encoder.others.join(" "));
    }
    if let Some(problem) = &encoder.problem {
        let _ = write!(text, "; {problem}");
    }
    let mark = match encoder.problem {
        None => Mark::Ok,
        Some(_) => Mark::Broken { required: encoder.required },
    };
    line(out, mark, &text);
}

fn runtime(out: &mut String, runtime: &Runtime) {
    heading(out, "ONNX Runtime", runtime.version.as_deref().unwrap_or_default());
    if let Some(problem) = &runtime.problem {
        let mark = match runtime.path {
            Some(_) => Mark::Broken { required: true },
            None => Mark::Absent { required: true },
        };
        return line(out, mark, problem);
    }
    if let Some(path) = &runtime.path {
        line(out, Mark::Ok, &format!("library: {path}"));
    }
    let providers = runtime.providers.iter().map(|p| match p.device {
        Some(device) => format!("{} (--device {device})", p.name),
        None => format!("{} (not used)", p.name),
    });
    let providers = providers.collect::<Vec<_>>().join(", ");
    line(out, Mark::Ok, &format!("execution providers: {providers}"));
    if let Some(device) = &runtime.auto_device {
        line(out, Mark::Ok, &format!("--device auto runs on: {device}"));
    }
    if let Some(problem) = &runtime.gpu_problem {
        line(out, Mark::Broken { required: false }, problem);
    }
}

fn models(out: &mut String, models: &Models) {
    heading(out, "Models", "");
    for package in &models.packages {
        let kind = package.kind.unwrap_or("unreadable");
        let mut text = format!("{} ({kind}", package.name);
        if let Some(licence) = &package.licence {
            let _ = write!(text, ", {licence}");
        }
        text.push_str("): ");
        text.push_str(match (&package.problem, package.graphs_verified) {
            (Some(problem), _) => problem,
            (None, Some(_)) => "checksums correct, graphs match the manifest",
            (None, None) => "checksums correct, graphs not checked",
        });
        let _ = write!(text, "; {}", package.dir);
        let roles = [&models.speaker, &models.detector];
        let mark = match &package.problem {
            None => Mark::Ok,
            problem => Mark::Broken { required: roles.iter().any(|r| r.problem == *problem) },
        };
        line(out, mark, &text);
    }
    role(out, "speaker model", &models.speaker, models);
    role(out, "face detector", &models.detector, models);
}

fn role(out: &mut String, what: &str, role: &RoleStatus, models: &Models) {
    let listed = models.packages.iter().any(|p| p.problem.is_some() && p.problem == role.problem);
    match (&role.problem, &role.uses) {
        (None, Some(name)) => {
            let better = role.better.as_ref().map(|b| format!("; {}", b.why)).unwrap_or_default();
            line(out, Mark::Ok, &format!("{what} that will be used: {name}{better}"));
        }
        (Some(problem), _) if !listed => line(out, Mark::Absent { required: true }, problem),
        // The problem is listed with the package itself.
        _ => line(out, Mark::Absent { required: true }, &format!("no {what} that can be used")),
    }
}

fn verdict(out: &mut String, report: &Report) {
    let ready = if report.ready {
        let example = "locutor annotate meeting.mp4 -o meeting.annotated.mp4";
        format!("{} {example}", paint(GOOD, "Ready:"))
    } else {
        let count = report.fix.iter().filter(|r| r.required).count();
        let (things, are) = if count == 1 { ("thing", "is") } else { ("things", "are") };
        let bad = paint(BAD, "Not ready:");
        format!("{bad} {count} {things} that `locutor annotate` requires {are} missing.")
    };
    let _ = writeln!(out, "\n{ready}");
    for (required, title) in [(true, "To fix it:"), (false, "Worth fixing:")] {
        let list: Vec<_> = report.fix.iter().filter(|r| r.required == required).collect();
        if !list.is_empty() {
            let _ = writeln!(out, "{}", paint(HEADING, title));
        }
        for new_fix in list {
            // A command is not wrapped, so that it can be copied.
            let text = new_fix.command.replace('\n', " ");
            let _ = writeln!(out, "  {text}");
        }
    }
}
