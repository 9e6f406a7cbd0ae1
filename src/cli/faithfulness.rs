//! `locutor faithfulness`: how true a package's heatmaps are, as a table or JSON.

use std::path::PathBuf;

use clap::Args;

use crate::core::time::Tick;
use crate::models::explain::Mode;
use crate::stages::explain::faithfulness::Substrate;

/// `locutor faithfulness`.
#[derive(Debug, Args)]
pub struct FaithfulnessArgs {
    /// Recordings with people who speak. Reliable figures need 30 windows or more, of different
    /// people.
    #[arg(required = true, value_name = "CLIP")]
    pub clips: Vec<PathBuf>,
    /// Which audio track to listen to, counted from 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub audio_track: u32,
    /// The speaker model: a package's name or directory; the best installed one by default.
    #[arg(long, value_name = "PACKAGE")]
    pub package: Option<String>,
    /// The face detector: a package's name or directory; the best installed one by default.
    #[arg(long, value_name = "PACKAGE")]
    pub detector: Option<String>,
    /// Where inference runs: auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// The explain modes to measure, separated by commas.
    #[arg(
        long,
        value_name = "MODES",
        value_delimiter = ',',
        default_value = "paper,gate-activation,ablation",
        value_parser = mode
    )]
    pub explain: Vec<Mode>,
    /// Length of a window in seconds, 0.4 to 20.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// Maximum number of windows of one recording, each of another track.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = windows)]
    pub windows: usize,
    /// What replaces masked parts: `blur` (each frame blurred) or `still` (the window's mean frame
    /// blurred, so that nothing moves).
    #[arg(long, value_name = "WORD", default_value = "blur")]
    pub substrate: Substrate,
    /// Seed of all random draws: the same seed gives the same figures.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print the figures as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

fn mode(text: &str) -> Result<Mode, String> {
    match text.parse() {
        Ok(Mode::None) | Err(_) => {
            Err("write paper, gate-activation or ablation, with commas between".into())
        }
        Ok(mode) => Ok(mode),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|v| (0.4..=20.0).contains(v));
    seconds.ok_or_else(|| "write seconds between 0.4 and 20".to_owned())
}

fn windows(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|v| *v > 0);
    count.ok_or_else(|| "write a whole number above 0".to_owned())
}

impl FaithfulnessArgs {
    /// Ticks of a window.
    pub fn window_ticks(&self) -> usize {
        (self.seconds * Tick::PER_SECOND as f64).round() as usize
    }

    /// The modes asked for, each once, in the program's own order.
    pub fn modes(&self) -> Vec<Mode> {
        Mode::ALL.into_iter().filter(|mode| self.explain.contains(mode)).collect()
    }
}

#[cfg(all(feature = "gst", feature = "onnx"))]
mod run;
#[cfg(all(feature = "gst", feature = "onnx"))]
pub(crate) use run::faithfulness;
