//! Certificates: which roots may vouch for whom, and what to do about one that is refused.
//!
//! The system's roots come by `rustls-native-certs`: it reads what OpenSSL would (`/etc/ssl/certs`, or `SSL_CERT_FILE`), and is all
//! that `rustls-platform-verifier` does on Linux beside checking against them, which rustls does here. So the client decides in one
//! place which roots count for which host.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use log::warn;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto};
use tool_style::file::unreadable;

/// Roots in PEM from a file.
///
/// # Errors
///
/// What is wrong with it, with its path.
pub fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let failed = |what: &dyn std::fmt::Display| format!("the roots {}: {what}", path.display());
    let pem = fs::read(path).map_err(|error| failed(&unreadable(&error)))?;
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&pem) {
        let root = root.map_err(|error| failed(&format_args!("not PEM: {error}")))?;
        store
            .add(root)
            .map_err(|error| failed(&format_args!("a certificate in it cannot be used: {error}")))?;
    }
    if store.is_empty() {
        return Err(failed(
            &"there is no certificate in PEM in it (openssl x509 -inform DER -in FILE -out OTHER writes one)",
        ));
    }
    Ok(store)
}

/// Which roots may vouch for a host.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'r> {
    /// The system's.
    System,
    /// Those of a file.
    Own(&'r RootCertStore),
    /// Either.
    Both(&'r RootCertStore),
}

/// A configuration with such roots.
///
/// # Errors
///
/// There are none at all.
pub fn config(roots: Roots<'_>) -> Result<Arc<ClientConfig>, String> {
    let store = match roots {
        Roots::Own(own) => own.clone(),
        Roots::System => with_system(RootCertStore::empty()),
        Roots::Both(own) => with_system(own.clone()),
    };
    if store.is_empty() {
        return Err(
            "this system has no root certificates; install them (on Debian the package ca-certificates), or give the \
             server's with --ca"
                .to_owned(),
        );
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn with_system(mut store: RootCertStore) -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        warn!("the system's certificates: {error}");
    }
    // Old ones among them may have what rustls does not take; they are of no use then.
    store.add_parsable_certificates(found.certs);
    store
}

/// Why a handshake failed, and what to do.
pub fn explain(error: &io::Error, host: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(fault)) => certificate(fault, host),
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("the server does not speak TLS there ({error}): is its URL an http:// one?")
        }
        Some(other) => format!("TLS: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("the server broke the TLS handshake off ({error}): is its URL right?")
        }
        None => error.to_string(),
    }
}

fn certificate(fault: &CertificateError, host: &str) -> String {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "the server's certificate has expired ({fault}): renew it, or set this device's clock if that is wrong"
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the server's certificate is not valid yet ({fault}): set this device's clock")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the server's certificate is for another name than {host} ({fault}): use a name of it in --server-url, or get \
             a certificate for {host}"
        ),
        CertificateError::UnknownIssuer => {
            "no known root vouches for the server's certificate: give its root with --ca FILE, or add it to the system's"
                .to_owned()
        }
        other => format!("the server's certificate is refused: {other}"),
    }
}
