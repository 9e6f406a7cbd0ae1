//! A camera's TOML file as written: keys, types and defaults, with nothing checked yet.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::file::{RawExplain, RawFloor, Word};
use crate::stages::overlay::Style;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub name: Option<String>,
    pub source: RawSource,
    #[serde(default)]
    pub models: RawModels,
    #[serde(default)]
    pub explain: RawExplain,
    #[serde(default)]
    pub floor: RawFloor,
    #[serde(default)]
    pub overlay: Style,
    #[serde(default)]
    pub output: RawOutput,
    #[serde(default)]
    pub encoder: RawEncoder,
    #[serde(default)]
    pub sink: Vec<toml::Table>,
    #[serde(default)]
    pub serve: RawServe,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    pub uri: String,
    pub credentials: Option<String>,
    pub tls_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub transport: RawTransport,
    #[serde(default = "jitter_ms")]
    pub jitter_ms: u32,
    #[serde(default = "one")]
    pub audio_track: u32,
    #[serde(default, rename = "loop")]
    pub looped: bool,
    #[serde(default = "ten")]
    pub stall_timeout_seconds: f64,
    #[serde(default = "one_second")]
    pub retry_min_seconds: f64,
    #[serde(default = "half_a_minute")]
    pub retry_max_seconds: f64,
}

const fn jitter_ms() -> u32 {
    100
}

const fn one() -> u32 {
    1
}

const fn one_second() -> f64 {
    1.0
}

const fn ten() -> f64 {
    10.0
}

const fn half_a_minute() -> f64 {
    30.0
}

#[derive(Clone, Copy, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawTransport {
    Auto,
    #[default]
    Tcp,
    Udp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawModels {
    pub speaker: Option<String>,
    pub detector: Option<String>,
    pub device: String,
    pub lookahead: Word,
    pub hop_ticks: usize,
}

impl Default for RawModels {
    fn default() -> Self {
        Self {
            speaker: None,
            detector: None,
            device: "auto".into(),
            lookahead: Word::Text("live".into()),
            hop_ticks: 2,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOutput {
    pub policy: RawPolicy,
}

#[derive(Clone, Copy, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawPolicy {
    #[default]
    Delay,
    Latest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEncoder {
    pub element: String,
    pub kbit_per_second: u32,
    pub preset: String,
    pub keyframe_interval_seconds: f64,
    pub audio_kbit_per_second: u32,
}

impl Default for RawEncoder {
    fn default() -> Self {
        Self {
            element: "auto".into(),
            kbit_per_second: 2_500,
            preset: "veryfast".into(),
            keyframe_interval_seconds: 1.0,
            audio_kbit_per_second: 96,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServe {
    pub rtsp: Option<String>,
    pub rtsp_credentials: Option<String>,
    pub rtsp_tls_cert: Option<PathBuf>,
    pub rtsp_tls_key: Option<PathBuf>,
    pub rtsp_max_readers: usize,
    pub health: String,
    pub allow_anonymous: bool,
}

impl Default for RawServe {
    fn default() -> Self {
        Self {
            rtsp: None,
            rtsp_credentials: None,
            rtsp_tls_cert: None,
            rtsp_tls_key: None,
            rtsp_max_readers: 64,
            health: "127.0.0.1:9998".into(),
            allow_anonymous: false,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRtspServer {
    pub mount: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub uri: String,
    pub credentials: Option<String>,
    pub tls_ca_file: Option<PathBuf>,
    pub spool: PathBuf,
    #[serde(default = "spool_mib")]
    pub spool_mib: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPush {
    pub uri: String,
    pub credentials: Option<String>,
    pub tls_ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRecord {
    pub directory: PathBuf,
    #[serde(default = "pattern")]
    pub name: String,
    #[serde(default = "five_minutes")]
    pub segment_seconds: f64,
    pub max_age_seconds: Option<f64>,
    pub max_size_gib: Option<f64>,
    #[serde(default = "one_second")]
    pub min_free_gib: f64,
}

fn pattern() -> String {
    "%Y-%m-%d/%H-%M-%S".into()
}

const fn five_minutes() -> f64 {
    300.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHls {
    pub directory: PathBuf,
    #[serde(default = "two_seconds")]
    pub segment_seconds: f64,
    #[serde(default = "six")]
    pub keep: u32,
}

const fn two_seconds() -> f64 {
    2.0
}

const fn six() -> u32 {
    6
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvents {
    pub path: PathBuf,
    #[serde(default = "hundred")]
    pub rotate_mib: f64,
    #[serde(default = "five")]
    pub keep: u32,
    #[serde(default)]
    pub frames: bool,
}

const fn hundred() -> f64 {
    100.0
}

const fn five() -> u32 {
    5
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMqtt {
    pub broker: String,
    pub credentials: Option<String>,
    pub tls_ca_file: Option<PathBuf>,
    #[serde(default = "topic")]
    pub topic: String,
    pub discovery_prefix: Option<String>,
    pub spool: PathBuf,
    #[serde(default = "spool_mib")]
    pub spool_mib: f64,
    #[serde(default)]
    pub frames: bool,
}

fn topic() -> String {
    "locutor".into()
}

const fn spool_mib() -> f64 {
    64.0
}
