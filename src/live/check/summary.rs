//! The summary of a camera as text without secrets, and the estimate of its latency and memory.

use std::fmt::Write;

use crate::config::camera::{Camera, sinks};
use crate::core::address;
use crate::core::time::Span;
use crate::models::manifest::SpeakerManifest;
use crate::pipeline::live::output_policy::OutputPolicy;
use crate::pipeline::live::queues;
use crate::pipeline::settings::live_schedule;
use crate::stages::sink::settings::SinkSettings;

/// The expected latency and memory of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Time from a frame's capture until it is shown with its own scores, without the network, on a
    /// machine that is fast enough.
    pub latency_ms: u64,
    /// Maximum memory: all queues full.
    pub memory_bytes: u64,
    /// Name, items and bytes of every queue.
    pub queues: Vec<(String, usize, usize)>,
}

impl Estimate {
    /// The estimate for `camera` with the speaker package `manifest`; `None` where the package asks for
    /// something impossible.
    pub fn of(camera: &Camera, manifest: &SpeakerManifest) -> Option<Self> {
        let schedule =
            live_schedule(manifest, camera.lookahead, camera.hop_ticks, Span::ZERO).ok()?;
        let late_ms = u64::try_from(schedule.span_held.ns() / 1_000_000).unwrap_or(0);
        let queues = queues::all(&schedule);
        let memory: usize = queues.iter().map(|(_, _, bytes)| *bytes).sum();
        let queues = queues.into_iter().map(|(name, items, bytes)| (name.to_owned(), items, bytes));
        Some(Self { latency_ms: late_ms, memory_bytes: memory as u64, queues: queues.collect() })
    }
}

/// What `camera` will do, one line per item.
pub fn render(camera: &Camera, estimate: Option<&Estimate>) -> String {
    let mut out = format!("{}: from {}\n", camera.name, address::redacted(&camera.source.uri));
    // Writing to a string cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "  {text}");
    };
    for sink in &camera.sinks {
        let places = match sink {
            SinkSettings::Webhook { uri, .. } => address::redacted(uri),
            SinkSettings::Mqtt(mqtt) => address::redacted(&mqtt.broker),
            _ => sinks::places(sink).join(", "),
        };
        line(format!("{}: {places}", sinks::kind_of(sink)));
    }
    if camera.sinks.is_empty() {
        line("no sinks: analysis only".into());
    }
    if let Some(rtsp) = &camera.serve.rtsp {
        let who = if rtsp.login.is_some() { "with a login" } else { "without a login" };
        let tls = if rtsp.tls.is_some() { ", TLS" } else { "" };
        line(format!("RTSP on {} {who}{tls}", rtsp.listen));
    }
    if let Some(health) = camera.serve.health {
        line(format!("health and metrics on http://{health}/readyz and /metrics"));
    }
    if let Some(estimate) = estimate {
        let late = match camera.output_policy {
            OutputPolicy::Delay => "frames come",
            OutputPolicy::Latest => "frames come at once, scores",
        };
        line(format!("{late} {} ms late, plus the encoding time", estimate.latency_ms));
        for (name, items, bytes) in &estimate.queues {
            line(format!("{name}: {items} items, {:.1} MiB", *bytes as f64 / f64::from(1 << 20)));
        }
        if estimate.memory_bytes > 0 {
            let mib = estimate.memory_bytes as f64 / f64::from(1 << 20);
            line(format!("at most {mib:.0} MiB in the queues, with 1920x1080 frames"));
        }
    }
    out
}
