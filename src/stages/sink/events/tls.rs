//! TLS to brokers and webhooks: the system's certificates, or those of `SSL_CERT_FILE`.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// What computes.
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates that are trusted.
///
/// # Errors
/// Where there is none.
pub(super) fn roots() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(format!(
            "no trusted certificates were found{why}; install ca-certificates or set SSL_CERT_FILE"
        ));
    }
    Ok(found.certs)
}

/// A client that trusts those.
///
/// # Errors
/// Where there are none, or TLS cannot be set up.
pub(super) fn client() -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots()?);
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}
