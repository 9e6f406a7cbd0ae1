//! Reads a pipeline from its TOML file. An unknown key is an error; a missing one has the default
//! in `pipelines/file.toml`. Paths are relative to the file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::redact::describe_toml_error;
use super::{ConfigError, FileSinkOptions, Pipeline, RecordPaths};
use crate::core::preset::PRESETS;
use crate::models::device::Device;
use crate::models::explain::Mode;
use crate::stages::overlay::Style;
use crate::stages::score::budget::DEFAULT_BUDGET_MIB;
use crate::stages::score::floor::FloorRules;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    source: RawSource,
    #[serde(default)]
    models: RawModels,
    #[serde(default)]
    explain: RawExplain,
    #[serde(default)]
    floor: RawFloor,
    #[serde(default)]
    overlay: Style,
    output: Option<RawOutput>,
    #[serde(default)]
    records: RawRecords,
    #[serde(default)]
    limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    file: PathBuf,
    #[serde(default = "one")]
    audio_track: u32,
}

const fn one() -> u32 {
    1
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawModels {
    speaker: Option<String>,
    detector: Option<String>,
    device: Option<String>,
    lookahead: Option<Word>,
}

/// A word or a number.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Word {
    Text(String),
    Number(i64),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExplain {
    pub(super) mode: Option<Mode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFloor {
    on_delay_ms: u32,
    hold_ms: u32,
    min_dwell_ms: u32,
}

impl From<RawFloor> for FloorRules {
    fn from(raw: RawFloor) -> Self {
        let seconds = |ms: u32| f64::from(ms) / 1_000.0;
        Self {
            on_delay_seconds: seconds(raw.on_delay_ms),
            hold_seconds: seconds(raw.hold_ms),
            min_dwell_seconds: seconds(raw.min_dwell_ms),
        }
    }
}

impl Default for RawFloor {
    fn default() -> Self {
        Self { on_delay_ms: 300, hold_ms: 500, min_dwell_ms: 1_000 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    file: PathBuf,
    encoder: Option<String>,
    #[serde(default = "crf")]
    crf: u8,
    #[serde(default = "preset")]
    preset: String,
    #[serde(default)]
    overwrite: bool,
}

const fn crf() -> u8 {
    20
}

fn preset() -> String {
    "veryfast".into()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawRecords {
    events: Option<PathBuf>,
    rttm: Option<PathBuf>,
    ava_csv: Option<PathBuf>,
    vtt: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    frame_budget_mib: usize,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { frame_budget_mib: DEFAULT_BUDGET_MIB }
    }
}

/// Reads the pipeline in `text`, the content of the file at `path`.
///
/// # Errors
/// If the text is not TOML, or has an unknown key or an invalid value.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Pipeline, ConfigError> {
    let raw: Raw = toml::from_str(text).map_err(|e| ConfigError::Syntax {
        path: path.into(),
        // The line itself is not shown: the text may hold a camera's secrets.
        problem: describe_toml_error(&e, text),
    })?;
    let resolve = |p: PathBuf| path.parent().unwrap_or(Path::new("")).join(p);
    let invalid = |key: &str, problem: String| ConfigError::Invalid {
        key: format!("{}: {key}", path.display()),
        problem,
    };
    if raw.source.audio_track == 0 {
        return Err(invalid("source.audio_track", "tracks are counted from 1".into()));
    }
    let device = raw.models.device.as_deref().unwrap_or("auto");
    let device: Device = device.parse().map_err(|e| invalid("models.device", format!("{e}")))?;
    let lookahead = raw.models.lookahead.map(|word| word.to_string().parse()).transpose();
    let lookahead = lookahead.map_err(|problem| invalid("models.lookahead", problem))?;
    let overwrite = raw.output.as_ref().is_some_and(|f| f.overwrite);
    let output =
        raw.output.map(|f| output(f, resolve)).transpose().map_err(|(k, p)| invalid(k, p))?;
    Ok(Pipeline {
        input: resolve(raw.source.file),
        audio_track: raw.source.audio_track,
        output,
        records: RecordPaths {
            events: raw.records.events.map(resolve),
            rttm: raw.records.rttm.map(resolve),
            ava_csv: raw.records.ava_csv.map(resolve),
            vtt: raw.records.vtt.map(resolve),
        },
        package: raw.models.speaker,
        detector: raw.models.detector,
        device,
        lookahead: lookahead.unwrap_or_default(),
        explain: raw.explain.mode,
        floor: raw.floor.into(),
        style: raw.overlay,
        frame_budget_bytes: raw.limits.frame_budget_mib << 20,
        overwrite,
    })
}

fn output(
    raw: RawOutput,
    resolve: impl Fn(PathBuf) -> PathBuf,
) -> Result<FileSinkOptions, (&'static str, String)> {
    if raw.crf > 51 {
        return Err(("output.crf", format!("is {}; it must be from 0 (best) to 51", raw.crf)));
    }
    if !PRESETS.contains(&raw.preset.as_str()) {
        let problem = format!("`{}` is not one of {}", raw.preset, PRESETS.join(", "));
        return Err(("output.preset", problem));
    }
    Ok(FileSinkOptions {
        path: resolve(raw.file),
        encoder: raw.encoder.filter(|e| e != "auto"),
        crf: raw.crf,
        preset: raw.preset,
    })
}
