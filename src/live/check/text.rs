//! A camera in words: what will be run, without secrets.

use std::fmt::Write;

use super::Estimate;
use crate::config::camera::{Camera, sinks};
use crate::core::address;
use crate::pipeline::live::output_policy::OutputPolicy;
use crate::stages::sink::settings::SinkSettings;

/// What `camera` will do, a line each.
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
        line("no sinks: watched and measured only".into());
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
        line(format!("{late} {} ms late, and as long as encoding takes", estimate.latency_ms));
        for (name, items, bytes) in &estimate.queues {
            line(format!("{name}: {items} items, {:.1} MiB", *bytes as f64 / f64::from(1 << 20)));
        }
        if estimate.memory_bytes > 0 {
            let mib = estimate.memory_bytes as f64 / f64::from(1 << 20);
            line(format!("{mib:.0} MiB on the edges at worst, with 1920x1080 frames"));
        }
    }
    out
}
