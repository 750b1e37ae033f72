//! What goes wrong, in words that say what to do. The client logs them; they have no code in deployment logs, as a device that
//! cannot reach its server cannot send those.

use core::fmt;

use embedded_io_async::ErrorKind;
use embedded_tls::TlsError as Tls;
use embedded_tls::alert::AlertDescription;

use super::certificate::Names;
use super::records::{Seen, Verdict};
use crate::api::log::LogTime;

/// Why the server's certificate was refused.
#[derive(Clone, PartialEq, Eq)]
pub enum Refusal {
    /// None of the roots signed it.
    UnknownRoot {
        /// Who signed the last certificate of the chain: whose certificate is missing among the roots.
        issuer: Names,
    },
    /// A certificate is no longer valid.
    Expired {
        /// Whose certificate.
        certificate: Names,
        /// Its last second, since 1970-01-01T00:00:00Z.
        until: u64,
        /// What the device takes for the time.
        now: u64,
    },
    /// A certificate is not yet valid.
    NotYetValid {
        /// Whose certificate.
        certificate: Names,
        /// Its first second, since 1970-01-01T00:00:00Z.
        from: u64,
        /// What the device takes for the time.
        now: u64,
    },
    /// It is for another host.
    WrongHost {
        /// The names in it, as far as they fit. IP addresses are not among them.
        names: Names,
    },
    /// A certificate is used for what it is not for: one of a client, or of a host that signs another.
    WrongUse,
    /// A signature or the form of a certificate is wrong, perhaps because a root has the name but not the key that signed it.
    Malformed,
    /// It needs an algorithm or extension that this client does not know, or was built without.
    Unsupported,
    /// There are too many certificates between it and a root.
    TooLong,
    /// The server sent none.
    NoCertificate,
    /// The server did not prove to have the certificate's key, or not in the order that TLS prescribes.
    Unproved,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownRoot { issuer } => {
                write!(
                    f,
                    "its certificate is signed by \"{issuer}\", which is not among the device's roots"
                )
            }
            Refusal::Expired {
                certificate,
                until,
                now,
            } => write!(
                f,
                "the certificate of \"{certificate}\" was valid until {}; the device's clock says {}",
                Date(*until),
                Date(*now)
            ),
            Refusal::NotYetValid { certificate, from, now } => write!(
                f,
                "the certificate of \"{certificate}\" is valid from {}; the device's clock says {}: is it set?",
                Date(*from),
                Date(*now)
            ),
            Refusal::WrongHost { names } if names.is_empty() => f.write_str("its certificate is for no name at all"),
            Refusal::WrongHost { names } => write!(f, "its certificate is for other names: {names}"),
            Refusal::WrongUse => f.write_str("a certificate is used for what it is not for"),
            Refusal::Malformed => f.write_str(
                "a certificate is malformed, or its signature is wrong, perhaps because a root has the right name but another key",
            ),
            Refusal::Unsupported => f.write_str(
                "a certificate needs an algorithm or extension that this client does not have (features `rsa`, `p384`)",
            ),
            Refusal::TooLong => f.write_str("more certificates than six between the server's own and a root"),
            Refusal::NoCertificate => f.write_str("it sent no certificate"),
            Refusal::Unproved => f.write_str("it did not prove to have its certificate's key"),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Refusal {}

/// Why there is no connection. `Debug` is the same text as `Display`, as it is what the client logs.
#[derive(Clone, PartialEq, Eq)]
pub enum TlsError {
    /// The host is neither a DNS name nor an IP address.
    Host,
    /// There is no plain connection; why was logged.
    Connect,
    /// Nobody polls [`Connector::work`](crate::net::Connector::work).
    NotDriven,
    /// The time is not known, and [`Validity::Checked`](super::Validity::Checked) needs it.
    NoTime,
    /// The server is not who it should be.
    Refused(Refusal),
    /// The server speaks TLS 1.2 or older only.
    Version,
    /// The server has neither cipher suite nor key exchange in common with this client, or no certificate with a signature that
    /// the client takes.
    NothingInCommon,
    /// A message of the server is longer than `RX`.
    RecordTooLarge,
    /// The server sends its certificates in several records.
    Split,
    /// The server ended the handshake for another reason: the number of its alert (RFC 8446, section 6).
    Alert(u8),
    /// What came is no handshake of TLS 1.3 (RFC 8446).
    Malformed,
    /// The plain connection failed or ended within the handshake.
    Io(ErrorKind),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Host => f.write_str("neither a DNS name nor an IP address"),
            TlsError::Connect => f.write_str("no plain connection"),
            TlsError::NotDriven => f.write_str("nobody polls `work` of the TLS connector: a connector around it must pass it on"),
            TlsError::NoTime => f.write_str(
                "the device does not know the time, which certificates need: give it by `Clock::unix_time`, or choose \
                 `Validity::CheckedIfKnown`",
            ),
            TlsError::Refused(refusal) => write!(f, "the server is refused: {refusal}"),
            TlsError::Version => f.write_str("the server has no TLS 1.3: enable it there"),
            TlsError::NothingInCommon => f.write_str(
                "nothing in common with the server, which must have TLS_AES_128_GCM_SHA256 with secp256r1 (P-256), and a \
                 certificate of ECDSA or RSA",
            ),
            TlsError::RecordTooLarge => {
                f.write_str("a message of the server is longer than the buffer: make `TlsMemory<RX>` larger, up to 16640")
            }
            TlsError::Split => f.write_str(
                "the server cuts its certificates into several records, which this client does not put together: make \
                 `TlsMemory<RX>` larger, up to 16640, so that it asks for no short ones, or the chain shorter",
            ),
            TlsError::Alert(number) => write!(f, "the server ended the handshake with alert {number}"),
            TlsError::Malformed => f.write_str("what the server sent is no handshake of TLS 1.3"),
            TlsError::Io(kind) => write!(f, "the connection failed within the handshake: {kind:?}"),
        }
    }
}

impl fmt::Debug for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for TlsError {}

impl TlsError {
    /// Of a handshake that failed otherwise than by the certificate.
    pub(super) fn of(error: Tls, seen: &Seen) -> TlsError {
        match seen.verdict() {
            Verdict::Fine => {}
            // This client offers one key share, for all that it has.
            Verdict::Retry => return TlsError::NothingInCommon,
            Verdict::Old => return TlsError::Version,
            Verdict::Wrong => return TlsError::Malformed,
        }
        match error {
            Tls::HandshakeAborted(_, AlertDescription::ProtocolVersion) => TlsError::Version,
            Tls::HandshakeAborted(_, AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => {
                TlsError::NothingInCommon
            }
            Tls::HandshakeAborted(_, alert) => TlsError::Alert(alert as u8),
            Tls::InsufficientSpace => TlsError::RecordTooLarge,
            // Not the verifier's, which are told apart: the message ended before it was complete.
            Tls::InvalidCertificate | Tls::InvalidCertificateEntry => TlsError::Split,
            Tls::Io(kind) => TlsError::Io(kind),
            Tls::IoError => TlsError::Io(ErrorKind::ConnectionReset),
            // The crate's other errors all are about what came.
            _ => TlsError::Malformed,
        }
    }
}

/// Why an open connection failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StreamError {
    /// The plain connection failed.
    Io(ErrorKind),
    /// It ended without the server's word that this is the end: what came may not be all.
    Truncated,
    /// What came is not what the server sent, or no TLS 1.3.
    Malformed,
    /// A record is longer than `RX`.
    RecordTooLarge,
    /// The server reports an error, or does not want to go on.
    Alert,
    /// The server wants a certificate of the client, which is not supported.
    ClientCertificate,
    /// The connection failed or ended before.
    Over,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Io(kind) => write!(f, "the connection failed: {kind:?}"),
            StreamError::Truncated => f.write_str("the connection was cut"),
            StreamError::Malformed => f.write_str("what came was changed on its way, or is no TLS 1.3"),
            StreamError::RecordTooLarge => {
                f.write_str("a record is longer than the buffer: make `TlsMemory<RX>` larger")
            }
            StreamError::Alert => f.write_str("the server reports an error of TLS"),
            StreamError::ClientCertificate => {
                f.write_str("the server wants a certificate of the client, which this client does not have")
            }
            StreamError::Over => f.write_str("the connection is over"),
        }
    }
}

impl fmt::Debug for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for StreamError {}

impl embedded_io_async::Error for StreamError {
    fn kind(&self) -> ErrorKind {
        match self {
            StreamError::Io(kind) => *kind,
            StreamError::Truncated => ErrorKind::ConnectionReset,
            StreamError::Malformed
            | StreamError::RecordTooLarge
            | StreamError::Alert
            | StreamError::ClientCertificate => ErrorKind::InvalidData,
            StreamError::Over => ErrorKind::BrokenPipe,
        }
    }
}

impl StreamError {
    /// Of a read, write or flush. `wants_certificate`: the server asked for one in the handshake, and got none.
    pub(super) fn of(error: Tls, seen: &Seen, wants_certificate: bool) -> StreamError {
        match error {
            Tls::Io(_) if seen.verdict() != Verdict::Fine => StreamError::Malformed,
            Tls::Io(kind) => StreamError::Io(kind),
            Tls::IoError => StreamError::Truncated,
            Tls::InsufficientSpace => StreamError::RecordTooLarge,
            // An alert: embedded-tls keeps no more of it.
            Tls::InternalError if wants_certificate => StreamError::ClientCertificate,
            Tls::InternalError => StreamError::Alert,
            // The crate's other errors all are about what came.
            _ => StreamError::Malformed,
        }
    }
}

/// A time as RFC 3339 has it, without milliseconds' worth of meaning.
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.saturating_mul(1000);
        LogTime::Unix { millis }.fmt(f)
    }
}
