//! RTSPS from end to end: this program's server as the camera, this program's source as the reader.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::stages::source::live::gst::intake::{LiveGraph, Taps, build};
use crate::stages::source::live::settings::SourceSettings;

/// A self-signed certificate and its key; `None` if openssl is missing.
fn certificate(dir: &Path, name: &str) -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
    command.arg(format!("/CN={name}.invalid")).arg("-keyout").arg(&key).arg("-out").arg(&cert);
    let made = command.output().is_ok_and(|out| out.status.success());
    if !made {
        crate::needs::skip("openssl (package openssl)");
    }
    made.then_some((cert, key))
}

/// Reads `url`; returns the graph and the number of frames.
fn read(url: &str, trust: Option<&Path>) -> (SourceSettings, LiveGraph, Arc<AtomicU64>) {
    let mut source = SourceSettings::with_defaults(url.parse().expect("an address"));
    source.tls_ca_file = trust.map(Path::to_owned);
    let (taps, frames) = Taps::counting();
    let graph = build(&source, taps).expect("elements");
    let _ = graph.play();
    (source, graph, frames)
}

/// The error message for a certificate that is not trusted.
fn refusal(url: &str, trust: Option<&Path>) -> String {
    let (source, graph, frames) = read(url, trust);
    wait_until("it is refused", || graph.bus.failed());
    assert_eq!(frames.load(Ordering::Relaxed), 0);
    let fault = graph.bus.log().error.expect("a fault");
    graph.stop_within(Duration::from_secs(5));
    fault.source_error(&source.uri, source.login.is_some(), source.tls_ca_file.as_deref())
}

#[test]
fn rtsps_is_read_if_the_certificate_is_trusted_and_else_gives_a_readable_error() {
    let dir = tempfile::tempdir().expect("temp");
    let Some(pair) = certificate(dir.path(), "camera") else { return };
    let Some((other, _)) = certificate(dir.path(), "other") else { return };
    // With TLS alone, without a login.
    let stage = stage(&RtspServerSettings { tls: Some(pair.clone()), ..serve(None, 10) });
    let url = stage.server.url("cam");
    assert!(url.starts_with("rtsps://"), "{url}");
    // The certificate itself is trusted, whatever host name it has.
    let (_, graph, frames) = loop {
        let (source, graph, frames) = read(&url, Some(&pair.0));
        wait_until("frames, or none yet", || {
            frames.load(Ordering::Relaxed) > RATE || graph.bus.failed()
        });
        match graph.bus.log().error {
            // The mount exists from the first keyframe on.
            Some(fault) if fault.not_found => std::thread::sleep(Duration::from_millis(200)),
            Some(fault) => panic!(
                "{}",
                fault.source_error(
                    &source.uri,
                    source.login.is_some(),
                    source.tls_ca_file.as_deref()
                )
            ),
            None => break (source, graph, frames),
        }
    };
    wait_until("frames", || frames.load(Ordering::Relaxed) > 2 * RATE);
    graph.stop_within(Duration::from_secs(5));
    for trust in [None, Some(other.as_path())] {
        let said = refusal(&url, trust);
        println!("{said}");
        assert!(said.contains("certificate of 127.0.0.1 is not trusted"), "{said}");
        assert!(said.contains("tls_ca_file"), "{said}");
    }
}

#[test]
fn a_file_without_certificates_is_an_error() {
    crate::gst::start().expect("GStreamer starts");
    let dir = tempfile::tempdir().expect("temp");
    let file = dir.path().join("empty.pem");
    for text in [None, Some("nothing")] {
        if let Some(text) = text {
            std::fs::write(&file, text).expect("written");
        }
        let mut source =
            SourceSettings::with_defaults("rtsps://127.0.0.1:1/cam".parse().expect("an address"));
        source.tls_ca_file = Some(file.clone());
        let nothing = Taps::counting().0;
        let said = build(&source, nothing).err().expect("no certificates").to_string();
        println!("{said}");
        assert!(said.contains("empty.pem") && said.contains("tls_ca_file"), "{said}");
    }
}
