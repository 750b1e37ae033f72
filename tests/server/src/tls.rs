//! The server's certificate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;
use tool_style::file::unreadable;

/// A chain of certificates with its key, ready for TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Takes a chain, the server's own certificate first, and its key.
    ///
    /// # Errors
    /// [`TlsFilesError::Unfit`] when they do not belong together or the key is of a kind that is not supported.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Identity, TlsFilesError> {
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsFilesError::Unfit)?;
        Ok(Identity {
            config: Arc::new(config),
        })
    }

    /// Reads a chain, the server's own certificate first, and its key from PEM files, which may be the same file.
    ///
    /// # Errors
    /// [`TlsFilesError`] names the file that cannot be read or used.
    pub fn read(certificate: &Path, key: &Path) -> Result<Identity, TlsFilesError> {
        let of = |file: &Path| {
            let file = file.to_owned();
            move |error: pem::Error| TlsFilesError::File { file, error }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(of(certificate))?;
        if chain.is_empty() {
            return Err(TlsFilesError::NoCertificate(certificate.to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(of(key))?;
        Self::new(chain, key)
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }
}

/// Why certificate and key cannot be used.
#[derive(Debug)]
pub enum TlsFilesError {
    /// A file cannot be read, or is not PEM with what it should have.
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// The file has no certificate.
    NoCertificate(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    Unfit(rustls::Error),
}

impl fmt::Display for TlsFilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, error } => match error {
                pem::Error::Io(error) => write!(f, "{}: {}", file.display(), unreadable(error)),
                pem::Error::NoItemsFound => write!(f, "{}: there is no key in PEM in it", file.display()),
                other => write!(f, "{}: not PEM: {other}", file.display()),
            },
            Self::NoCertificate(file) => write!(f, "{}: there is no certificate in it", file.display()),
            Self::Unfit(error) => write!(f, "certificate and key: {error}"),
        }
    }
}

impl std::error::Error for TlsFilesError {}
