//! Trusted certificates for TLS connections: the system's, or those of a PEM file. The file may
//! hold the peer's own certificate: most cameras use self-signed certificates, made for another
//! name.
//!
//! For an untrusted certificate the elements only report that there is no connection. The messages
//! here give the reason and the configuration key that fixes it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp_server::gio;
use gstreamer_rtsp_server::gio::prelude::*;

use super::elements::ElementError;
use crate::core::address::{HLS_CA_HINT, is_playlist};

/// Timeout of the connection that checks a web server's certificate, in seconds.
const CONNECT_TIMEOUT_SECONDS: u32 = 3;

/// Makes an `rtsps://` element trust the certificates in `file`, or else those of the system. A
/// refused certificate becomes an error of the element.
///
/// # Errors
/// If the file holds no certificates.
pub(crate) fn trust_rtsp(
    element: &gst::Element,
    uri: &url::Url,
    file: Option<&Path>,
) -> Result<(), ElementError> {
    let mut trusted = Vec::new();
    if let Some(file) = file {
        element.set_property("tls-database", anchors(file)?);
        let found = gio::TlsCertificate::list_new_from_file(file);
        let found = found.map_err(|e| unreadable(file, &e))?;
        // Certificate objects cannot move to the element's thread; their PEM text can.
        trusted.extend(found.iter().filter_map(|k| k.certificate_pem()).map(String::from));
    }
    let (host, weak) = (uri.host_str().unwrap_or_default().to_owned(), element.downgrade());
    element.connect("accept-certificate", false, move |values| {
        let peer = values.get(2).and_then(|v| v.get::<gio::TlsCertificate>().ok());
        let errors = values.get(3).and_then(|v| v.get::<gio::TlsCertificateFlags>().ok());
        let peer = peer.and_then(|peer| peer.certificate_pem());
        let accepted = peer.is_some_and(|peer| trusted.iter().any(|trusted| *trusted == peer));
        if !accepted && let Some(element) = weak.upgrade() {
            let why = certificate_error(&host, errors);
            gst::element_error!(element, gst::ResourceError::OpenReadWrite, ("{why}"));
        }
        Some(accepted.to_value())
    });
    Ok(())
}

/// Makes an `https://` element trust the certificates in `file`.
///
/// # Errors
/// If the file holds no certificates.
pub(crate) fn trust_http(element: &gst::Element, file: &Path) -> Result<(), ElementError> {
    element.set_property("tls-database", anchors(file)?);
    Ok(())
}

/// Why the web server at `uri` cannot be reached; `None` if a connection succeeds.
pub(crate) fn connection_error(uri: &url::Url, file: Option<&Path>) -> Option<String> {
    let (host, port) = (uri.host_str()?, uri.port_or_known_default()?);
    let client = gio::SocketClient::new();
    client.set_tls(uri.scheme() == "https");
    client.set_timeout(CONNECT_TIMEOUT_SECONDS);
    let anchors = file.map(anchors).transpose().ok().flatten();
    let errors: Arc<Mutex<Option<gio::TlsCertificateFlags>>> = Arc::default();
    let found = Arc::clone(&errors);
    client.connect_event(move |_, event, _, stream| {
        let tls = stream.and_then(|stream| stream.dynamic_cast_ref::<gio::TlsConnection>());
        if event != gio::SocketClientEvent::TlsHandshaking {
            return;
        }
        let Some(tls) = tls else { return };
        if let Some(anchors) = &anchors {
            tls.set_database(Some(anchors));
        }
        let found = Arc::clone(&found);
        tls.connect_accept_certificate(move |_, _, flags| {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(flags);
            false
        });
    });
    client.connect_to_host(host, port, gio::Cancellable::NONE).err()?;
    let errors = *errors.lock().unwrap_or_else(PoisonError::into_inner);
    Some(match errors {
        Some(_) if is_playlist(uri) => {
            format!("{}; {}", untrusted(host, errors), HLS_CA_HINT)
        }
        Some(_) => certificate_error(host, errors),
        None => format!("no connection to {host}:{port}"),
    })
}

fn anchors(file: &Path) -> Result<gio::TlsFileDatabase, ElementError> {
    let path = std::path::absolute(file).map_err(|e| ElementError::Trust(e.to_string()))?;
    let trusted =
        gio::TlsCertificate::list_new_from_file(&path).map_err(|e| unreadable(file, &e))?;
    if trusted.is_empty() {
        let why = format!("{} holds no PEM certificate", file.display());
        return Err(ElementError::Trust(why));
    }
    gio::TlsFileDatabase::new(path).map_err(|e| unreadable(file, &e))
}

fn unreadable(file: &Path, error: &gst::glib::Error) -> ElementError {
    ElementError::Trust(format!("{}: {}", file.display(), error.message()))
}

/// What is wrong with a certificate, and how to fix it.
fn certificate_error(host: &str, errors: Option<gio::TlsCertificateFlags>) -> String {
    format!(
        "{}; save it, or that of its CA, in a PEM file and set tls_ca_file = \"FILE\"",
        untrusted(host, errors)
    )
}

fn untrusted(host: &str, errors: Option<gio::TlsCertificateFlags>) -> String {
    use gio::TlsCertificateFlags as Flags;
    let is = |flag| errors.is_some_and(|errors| errors.contains(flag));
    let why = match () {
        () if is(Flags::EXPIRED) => "it has expired",
        () if is(Flags::NOT_ACTIVATED) => "it is not valid yet; is the clock right?",
        () if is(Flags::REVOKED) => "it was revoked",
        () if is(Flags::UNKNOWN_CA) => "no trusted authority has signed it",
        () if is(Flags::BAD_IDENTITY) => "it was issued for another name",
        () => "it cannot be used",
    };
    format!("the certificate of {host} is not trusted: {why}")
}
