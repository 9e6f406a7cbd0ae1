//! What a process serves: addresses to listen on, and that nothing is open to a network by mistake.

use std::net::SocketAddr;

use super::file::{Context, Wrong};
use super::raw::RawServe;
use super::{Serve, ServeRtsp, Sink};

/// Where RTSP is served where nothing else is said.
const RTSP: &str = "127.0.0.1:8554";

pub(super) fn read(raw: RawServe, sinks: &[Sink], context: &Context) -> Result<Serve, Wrong> {
    let health = match raw.health.as_str() {
        "off" => None,
        address => Some(listen("serve.health", address)?),
    };
    if let Some(health) = health {
        let problem = "the health page has no logins; write 127.0.0.1, or open = true where \
                       everyone who can reach this machine may read it";
        closed("serve.health", health, raw.open, problem)?;
    }
    let login = context.login("serve.rtsp_credentials", raw.rtsp_credentials.as_deref())?;
    let tls = match (raw.rtsp_tls_cert, raw.rtsp_tls_key) {
        (Some(cert), Some(key)) => Some((context.path(cert), context.path(key))),
        (None, None) => None,
        (Some(_), None) => return Err(missing("rtsp_tls_key")),
        (None, Some(_)) => return Err(missing("rtsp_tls_cert")),
    };
    if !(1..=10_000).contains(&raw.rtsp_most_readers) {
        let problem = format!("is {}; it goes from 1 to 10000", raw.rtsp_most_readers);
        return Err(("serve.rtsp_most_readers".into(), problem));
    }
    let served = sinks.iter().any(|sink| matches!(sink, Sink::RtspServer { .. }));
    let address = raw.rtsp.as_deref().or_else(|| served.then_some(RTSP));
    let Some(address) = address else { return Ok(Serve { rtsp: None, health }) };
    let listen = listen("serve.rtsp", address)?;
    if login.is_none() {
        let problem = "without a login everyone who can reach this machine could watch; \
                       write rtsp_credentials = \"NAME\", or 127.0.0.1, or open = true where \
                       that is meant";
        closed("serve.rtsp", listen, raw.open, problem)?;
    }
    if health == Some(listen) && listen.port() != 0 {
        let problem = format!("is {listen}, as serve.health is; write another port");
        return Err(("serve.rtsp".into(), problem));
    }
    let (open, most_readers) = (raw.open, raw.rtsp_most_readers);
    let rtsp = ServeRtsp { listen, login, tls, open, most_readers };
    Ok(Serve { rtsp: Some(rtsp), health })
}

fn missing(key: &str) -> Wrong {
    let problem = "is missing; RTSPS needs a certificate and its key, both in PEM";
    (format!("serve.{key}"), problem.into())
}

/// An address to listen on.
fn listen(key: &str, text: &str) -> Result<SocketAddr, Wrong> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| {
        let problem = "is no address to listen on; write an IP address and a port, e.g. \
                       127.0.0.1:8554, 0.0.0.0:8554 or [::1]:8554";
        (key.to_owned(), problem.to_owned())
    })
}

fn closed(key: &str, address: SocketAddr, open: bool, problem: &str) -> Result<(), Wrong> {
    if open || address.ip().is_loopback() {
        return Ok(());
    }
    Err((key.into(), format!("listens on {address}, beyond this machine: {problem}")))
}
