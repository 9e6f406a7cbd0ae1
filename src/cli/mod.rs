//! The command line: its definition, and the dispatch to what each command does.

#[cfg(all(feature = "gst", feature = "onnx"))]
mod annotate;
#[cfg(all(feature = "gst", feature = "onnx"))]
mod bench;
#[cfg(all(feature = "gst", feature = "onnx"))]
mod check;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod faithfulness;
pub(crate) mod generate;
#[cfg(all(feature = "gst", feature = "onnx"))]
mod live;
pub mod log;
pub(crate) mod models;
#[cfg(all(feature = "gst", feature = "onnx"))]
mod probe;
pub mod reference;
#[cfg(all(feature = "gst", feature = "onnx"))]
mod stats;
pub(crate) mod terminal;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::core::exit::Exit;
use crate::models::explain::Mode;
use crate::pipeline::settings::LookaheadChoice;
use crate::stages::score::budget::DEFAULT_BUDGET_MIB;

/// Who is speaking in this video, and what the model looked at.
#[derive(Debug, Parser)]
#[command(name = "locutor", version, about, long_about = None, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much is logged: a level, or RUST_LOG syntax such as `locutor=debug`; `warn` by default,
    /// and `info` with `run`.
    #[arg(long, global = true, env = "LOCUTOR_LOG", value_name = "FILTER", display_order = 900)]
    pub log: Option<String>,
    /// The log's form; `auto` is the journal's own form under systemd, and `human` elsewhere.
    #[arg(
        long,
        global = true,
        env = "LOCUTOR_LOG_FORMAT",
        default_value = "auto",
        value_name = "FORMAT",
        display_order = 901
    )]
    pub log_format: log::Format,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Annotate a recording: boxes, who speaks, heatmaps; the audio stays in sync.
    Annotate(Box<AnnotateArgs>),
    /// Run a recording's pipeline or live streams from their TOML files.
    Run(RunArgs),
    /// Check files for `run` without running them, and print what would be run.
    Check(CheckArgs),
    /// Inspect a live source: streams, rates, audio, faces, and a file to begin with.
    Probe(ProbeArgs),
    /// Report what is installed, what is missing, and the command that fixes it.
    Doctor(DoctorArgs),
    /// Import, list and verify model packages.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Score predictions against labels: average precision, ROC AUC, accuracy.
    Eval(eval::EvalArgs),
    /// Measure what the whole path costs, and the minimum that it can cost.
    Bench(BenchArgs),
    /// Measure how true a package's heatmaps are: insertion and deletion beside controls.
    Faithfulness(faithfulness::FaithfulnessArgs),
    /// Write manual pages or shell completions.
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
}

/// `locutor annotate`.
#[derive(Debug, Args)]
pub struct AnnotateArgs {
    /// The recording.
    pub input: PathBuf,
    /// The annotated video (.mp4, .mov, .mkv or .webm); without it only the records are written.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// JSON Lines: one object a frame, and one an event.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Turns as RTTM, for diarisation tools.
    #[arg(long, value_name = "FILE")]
    pub rttm: Option<PathBuf>,
    /// Boxes and scores in AVA-ActiveSpeaker form.
    #[arg(long, value_name = "FILE")]
    pub ava_csv: Option<PathBuf>,
    /// Turns as WebVTT captions with voice tags.
    #[arg(long, value_name = "FILE")]
    pub vtt: Option<PathBuf>,
    /// Which audio track to listen to, counted from 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub audio_track: u32,
    /// The speaker model: a package's name or directory; the best installed one by default.
    #[arg(long, value_name = "PACKAGE")]
    pub package: Option<String>,
    /// The face detector: a package's name or directory; the best installed one by default.
    #[arg(long, value_name = "PACKAGE")]
    pub detector: Option<String>,
    /// Where inference runs: auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N; with less precision
    /// cuda+tf32 or tensorrt+half. A device asked for by name must exist; only auto may choose.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// How far ahead a score may look: `file` (as far as it helps), `live` (as a camera is scored),
    /// or ticks of 40 ms beyond the encoders' own reach.
    #[arg(long, value_name = "SETTING", default_value = "file")]
    pub lookahead: LookaheadChoice,
    /// How heatmaps are made; the package's own mode by default.
    #[arg(long, value_name = "MODE")]
    pub explain: Option<Mode>,
    /// The video encoder: auto, or a GStreamer element such as `x264enc`.
    #[arg(long, value_name = "ELEMENT", default_value = "auto")]
    pub encoder: String,
    /// Constant quality of the video, 0 (best) to 51; for `x264enc` and `vp9enc`.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=51))]
    pub crf: u8,
    /// Encoding speed, by x264's names; for `x264enc` and `vp9enc`.
    #[arg(long, value_name = "WORD", default_value = "veryfast")]
    pub preset: Preset,
    /// Memory in MiB for decoded frames that wait for their scores; where it is too little, the
    /// recording is read twice.
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_BUDGET_MIB)]
    pub frame_budget_mib: usize,
    /// Who has the floor: on-delay, hold and minimum dwell in milliseconds.
    #[arg(long, value_name = "ON,HOLD,DWELL", default_value = "300,500,1000")]
    pub floor: String,
    /// Replace outputs that are already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Print the summary as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print CPU seconds by stage at the end.
    #[arg(long)]
    pub stats: bool,
}

/// x264's presets.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are x264's own")]
pub enum Preset {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    Veryslow,
}

impl Preset {
    /// The name that encoders know.
    pub fn word(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }
}

/// `locutor run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// TOML files: of one recording, or of any number of live streams.
    #[arg(required = true, value_name = "FILE")]
    pub pipelines: Vec<PathBuf>,
    /// Print the summary as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print at the end: CPU seconds by stage of a recording, latencies by stage of live streams.
    #[arg(long)]
    pub stats: bool,
}

/// `locutor check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// TOML files; those of several cameras are checked for running in one process.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Also check this machine: credentials, elements, packages, ports, folders, disk space.
    #[arg(long)]
    pub environment: bool,
}

/// `locutor probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The address, e.g. `rtsp://camera/stream1`. A user and password in it work, but other users
    /// of this machine can see them while it runs: prefer --credentials.
    pub uri: String,
    /// The name of a credential (user and password), as in a stream's file.
    #[arg(long, value_name = "NAME")]
    pub credentials: Option<String>,
    /// Certificates in PEM that are trusted instead of the system's: the camera's own, or its CA's.
    #[arg(long, value_name = "FILE")]
    pub tls_ca_file: Option<PathBuf>,
    /// How long the source is inspected, 1 to 600.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Print the findings as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `locutor bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The recording; not needed where only throughput is measured.
    pub clip: Option<PathBuf>,
    /// A speaker model, by name or directory; give it again for each model to compare.
    #[arg(long, value_name = "PACKAGE")]
    pub package: Vec<String>,
    /// The face detector, by name or directory.
    #[arg(long, value_name = "PACKAGE")]
    pub detector: Option<String>,
    /// Where inference runs: auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Measure how many faces a second the device can follow, bare and end to end. On a GPU this
    /// is always measured.
    #[arg(long)]
    pub throughput: bool,
    /// Faces at once to measure throughput with, 1 to 512 each; implies --throughput.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = batch)]
    pub batches: Vec<usize>,
    /// Frames of a face in one call, from 1 to 25; implies --throughput. As many as a camera's
    /// hop has by default.
    #[arg(long, value_name = "N", value_parser = frames)]
    pub frames: Option<usize>,
    /// How often everything is measured, 1 to 99; the median counts. Throughput is measured once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = repeats)]
    pub repeat: usize,
    /// Print the figures as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

fn batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=512) => Ok(n),
        _ => Err("give numbers from 1 to 512, as 1,8,64".into()),
    }
}

fn frames(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=25) => Ok(n),
        _ => Err("give a number from 1 to 25".into()),
    }
}

fn repeats(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=99) => Ok(n),
        _ => Err("give a number from 1 to 99".into()),
    }
}

/// `locutor doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `locutor models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Make a package from the upstream project's own files.
    Import {
        /// The network that the files hold: yunet, light-asd or lr-asd.
        kind: String,
        /// The upstream files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The package's directory; `models/<kind>` in the data directory by default.
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// List the installed packages.
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check every package's files and graphs against its manifest.
    Verify {
        /// Packages by name or directory; all by default.
        packages: Vec<String>,
    },
}

impl Cli {
    /// How much is logged.
    pub fn log_filter(&self) -> &str {
        let ordinary = if matches!(self.command, Command::Run(_)) { "info" } else { "warn" };
        self.log.as_deref().unwrap_or(ordinary)
    }
}

/// Runs the command.
pub fn dispatch(command: &Command) -> Exit {
    match command {
        #[cfg(all(feature = "gst", feature = "onnx"))]
        Command::Annotate(args) => annotate::annotate(args),
        #[cfg(all(feature = "gst", feature = "onnx"))]
        Command::Run(args) => live::run(args),
        #[cfg(all(feature = "gst", feature = "onnx"))]
        Command::Bench(args) => bench::bench(args),
        #[cfg(all(feature = "gst", feature = "onnx"))]
        Command::Check(args) => check::check(args),
        #[cfg(all(feature = "gst", feature = "onnx"))]
        Command::Faithfulness(args) => faithfulness::faithfulness(args),
        #[cfg(not(all(feature = "gst", feature = "onnx")))]
        Command::Annotate(_)
        | Command::Check(_)
        | Command::Run(_)
        | Command::Probe(_)
        | Command::Bench(_)
        | Command::Faithfulness(_) => {
            eprintln!("locutor: built without media or inference; build it with default features");
            Exit::Unavailable
        }
        #[cfg(all(feature = "gst", feature = "onnx"))]
        Command::Probe(args) => probe::run(args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Models(command) => models::models(command),
        Command::Eval(args) => eval::eval(args),
        Command::Generate(args) => generate::generate(args),
    }
}
