//! TLS to brokers and webhooks. Trusted are the certificates of a file, of `SSL_CERT_FILE`, or the
//! system's.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// The cryptography provider.
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The trusted certificates: those in `file`, or the system's.
///
/// # Errors
/// A readable message if there are none.
pub(super) fn roots(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    if let Some(file) = file {
        return certificates(file).map_err(|e| format!("tls_ca_file: {e}"));
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(format!(
            "no trusted certificates were found{why}; install ca-certificates or set SSL_CERT_FILE"
        ));
    }
    Ok(found.certs)
}

/// The certificates in `file`.
///
/// # Errors
/// A readable message with the file's name, if it cannot be read or holds none.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|e| format!("{shown}: {e}"))?;
    if found.is_empty() {
        return Err(format!("{shown} holds no PEM certificate"));
    }
    Ok(found)
}

/// A TLS client that trusts [`roots`].
///
/// # Errors
/// A readable message if there are none, or TLS cannot be set up.
pub(super) fn client(file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(file)?);
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}

/// The message of [`error_message`] if `error` is a TLS error.
pub(super) fn io_error_message(error: &std::io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(error_message)
}

/// What is wrong, and how to fix it.
pub(super) fn error_message(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(flaw) = error else { return format!("TLS: {error}") };
    let why = match flaw {
        CertificateError::UnknownIssuer => {
            "its issuer is unknown; save the certificate of its CA in a PEM file and set \
             tls_ca_file = \"FILE\""
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is valid for another host name; use that name in the address"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; is the clock right?"
        }
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is a CA certificate; create a server certificate with basicConstraints=CA:FALSE"
        }
        other => return format!("its certificate is not trusted: {other}"),
    };
    format!("its certificate is not trusted: {why}")
}
