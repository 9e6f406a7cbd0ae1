//! `locutor probe`: a readable report about the source at an address, and an example file.

use std::time::Duration;

use secrecy::SecretString;

use super::ProbeArgs;
use super::terminal::print;
use crate::config::camera::secret::Secrets;
use crate::core::address;
use crate::core::credentials::Login;
use crate::core::exit::Exit;
use crate::live::probe::{Findings, probe};
use crate::stages::source::live::settings::SourceSettings;

/// Runs `locutor probe`.
pub(super) fn run(args: &ProbeArgs) -> Exit {
    let source = match source(args) {
        Ok(source) => source,
        Err(why) => {
            eprintln!("locutor: {why}");
            return Exit::Usage;
        }
    };
    let findings = match probe(&source, Duration::from_secs(args.seconds)) {
        Ok(findings) => findings,
        Err(e) => {
            eprintln!("locutor: {e}");
            return e.exit();
        }
    };
    let printed = if args.json {
        match serde_json::to_string_pretty(&findings) {
            Ok(json) => print(&format!("{json}\n")),
            Err(e) => {
                eprintln!("locutor: the findings cannot be written as JSON: {e}");
                Exit::Internal
            }
        }
    } else {
        print(&to_text(&source, &findings))
    };
    if let Some(error) = &findings.error {
        eprintln!("locutor: {}: {error}", address::redacted(&source.uri));
    }
    match findings.size {
        Some(_) => printed,
        None => Exit::Unavailable,
    }
}

/// The source at the address; its user and password are moved to the login.
fn source(args: &ProbeArgs) -> Result<SourceSettings, String> {
    let mut uri: url::Url = args.uri.parse().map_err(|e| format!("this is not a URL: {e}"))?;
    let inside = (!uri.username().is_empty()).then(|| Login {
        user: decoded(uri.username()),
        password: SecretString::from(decoded(uri.password().unwrap_or_default())),
    });
    let stripped = uri.set_username("").and_then(|()| uri.set_password(None));
    if inside.is_some() && stripped.is_err() {
        return Err("the user and password cannot be removed from this address".into());
    }
    let named = args.credentials.as_ref().map(|name| Secrets::System.login(name)).transpose()?;
    let here = std::env::current_dir().unwrap_or_default();
    let uri = address::source(uri.as_str(), &here)?;
    let tls_ca_file = args.tls_ca_file.clone();
    Ok(SourceSettings {
        login: named.or(inside),
        tls_ca_file,
        ..SourceSettings::with_defaults(uri)
    })
}

/// Decodes percent-encoding, e.g. `%40` as `@`.
fn decoded(text: &str) -> String {
    let pairs = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pairs.as_bytes())
        .next()
        .map(|(_, v)| v.into_owned())
        .unwrap_or_default()
}

fn to_text(source: &SourceSettings, found: &Findings) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("address:  {}", address::redacted(&source.uri)));
    if !found.codecs.is_empty() {
        line(format!("streams:  {}", found.codecs.join(", ")));
    }
    if let (Some((width, height)), Some(fps)) = (found.size, found.fps) {
        line(format!("frame:  {width}x{height}, {fps:.2} a second, {} damaged", found.damaged));
    }
    if let Some(seconds) = found.first_frame_seconds {
        line(format!("opened:   first frame after {seconds:.1} s"));
    }
    match (found.audio, found.loudness) {
        (true, Some(loudness)) => line(format!("audio:    yes, loudness {loudness:.3} (0 to 1)")),
        _ if found.size.is_some() => {
            line("audio:    none: faces are found, but speech cannot be detected".into());
        }
        _ => {}
    }
    if let Some(skew) = found.skew_seconds {
        line(format!("skew:     audio is {:+.0} ms from the frame on arrival", skew * 1_000.0));
    }
    if !found.faces.is_empty() {
        let most = found.faces.iter().max().copied().unwrap_or(0);
        line(format!("faces:    up to {most} in {} frames", found.faces.len()));
    }
    if found.size.is_some() {
        line(String::new());
        line("# An example file; check it with: locutor check FILE --environment".into());
        line(format!("[source]\nuri = \"{}\"", address::redacted(&source.uri)));
        if source.login.is_some() {
            line("credentials = \"NAME\"   # user:password, see docs/operating.md".into());
        }
        if let Some(file) = &source.tls_ca_file {
            line(format!("tls_ca_file = {:?}", file.display().to_string()));
        }
        line("\n[[sink]]\ntype = \"rtsp-server\"".into());
        line("\n[[sink]]\ntype = \"record\"\ndirectory = \"recordings\"".into());
        line("\n[[sink]]\ntype = \"events\"\npath = \"events.jsonl\"".into());
    }
    out
}
