//! Checks what a process serves: the addresses to listen on, and that nothing is open to a network
//! by mistake.

use std::net::SocketAddr;

use super::Serve;
use super::context::{Context, Invalid};
use super::raw::RawServe;
use crate::stages::sink::settings::RtspServerSettings;
use crate::stages::sink::settings::SinkSettings;

/// The default address of the RTSP server.
const RTSP: &str = "127.0.0.1:8554";

pub(super) fn read(
    raw: RawServe,
    sinks: &[SinkSettings],
    context: &Context,
) -> Result<Serve, Invalid> {
    let health = match raw.health.as_str() {
        "off" => None,
        address => Some(listen("serve.health", address)?),
    };
    if let Some(health) = health {
        let problem = "the health page has no login; write 127.0.0.1, or allow_anonymous = true if \
                       everyone who can reach this machine may read it";
        require_loopback("serve.health", health, raw.allow_anonymous, problem)?;
    }
    let login = context.login("serve.rtsp_credentials", raw.rtsp_credentials.as_deref())?;
    let tls = match (raw.rtsp_tls_cert, raw.rtsp_tls_key) {
        (Some(cert), Some(key)) => Some((context.path(cert), context.path(key))),
        (None, None) => None,
        (Some(_), None) => return Err(missing("rtsp_tls_key")),
        (None, Some(_)) => return Err(missing("rtsp_tls_cert")),
    };
    if !(1..=10_000).contains(&raw.rtsp_max_readers) {
        let problem = format!("is {}; it must be from 1 to 10000", raw.rtsp_max_readers);
        return Err(("serve.rtsp_max_readers".into(), problem));
    }
    let served = sinks.iter().any(|sink| matches!(sink, SinkSettings::RtspServer { .. }));
    let address = raw.rtsp.as_deref().or_else(|| served.then_some(RTSP));
    let Some(address) = address else { return Ok(Serve { rtsp: None, health }) };
    let listen = listen("serve.rtsp", address)?;
    if login.is_none() {
        let problem = "without a login everyone who can reach this machine could watch; \
                       write rtsp_credentials = \"NAME\", or 127.0.0.1, or \
                       allow_anonymous = true if that is intended";
        require_loopback("serve.rtsp", listen, raw.allow_anonymous, problem)?;
    }
    if health == Some(listen) && listen.port() != 0 {
        let problem = format!("is {listen}, as serve.health is; write another port");
        return Err(("serve.rtsp".into(), problem));
    }
    let (allow_anonymous, max_readers) = (raw.allow_anonymous, raw.rtsp_max_readers);
    let rtsp = RtspServerSettings { listen, login, tls, allow_anonymous, max_readers };
    Ok(Serve { rtsp: Some(rtsp), health })
}

fn missing(key: &str) -> Invalid {
    let problem = "is missing; RTSPS needs a certificate and its key, both in PEM";
    (format!("serve.{key}"), problem.into())
}

/// An address to listen on.
fn listen(key: &str, text: &str) -> Result<SocketAddr, Invalid> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| {
        let problem = "is not an address to listen on; write an IP address and a port, e.g. \
                       127.0.0.1:8554, 0.0.0.0:8554 or [::1]:8554";
        (key.to_owned(), problem.to_owned())
    })
}

fn require_loopback(
    key: &str,
    address: SocketAddr,
    allow_anonymous: bool,
    problem: &str,
) -> Result<(), Invalid> {
    if allow_anonymous || address.ip().is_loopback() {
        return Ok(());
    }
    Err((key.into(), format!("listens on {address}, beyond this machine: {problem}")))
}
