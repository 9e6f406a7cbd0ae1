//! Dashboards and alerts ask for metrics that there are.
#![cfg(all(feature = "gst", feature = "onnx"))]

#[path = "support/needs.rs"]
mod needs;

use std::collections::BTreeSet;
use std::path::Path;

/// Every metric's name in a text.
fn named(text: &str) -> BTreeSet<String> {
    let parts = text.split("locutor_").skip(1);
    let names = parts.map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        format!("locutor_{}", rest[..end].trim_end_matches('_'))
    });
    names.map(|n| n.trim_end_matches("_bucket").to_owned()).collect()
}

fn registry() -> BTreeSet<String> {
    use locutor::telemetry::metrics::{Metrics, reason_labels, stage_labels, stream_labels};
    let m = Metrics::new();
    m.set_provider("CPU");
    for f in [&m.drops, &m.reconnects] {
        f.get_or_create(&reason_labels("a", "b", "c")).inc();
    }
    m.frames.get_or_create(&stage_labels("a", "b")).inc();
    m.latency.get_or_create(&stage_labels("a", "b")).observe(0.1);
    for f in [&m.queue_items, &m.queue_bytes] {
        f.get_or_create(&stage_labels("a", "b")).set(1);
    }
    m.av_skew.get_or_create(&stream_labels("a")).set(0.0);
    m.recorded_bytes.get_or_create(&stream_labels("a")).inc();
    let gauges = [&m.source_up, &m.faces, &m.speaking, &m.load_level, &m.readers];
    for f in gauges.into_iter().chain([&m.disk_free, &m.spool_bytes]) {
        f.get_or_create(&stream_labels("a")).set(1);
    }
    let mut text = String::new();
    let registry = m.registry().lock().expect("whole");
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let names = named(&samples.join("\n")).into_iter();
    names.filter(|n| !n.ends_with("seconds_sum") && !n.ends_with("seconds_count")).collect()
}

fn read(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(file).expect("stored")
}

#[test]
fn what_is_asked_for_exists_and_what_exists_is_told() {
    let there = registry();
    for file in ["docs/grafana/locutor.json", "docs/alerts/locutor.rules.yml"] {
        let asked = named(&read(file));
        assert!(asked.len() >= 6, "{file}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&there).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}, but there are {there:?}");
    }
    let told = named(&read("docs/operating.md"));
    let untold: Vec<_> = there.difference(&told).collect();
    assert!(untold.is_empty(), "docs/operating.md does not tell of {untold:?}");
}

#[test]
fn alerts_are_rules() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts/locutor.rules.yml");
    let Ok(out) =
        std::process::Command::new("promtool").args(["check", "rules"]).arg(file).output()
    else {
        needs::skip("promtool (package prometheus)");
        return;
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
