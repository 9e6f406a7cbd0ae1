//! Reads a camera from its TOML file. An unknown key is an error; a missing one has the default in
//! `pipelines/camera.toml`. Paths are relative to the file.
//!
//! Promises: no panic, and no error that repeats a secret, whatever the file holds. An error about
//! a line that is not TOML has only the line's number. No error repeats an address or a credential.

use std::path::Path;
use std::time::Duration;

use super::context::{Context, Invalid, seconds};
use super::name::{NAME_RULES, is_name};
use super::raw::{Raw, RawEncoder, RawModels, RawPolicy, RawSource, RawTransport};
use super::secret::Secrets;
use super::{Camera, serve, sinks};
use crate::config::{ConfigError, redact};
use crate::core::address;
use crate::core::preset::PRESETS;
use crate::models::device::Device;
use crate::pipeline::live::output_policy::OutputPolicy;
use crate::pipeline::settings::LookaheadChoice;
use crate::stages::sink::settings::EncoderSettings;
use crate::stages::source::live::settings::SourceSettings;
use crate::stages::source::live::settings::Transport;

/// Reads the camera in `text`, the content of the file at `path`.
///
/// # Errors
/// If the text is not TOML, has an unknown key or an invalid value, or names a
/// credential that does not exist.
pub(crate) fn parse(text: &str, path: &Path, secrets: &Secrets) -> Result<Camera, ConfigError> {
    let raw: Raw = toml::from_str(text).map_err(|e| ConfigError::Syntax {
        path: path.into(),
        problem: redact::describe_toml_error(&e, text),
    })?;
    camera(raw, path, secrets).map_err(|(key, problem)| ConfigError::Invalid {
        key: format!("{}: {key}", path.display()),
        problem,
    })
}

fn camera(raw: Raw, path: &Path, secrets: &Secrets) -> Result<Camera, Invalid> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let named = raw.name.is_some();
    let name = raw.name.unwrap_or(stem);
    if !is_name(&name) {
        let problem = if named {
            format!("is not a valid stream name; write {NAME_RULES}")
        } else {
            format!("is missing, and the file's name is not a stream name; write {NAME_RULES}")
        };
        return Err(("name".into(), problem));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let context = Context { folder, secrets, name: &name };
    let source = source(raw.source, &context)?;
    let Models { device, lookahead, hop_ticks, package, detector } = models(raw.models)?;
    let sinks = sinks::read(raw.sink, &context)?;
    let serve = serve::read(raw.serve, &sinks, &context)?;
    Ok(Camera {
        source,
        package,
        detector,
        device,
        lookahead,
        hop_ticks,
        explain: raw.explain.mode,
        floor: raw.floor.into(),
        style: raw.overlay,
        output_policy: match raw.output.policy {
            RawPolicy::Delay => OutputPolicy::Delay,
            RawPolicy::Latest => OutputPolicy::Latest,
        },
        encoder: encoder(raw.encoder)?,
        sinks,
        serve,
        name,
    })
}

fn source(raw: RawSource, context: &Context) -> Result<SourceSettings, Invalid> {
    let uri = address::source(&raw.uri, context.folder).map_err(|p| ("source.uri".into(), p))?;
    if raw.tls_ca_file.is_some() && address::is_playlist(&uri) {
        return Err(("source.tls_ca_file".into(), address::HLS_CA_HINT.into()));
    }
    if raw.audio_track == 0 {
        return Err(("source.audio_track".into(), "tracks are counted from 1".into()));
    }
    if raw.looped && uri.scheme() != "file" {
        let problem = "only a file can be played in a loop; remove it for this source";
        return Err(("source.loop".into(), problem.into()));
    }
    if raw.jitter_ms > 10_000 {
        let problem = format!("is {}; it must be from 0 to 10000", raw.jitter_ms);
        return Err(("source.jitter_ms".into(), problem));
    }
    let max = 3_600.0;
    let stall = seconds("source.stall_timeout_seconds", raw.stall_timeout_seconds, 0.5, max)?;
    let first = seconds("source.retry_min_seconds", raw.retry_min_seconds, 0.1, max)?;
    let last = seconds("source.retry_max_seconds", raw.retry_max_seconds, 0.1, max)?;
    if last < first {
        let problem = "is less than retry_min_seconds; write at least as much".into();
        return Err(("source.retry_max_seconds".into(), problem));
    }
    Ok(SourceSettings {
        login: context.login("source.credentials", raw.credentials.as_deref())?,
        tls_ca_file: context.ca_file("source.tls_ca_file", raw.tls_ca_file, uri.scheme())?,
        transport: match raw.transport {
            RawTransport::Auto => Transport::Auto,
            RawTransport::Tcp => Transport::Tcp,
            RawTransport::Udp => Transport::Udp,
        },
        jitter: Duration::from_millis(raw.jitter_ms.into()),
        audio_track: raw.audio_track,
        looped: raw.looped,
        stall_timeout: stall,
        retry_min: first,
        retry_max: last,
        uri,
    })
}

struct Models {
    package: Option<String>,
    detector: Option<String>,
    device: Device,
    lookahead: LookaheadChoice,
    hop_ticks: usize,
}

fn models(raw: RawModels) -> Result<Models, Invalid> {
    let device = raw.device.parse().map_err(|e| ("models.device".into(), format!("{e}")))?;
    let lookahead: LookaheadChoice =
        raw.lookahead.to_string().parse().map_err(|p| ("models.lookahead".into(), p))?;
    if lookahead == LookaheadChoice::File {
        let problem = "`file` is for recordings; write `live` or a number of ticks of 40 ms";
        return Err(("models.lookahead".into(), problem.into()));
    }
    if !(1..=25).contains(&raw.hop_ticks) {
        let problem = format!("is {}; it must be from 1 to 25 ticks of 40 ms", raw.hop_ticks);
        return Err(("models.hop_ticks".into(), problem));
    }
    let (package, detector) = (raw.speaker, raw.detector);
    Ok(Models { package, detector, device, lookahead, hop_ticks: raw.hop_ticks })
}

fn encoder(raw: RawEncoder) -> Result<EncoderSettings, Invalid> {
    let within = |key: &str, value: u32, min: u32, max: u32| {
        let key = format!("encoder.{key}");
        let problem = format!("is {value}; it must be from {min} to {max}");
        if (min..=max).contains(&value) { Ok(value) } else { Err((key, problem)) }
    };
    if !PRESETS.contains(&raw.preset.as_str()) {
        let problem = format!("`{}` is not one of {}", raw.preset, PRESETS.join(", "));
        return Err(("encoder.preset".into(), problem));
    }
    Ok(EncoderSettings {
        element: Some(raw.element).filter(|element| element != "auto"),
        kbit_per_second: within("kbit_per_second", raw.kbit_per_second, 50, 100_000)?,
        keyframe_interval: seconds(
            "encoder.keyframe_interval_seconds",
            raw.keyframe_interval_seconds,
            0.1,
            60.0,
        )?,
        audio_kbit_per_second: within("audio_kbit_per_second", raw.audio_kbit_per_second, 8, 512)?,
        preset: raw.preset,
    })
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
