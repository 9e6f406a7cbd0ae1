//! The checked, immutable configuration of a run; only files are looked up later.
//!
//! [`Pipeline`] is what the stages are built from. It comes from the command line
//! (`locutor annotate`) or from a TOML file ([`mod@file`]).

pub mod any;
pub mod camera;
pub(crate) mod file;
mod redact;
mod renamed;

use std::path::PathBuf;

use crate::models::device::Device;
use crate::models::explain::Mode;
use crate::pipeline::settings::LookaheadChoice;
use crate::stages::overlay::Style;
use crate::stages::score::floor::FloorRules;

/// A run over one recording.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The recording.
    pub input: PathBuf,
    /// Which of its audio tracks is used, counted from 1.
    pub audio_track: u32,
    /// The annotated video, if one is written.
    pub output: Option<FileSinkOptions>,
    /// The records to write.
    pub records: RecordPaths,
    /// The speaker package's name or directory; the best installed one by default.
    pub package: Option<String>,
    /// The detector package's name or directory.
    pub detector: Option<String>,
    /// Where inference runs.
    pub device: Device,
    /// How far ahead a score may look.
    pub lookahead: LookaheadChoice,
    /// How heatmaps are made; the package's own mode by default.
    pub explain: Option<Mode>,
    /// Who-has-the-floor timing.
    pub floor: FloorRules,
    /// What is drawn.
    pub style: Style,
    /// Maximum bytes of decoded frames that wait for their scores.
    pub frame_budget_bytes: usize,
    /// Whether existing outputs are replaced.
    pub overwrite: bool,
}

/// The annotated video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSinkOptions {
    /// The file.
    pub path: PathBuf,
    /// The encoder's element name; `None` for the best one installed.
    pub encoder: Option<String>,
    /// Constant quality, 0..=51.
    pub crf: u8,
    /// Encoding speed, by x264's names.
    pub preset: String,
}

/// Where records go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPaths {
    /// JSON Lines.
    pub events: Option<PathBuf>,
    /// RTTM.
    pub rttm: Option<PathBuf>,
    /// AVA-ActiveSpeaker CSV.
    pub ava_csv: Option<PathBuf>,
    /// WebVTT.
    pub vtt: Option<PathBuf>,
}

impl RecordPaths {
    /// All that are written.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.events, &self.rttm, &self.ava_csv, &self.vtt].into_iter().flatten()
    }
}

/// A configuration that cannot be run.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The text is not a pipeline file.
    #[error("{}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what, as the parser reports it.
        problem: String,
    },
    /// A key's value is invalid.
    #[error("{key}: {problem}")]
    Invalid {
        /// The key or option.
        key: String,
        /// What is wrong with it and what to write.
        problem: String,
    },
    /// The run would overwrite a file.
    #[error("{}: exists already; choose another name, or replace it with --overwrite", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The run would write nothing.
    #[error("nothing to write: give at least one of -o, --events, --rttm, --ava-csv, --vtt")]
    NoOutput,
}

impl Pipeline {
    /// Checks the outputs without opening them: none may be lost, none written twice.
    ///
    /// # Errors
    /// If the run would write nothing, write a file twice, or overwrite an existing one.
    pub fn check_outputs(&self) -> Result<(), ConfigError> {
        let output = self.output.iter().map(|f| &f.path);
        let outputs: Vec<&PathBuf> = output.chain(self.records.all()).collect();
        if outputs.is_empty() {
            return Err(ConfigError::NoOutput);
        }
        for (i, path) in outputs.iter().enumerate() {
            let same_as_input = std::fs::canonicalize(path)
                .is_ok_and(|o| std::fs::canonicalize(&self.input).is_ok_and(|i| i == o));
            if same_as_input {
                let problem = "is the recording itself; write somewhere else".into();
                return Err(ConfigError::Invalid { key: path.display().to_string(), problem });
            }
            if outputs[..i].contains(path) {
                let problem = "is named for two outputs; give each its own name".into();
                return Err(ConfigError::Invalid { key: path.display().to_string(), problem });
            }
            // Devices and pipes (/dev/stdout) are written to, not replaced.
            if !self.overwrite && path.is_file() {
                return Err(ConfigError::Exists { path: (*path).clone() });
            }
        }
        Ok(())
    }
}

/// Reads floor timing as `ON,HOLD,DWELL` in milliseconds.
///
/// # Errors
/// If the text has another form.
pub fn parse_floor(text: &str) -> Result<FloorRules, ConfigError> {
    let invalid = || ConfigError::Invalid {
        key: "--floor".into(),
        problem: format!(
            "`{text}` is not three times in milliseconds; write e.g. 300,500,1000 for on-delay, \
             hold and minimum dwell"
        ),
    };
    let parts: Vec<f64> = text
        .split(',')
        .map(|p| p.trim().parse::<u32>().map(|ms| f64::from(ms) / 1_000.0))
        .collect::<Result<_, _>>()
        .map_err(|_| invalid())?;
    let [on_delay_seconds, hold_seconds, min_dwell_seconds] = parts[..] else {
        return Err(invalid());
    };
    Ok(FloorRules { on_delay_seconds, hold_seconds, min_dwell_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_timing_is_three_numbers() {
        let floor = parse_floor("100, 200,300").expect("three numbers");
        assert!((floor.hold_seconds - 0.2).abs() < 1e-9);
        assert!(parse_floor("1,2").is_err() && parse_floor("a,b,c").is_err());
        assert!(parse_floor("-1,2,3").is_err());
    }
}
