//! The findings, to be printed as text or JSON, and their assessment.

use serde::Serialize;

/// Incremented when a key of the JSON changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// All findings of `doctor`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub schema: u32,
    /// Whether `annotate` can run.
    pub ready: bool,
    pub locutor: Program,
    #[serde(rename = "gstreamer")]
    pub media: Media,
    pub onnx_runtime: Runtime,
    pub models: Models,
    /// What to do, in order; what is required is first.
    pub fix: Vec<Fix>,
}

#[derive(Debug, Serialize)]
pub(super) struct Program {
    pub version: &'static str,
    pub features: Vec<&'static str>,
}

/// What reads and writes media.
#[derive(Debug, Default, Serialize)]
pub(super) struct Media {
    pub version: Option<String>,
    pub problem: Option<String>,
    /// What to do about `problem`.
    pub fix: Option<String>,
    pub elements: Vec<ElementStatus>,
    pub encoders: Vec<EncoderStatus>,
    pub decoders: Vec<DecoderStatus>,
    /// Plugin files that GStreamer found but could not load.
    pub broken_plugins: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ElementStatus {
    pub element: &'static str,
    pub group: &'static str,
    pub purpose: &'static str,
    pub package: &'static str,
    pub required: bool,
    /// The element itself or an alternative; none if it is missing.
    pub found: Option<&'static str>,
}

/// The encoder that `--encoder auto` takes for a codec.
#[derive(Debug, Serialize)]
pub(super) struct EncoderStatus {
    pub codec: &'static str,
    pub containers: &'static str,
    pub element: Option<String>,
    /// CPU, or which kind of GPU.
    pub runs_on: Option<&'static str>,
    /// Other installed ones, for `--encoder`.
    pub others: Vec<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    pub required: bool,
}

/// The decoder that is tried first for a codec.
#[derive(Debug, Serialize)]
pub(super) struct DecoderStatus {
    pub codec: &'static str,
    pub element: String,
    /// CPU, or which kind of GPU.
    pub runs_on: &'static str,
    /// What is tried next, in this order.
    pub others: Vec<String>,
}

/// What runs the models.
#[derive(Debug, Default, Serialize)]
pub(super) struct Runtime {
    pub path: Option<String>,
    pub version: Option<String>,
    pub providers: Vec<ProviderStatus>,
    /// What `--device auto` runs on, if there is a model to check it with.
    pub auto_device: Option<String>,
    pub problem: Option<String>,
    pub fix: Option<String>,
    /// Why a GPU that the library supports cannot be used.
    pub gpu_problem: Option<String>,
}

/// An execution provider that the library was built with.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ProviderStatus {
    pub name: &'static str,
    /// The `--device` that uses it; none if this program does not.
    pub device: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Models {
    pub looked_in: Vec<String>,
    pub packages: Vec<PackageStatus>,
    pub speaker: RoleStatus,
    pub detector: RoleStatus,
}

#[derive(Debug, Serialize)]
pub(super) struct PackageStatus {
    pub name: String,
    pub dir: String,
    pub kind: Option<&'static str>,
    pub licence: Option<String>,
    pub checksums_verified: bool,
    /// None if there is no runtime to check them with.
    pub graphs_verified: Option<bool>,
    pub problem: Option<String>,
}

/// The package that is used for a role by default.
#[derive(Debug, Default, Serialize)]
pub(super) struct RoleStatus {
    pub uses: Option<String>,
    pub problem: Option<String>,
    pub fix: Option<String>,
    /// A better package than the one in use.
    pub better: Option<Better>,
}

/// A package that is worth importing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Better {
    pub why: &'static str,
    pub command: &'static str,
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fix {
    pub required: bool,
    pub why: String,
    pub command: String,
}

impl Program {
    pub(super) fn this() -> Self {
        let built = [("gst", cfg!(feature = "gst")), ("onnx", cfg!(feature = "onnx"))];
        Self {
            version: env!("CARGO_PKG_VERSION"),
            features: built.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect(),
        }
    }
}

impl Report {
    pub(super) fn new(
        locutor: Program,
        media: Media,
        onnx_runtime: Runtime,
        models: Models,
    ) -> Self {
        let mut fix = Vec::new();
        media_fixes(&media, &mut fix);
        runtime_fixes(&onnx_runtime, &mut fix);
        model_fixes(&models, &mut fix);
        fix.sort_by_key(|new_fix| !new_fix.required);
        let ready = fix.iter().all(|new_fix| !new_fix.required);
        Self { schema: SCHEMA, ready, locutor, media, onnx_runtime, models, fix }
    }
}

fn new_fix(required: bool, why: impl Into<String>, command: impl Into<String>) -> Fix {
    Fix { required, why: why.into(), command: command.into() }
}

fn media_fixes(media: &Media, fix: &mut Vec<Fix>) {
    if let Some(problem) = &media.problem {
        fix.push(new_fix(true, problem, media.fix.clone().unwrap_or_default()));
        return;
    }
    for required in [true, false] {
        let missing = || media.elements.iter().filter(|e| e.found.is_none());
        let here: Vec<_> = missing().filter(|e| e.required == required).collect();
        let mut packages: Vec<&str> = here.iter().map(|e| e.package).collect();
        packages.sort_unstable();
        packages.dedup();
        if !packages.is_empty() {
            let names: Vec<&str> = here.iter().map(|e| e.element).collect();
            let why = format!("GStreamer elements are missing: {}", names.join(", "));
            fix.push(new_fix(
                required,
                why,
                format!("sudo apt-get install {}", packages.join(" ")),
            ));
        }
    }
    for encoder in media.encoders.iter().filter(|e| e.element.is_some()) {
        if let Some(problem) = &encoder.problem {
            let how = match encoder.others.first() {
                Some(other) => format!("locutor annotate --encoder {other} …"),
                None => "sudo apt-get install --reinstall gstreamer1.0-plugins-ugly".to_owned(),
            };
            fix.push(new_fix(encoder.required, problem, how));
        }
    }
    if !media.broken_plugins.is_empty() {
        let why = format!("GStreamer could not load plugins: {}", media.broken_plugins.join(", "));
        let how = "rm -f ~/.cache/gstreamer-1.0/registry.*.bin && locutor doctor";
        fix.push(new_fix(false, why, how));
    }
}

fn runtime_fixes(runtime: &Runtime, fix: &mut Vec<Fix>) {
    if let Some(problem) = &runtime.problem {
        fix.push(new_fix(true, problem, runtime.fix.clone().unwrap_or_default()));
    }
    if let Some(problem) = &runtime.gpu_problem {
        let how =
            "nvidia-smi  # must list the GPU; the libraries in the error must be installed, too";
        fix.push(new_fix(false, problem, how));
    }
}

fn model_fixes(models: &Models, fix: &mut Vec<Fix>) {
    for role in [&models.speaker, &models.detector] {
        if let Some(problem) = &role.problem {
            fix.push(new_fix(true, problem, role.fix.clone().unwrap_or_default()));
        }
        if let Some(better) = &role.better {
            fix.push(new_fix(false, better.why, better.command));
        }
    }
    let used = [&models.speaker, &models.detector];
    for package in &models.packages {
        let reported = |problem: &String| used.iter().any(|r| r.problem.as_ref() == Some(problem));
        if let Some(problem) = package.problem.as_ref().filter(|p| !reported(p)) {
            fix.push(new_fix(false, problem, again(&package.name, &package.dir)));
        }
    }
}

/// The command that imports a broken package again, or removes it.
pub(super) fn again(name: &str, dir: &str) -> String {
    use crate::models::import::ImportKind;
    match name.parse::<ImportKind>() {
        Ok(kind) => {
            let file = kind.expected_file().split(' ').next().unwrap_or_default();
            let file = file.rsplit('/').next().unwrap_or_default();
            format!("locutor models import {name} {file} --into {dir}")
        }
        Err(_) => format!("rm -r {dir}"),
    }
}
