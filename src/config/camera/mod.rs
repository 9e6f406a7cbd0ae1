//! The checked configuration of a live stream, for `locutor run CAMERA.toml`.
//!
//! [`mod@file`] reads it. Nothing here opens a device, a port or a file.

mod context;
pub(crate) mod file;
pub(crate) mod name;
mod raw;
pub mod secret;
mod serve;
pub(crate) mod sinks;

use std::net::SocketAddr;

use crate::models::device::Device;
use crate::models::explain::Mode;
use crate::pipeline::live::output_policy::OutputPolicy;
use crate::pipeline::settings::LookaheadChoice;
use crate::stages::overlay::Style;
use crate::stages::score::floor::FloorRules;
use crate::stages::sink::settings::{EncoderSettings, RtspServerSettings, SinkSettings};
use crate::stages::source::live::settings::SourceSettings;

/// A live stream.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Its name: letters, digits, `-`, `_` and `.`, not starting with a dot. Its mount, events
    /// and metrics have this name.
    pub name: String,
    /// Where frames and audio come from.
    pub source: SourceSettings,
    /// The speaker package's name or directory; the best installed one by default.
    pub package: Option<String>,
    /// The detector package's name or directory.
    pub detector: Option<String>,
    /// Where inference runs.
    pub device: Device,
    /// How far ahead a score may look.
    pub lookahead: LookaheadChoice,
    /// Ticks of 40 ms that are scored at once.
    pub hop_ticks: usize,
    /// How heatmaps are made; the package's own mode by default.
    pub explain: Option<Mode>,
    /// Who-has-the-floor timing.
    pub floor: FloorRules,
    /// What is drawn.
    pub style: Style,
    /// When a frame is shown.
    pub output_policy: OutputPolicy,
    /// How it is encoded.
    pub encoder: EncoderSettings,
    /// Where it goes; without video sinks it is only analysed.
    pub sinks: Vec<SinkSettings>,
    /// What this process serves.
    pub serve: Serve,
}

/// What a process serves; all streams of one process share it.
#[derive(Clone, Debug, Default)]
pub struct Serve {
    /// RTSP.
    pub rtsp: Option<RtspServerSettings>,
    /// `/livez`, `/readyz` and `/metrics`.
    pub health: Option<SocketAddr>,
}
