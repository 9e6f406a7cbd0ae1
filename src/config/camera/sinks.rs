//! Checks each `[[sink]]` of a camera file, and that no two write to the same place.

use std::path::{Component, Path, PathBuf};

use super::context::{Context, Invalid, seconds, size};
use super::name::{NAME_RULES, check_pattern, is_mount, is_name};
use super::raw::{
    RawEvents, RawFile, RawHls, RawMqtt, RawPush, RawRecord, RawRtspServer, RawWebhook,
};
use crate::config::redact;
use crate::core::address;
use crate::stages::sink::settings::MqttSettings;
use crate::stages::sink::settings::RecorderSettings;
use crate::stages::sink::settings::SinkSettings;

/// The types of sinks.
const TYPES: [&str; 8] =
    ["rtsp-server", "rtsp-push", "record", "file", "hls", "events", "mqtt", "webhook"];

/// The longest segment: a year.
const YEAR: f64 = 31_536_000.0;

pub(super) fn read(raw: Vec<toml::Table>, context: &Context) -> Result<Vec<SinkSettings>, Invalid> {
    let mut sinks: Vec<SinkSettings> = Vec::new();
    let mut taken: Vec<(String, usize)> = Vec::new();
    for (n, mut table) in raw.into_iter().enumerate() {
        let kind = kind(&mut table, n + 1)?;
        let key = format!("sink {} ({kind})", n + 1);
        let sink = sink(kind, table, &key, context)?;
        for place in places(&sink) {
            if let Some((_, first)) = taken.iter().find(|(p, _)| *p == place) {
                let problem = format!("writes to {place}, as sink {first} does; write another");
                return Err((key, problem));
            }
            taken.push((place, n + 1));
        }
        sinks.push(sink);
    }
    Ok(sinks)
}

fn kind(table: &mut toml::Table, n: usize) -> Result<&'static str, Invalid> {
    let key = format!("sink {n}.type");
    let types = TYPES.join(", ");
    let Some(given) = table.remove("type") else {
        return Err((key, format!("is missing; write one of {types}")));
    };
    let known = TYPES.into_iter().find(|known| given.as_str() == Some(known));
    known.ok_or_else(|| (key, format!("is not one of {types}")))
}

fn keys<T: serde::de::DeserializeOwned>(table: toml::Table, key: &str) -> Result<T, Invalid> {
    table.try_into().map_err(|e| (key.to_owned(), redact::problem(&e)))
}

fn sink(
    kind: &str,
    table: toml::Table,
    key: &str,
    context: &Context,
) -> Result<SinkSettings, Invalid> {
    let invalid = |name: &str, problem: String| (format!("{key}.{name}"), problem);
    Ok(match kind {
        "rtsp-server" => {
            let raw: RawRtspServer = keys(table, key)?;
            let mount = raw.mount.unwrap_or_else(|| context.name.to_owned());
            if !is_mount(&mount) {
                let problem =
                    format!("is not a mount path; write {NAME_RULES}, or such names with slashes");
                return Err(invalid("mount", problem));
            }
            SinkSettings::RtspServer { mount }
        }
        "rtsp-push" => {
            let (uri, login, tls_ca_file) =
                push(keys(table, key)?, key, &["rtsp", "rtsps"], context)?;
            SinkSettings::RtspPush { uri, login, tls_ca_file }
        }
        "webhook" => {
            let raw: RawWebhook = keys(table, key)?;
            let spool = directory(&raw.spool, context).map_err(|p| invalid("spool", p))?;
            let spool_bytes = size(&format!("{key}.spool_mib"), raw.spool_mib, 20)?;
            let (uri, credentials, tls_ca_file) = (raw.uri, raw.credentials, raw.tls_ca_file);
            let raw = RawPush { uri, credentials, tls_ca_file };
            let (uri, login, tls_ca_file) = push(raw, key, &["http", "https"], context)?;
            SinkSettings::Webhook { uri, login, tls_ca_file, spool, spool_bytes }
        }
        "record" => SinkSettings::Record(record(keys(table, key)?, key, context)?),
        "file" => {
            let raw: RawFile = keys(table, key)?;
            let path = file_path(&raw.path, context).map_err(|p| invalid("path", p))?;
            if !path.extension().is_some_and(|e| e == "mp4" || e == "mkv") {
                return Err(invalid(
                    "path",
                    "is not a video file name; write one that ends in .mp4 or .mkv".into(),
                ));
            }
            SinkSettings::File { path }
        }
        "hls" => hls(keys(table, key)?, key, context)?,
        "events" => {
            let raw: RawEvents = keys(table, key)?;
            SinkSettings::Events {
                path: file_path(&raw.path, context).map_err(|p| invalid("path", p))?,
                rotate_bytes: size(&format!("{key}.rotate_mib"), raw.rotate_mib, 20)?,
                keep: raw.keep,
                frames: raw.frames,
            }
        }
        _ => SinkSettings::Mqtt(mqtt(keys(table, key)?, key, context)?),
    })
}

type Target = (url::Url, Option<crate::core::credentials::Login>, Option<PathBuf>);

fn push(raw: RawPush, key: &str, schemes: &[&str], context: &Context) -> Result<Target, Invalid> {
    let uri = address::target(&raw.uri, schemes).map_err(|p| (format!("{key}.uri"), p))?;
    let login = context.login(&format!("{key}.credentials"), raw.credentials.as_deref())?;
    let ca_file = context.ca_file(&format!("{key}.tls_ca_file"), raw.tls_ca_file, uri.scheme())?;
    Ok((uri, login, ca_file))
}

fn record(raw: RawRecord, key: &str, context: &Context) -> Result<RecorderSettings, Invalid> {
    let invalid = |name: &str, problem: String| (format!("{key}.{name}"), problem);
    let at = |name: &str| format!("{key}.{name}");
    let segment = seconds(&at("segment_seconds"), raw.segment_seconds, 1.0, YEAR)?;
    check_pattern(&raw.name, segment).map_err(|p| invalid("name", p))?;
    let max_age = raw.max_age_seconds.map(|s| seconds(&at("max_age_seconds"), s, 1.0, f64::MAX));
    let max_age = max_age.transpose()?;
    if max_age.is_some_and(|keep| keep < segment) {
        let problem = "is shorter than one segment; write at least segment_seconds".into();
        return Err(invalid("max_age_seconds", problem));
    }
    let max_total_bytes = raw.max_size_gib.map(|g| size(&at("max_size_gib"), g, 30)).transpose()?;
    Ok(RecorderSettings {
        directory: directory(&raw.directory, context).map_err(|p| invalid("directory", p))?,
        name: raw.name,
        segment,
        max_age,
        max_total_bytes,
        min_free_bytes: size(&at("min_free_gib"), raw.min_free_gib, 30)?,
    })
}

fn hls(raw: RawHls, key: &str, context: &Context) -> Result<SinkSettings, Invalid> {
    let invalid = |name: &str, problem: String| (format!("{key}.{name}"), problem);
    if !(2..=1_000).contains(&raw.keep) {
        return Err(invalid(
            "keep",
            format!("is {}; it must be from 2 to 1000 segments", raw.keep),
        ));
    }
    Ok(SinkSettings::Hls {
        directory: directory(&raw.directory, context).map_err(|p| invalid("directory", p))?,
        segment: seconds(&format!("{key}.segment_seconds"), raw.segment_seconds, 0.5, 60.0)?,
        keep: raw.keep,
    })
}

fn mqtt(raw: RawMqtt, key: &str, context: &Context) -> Result<MqttSettings, Invalid> {
    let invalid = |name: &str, problem: String| (format!("{key}.{name}"), problem);
    let broker =
        address::target(&raw.broker, &["mqtt", "mqtts"]).map_err(|p| invalid("broker", p))?;
    for (name, topic) in
        [("topic", Some(&raw.topic)), ("discovery_prefix", raw.discovery_prefix.as_ref())]
    {
        if topic.is_some_and(|topic| !topic.split('/').all(is_name)) {
            let problem =
                format!("is not an MQTT topic; write {NAME_RULES}, or such names with slashes");
            return Err(invalid(name, problem));
        }
    }
    let tls_ca_file =
        context.ca_file(&format!("{key}.tls_ca_file"), raw.tls_ca_file, broker.scheme())?;
    Ok(MqttSettings {
        broker,
        tls_ca_file,
        login: context.login(&format!("{key}.credentials"), raw.credentials.as_deref())?,
        topic: raw.topic,
        frames: raw.frames,
        discovery_prefix: raw.discovery_prefix,
        spool: directory(&raw.spool, context).map_err(|p| invalid("spool", p))?,
        spool_bytes: size(&format!("{key}.spool_mib"), raw.spool_mib, 20)?,
    })
}

/// A path that leaves no folder by `..`.
fn directory(path: &Path, context: &Context) -> Result<PathBuf, String> {
    if path.as_os_str().is_empty() {
        return Err("is empty; write a path".into());
    }
    if path.components().any(|c| c == Component::ParentDir) {
        return Err("has `..` in it; write the path without it".into());
    }
    Ok(context.path(path.to_owned()))
}

fn file_path(path: &Path, context: &Context) -> Result<PathBuf, String> {
    if path.file_name().is_none() || path.to_string_lossy().ends_with('/') {
        return Err("has no file name; write a file's path".into());
    }
    directory(path, context)
}

/// Every place that only this sink may write to, as readable text.
pub(crate) fn places(sink: &SinkSettings) -> Vec<String> {
    match sink {
        SinkSettings::RtspServer { mount } => vec![format!("the mount /{mount}")],
        SinkSettings::RtspPush { uri, .. } => vec![address::redacted(uri)],
        // Two recorders may share a folder where their names differ.
        SinkSettings::Record(r) => vec![r.directory.join(&r.name).display().to_string()],
        SinkSettings::File { path } | SinkSettings::Events { path, .. } => {
            vec![path.display().to_string()]
        }
        SinkSettings::Hls { directory, .. } => vec![directory.display().to_string()],
        SinkSettings::Mqtt(mqtt) => vec![mqtt.spool.display().to_string()],
        SinkSettings::Webhook { .. } => vec![],
    }
}

/// Its type.
pub(crate) const fn kind_of(sink: &SinkSettings) -> &'static str {
    match sink {
        SinkSettings::RtspServer { .. } => "rtsp-server",
        SinkSettings::RtspPush { .. } => "rtsp-push",
        SinkSettings::Record(_) => "record",
        SinkSettings::File { .. } => "file",
        SinkSettings::Hls { .. } => "hls",
        SinkSettings::Events { .. } => "events",
        SinkSettings::Mqtt(_) => "mqtt",
        SinkSettings::Webhook { .. } => "webhook",
    }
}
