//! Access control: digest login and TLS, as configured.

use gstreamer_rtsp_server as rtsp;
use rtsp::prelude::*;
use rtsp::{gio, gst};
use secrecy::ExposeSecret;

use super::super::error::RtspError;
use crate::stages::sink::settings::RtspServerSettings;

/// The role of readers.
const READER: &str = "reader";

/// The authentication that the server requires; `None` if it requires none.
///
/// # Errors
/// Where certificate and key cannot be used.
pub(super) fn auth(serve: &RtspServerSettings) -> Result<Option<rtsp::RTSPAuth>, RtspError> {
    if serve.login.is_none() && serve.tls.is_none() {
        return Ok(None);
    }
    let auth = rtsp::RTSPAuth::new();
    let mut reader = rtsp::RTSPToken::builder().field("media.factory.role", READER).build();
    auth.set_realm(Some("locutor"));
    match &serve.login {
        Some(login) => {
            auth.set_supported_methods(rtsp::gst_rtsp::RTSPAuthMethod::Digest);
            auth.add_digest(&login.user, login.password.expose_secret(), &reader);
        }
        None => auth.set_default_token(Some(&mut reader)),
    }
    if let Some((certificate, key)) = &serve.tls {
        let pair = gio::TlsCertificate::from_files(certificate, key);
        let pair = pair.map_err(|e| RtspError::Tls {
            certificate: certificate.clone(),
            key: key.clone(),
            reason: e.message().to_owned(),
        })?;
        auth.set_tls_certificate(Some(&pair));
    }
    Ok(Some(auth))
}

/// Lets readers of the role use the media of `factory`.
pub(super) fn allow(factory: &rtsp::RTSPMediaFactory) {
    let role = gst::Structure::builder(READER)
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
}
