//! The certificates that a device trusts.

use core::fmt;

use heapless::Vec;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::net::Peer;

/// Most roots of one peer.
pub const MOST_ROOTS: usize = 8;

/// Certificates of the authorities that may vouch for a host, as DER, for example by `include_bytes!`. [`MOST_ROOTS`] at most for
/// each peer.
///
/// Give each peer its own authorities only: whoever has one of these can play that host.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'a> {
    /// For the Mender server.
    pub server: &'a [&'a [u8]],
    /// For the hosts that artifacts are downloaded from. May be empty if the server hands out its artifacts itself.
    pub artifact_host: &'a [&'a [u8]],
}

impl<'a> Roots<'a> {
    /// The same for all hosts.
    pub const fn same(roots: &'a [&'a [u8]]) -> Roots<'a> {
        Roots {
            server: roots,
            artifact_host: roots,
        }
    }

    pub(super) fn of(&self, peer: Peer) -> &'a [&'a [u8]] {
        match peer {
            Peer::Server => self.server,
            Peer::ArtifactHost => self.artifact_host,
        }
    }

    /// Finds what would fail at each connection.
    pub(super) fn check(&self) -> Result<(), RootError> {
        if self.server.is_empty() {
            return Err(RootError::None);
        }
        for peer in [Peer::Server, Peer::ArtifactHost] {
            let roots = self.of(peer);
            if roots.len() > MOST_ROOTS {
                return Err(RootError::TooMany { peer });
            }
            for (index, der) in roots.iter().enumerate() {
                if webpki::anchor_from_trusted_cert(&CertificateDer::from_slice(der)).is_err() {
                    return Err(RootError::NoCertificate { peer, index });
                }
            }
        }
        Ok(())
    }
}

/// The roots, for [`anchors`] to borrow from.
pub(super) fn certificates<'r>(roots: &'r [&'r [u8]]) -> Vec<CertificateDer<'r>, MOST_ROOTS> {
    roots
        .iter()
        .take(MOST_ROOTS)
        .map(|der| CertificateDer::from_slice(der))
        .collect()
}

/// As webpki wants them. They were checked; one that is none is left out.
pub(super) fn anchors<'r>(roots: &'r Vec<CertificateDer<'r>, MOST_ROOTS>) -> Vec<TrustAnchor<'r>, MOST_ROOTS> {
    roots
        .iter()
        .filter_map(|der| webpki::anchor_from_trusted_cert(der).ok())
        .collect()
}

/// Why roots cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RootError {
    /// There are none for the server.
    None,
    /// More than [`MOST_ROOTS`].
    TooMany {
        /// Whose.
        peer: Peer,
    },
    /// One is no X.509 certificate in DER. `openssl x509 -in root.pem -outform DER -out root.der` makes it out of PEM.
    NoCertificate {
        /// Whose.
        peer: Peer,
        /// Which of them.
        index: usize,
    },
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootError::None => f.write_str("no root for the server: no server could be trusted"),
            RootError::TooMany { peer } => write!(f, "more than {MOST_ROOTS} roots for {peer:?}"),
            RootError::NoCertificate { peer, index } => write!(
                f,
                "root {index} of {peer:?} is no certificate in DER (openssl x509 -in root.pem -outform DER -out root.der)"
            ),
        }
    }
}

impl core::error::Error for RootError {}
