//! Who the server is: its chain of certificates, and the proof that it has the key.
//!
//! embedded-tls asks in the order in which messages come, accepts any order and number of them, and takes Finished for the end
//! without any. So this counts: one chain, then one proof, and [`Verifier::outcome`] has the last word.

use core::time::Duration;

use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, TlsCipherSuite, TlsError as Tls, TlsVerifier,
};
use heapless::Vec;
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use sha2_010::Digest;
use webpki::{EndEntityCert, Error, KeyUsage, RawPublicKeyEntity};

use super::algorithms;
use super::certificate::{Certificate, Names, push};
use super::cipher::Suite;
use super::error::Refusal;
use super::roots;
use crate::signature::der;

/// Most certificates of a chain: the server's own, and six between it and a root, which is as far as webpki goes.
const CHAIN: usize = 7;
/// Longest public key with its `SubjectPublicKeyInfo` around it: RSA of 4096 bits has 550 bytes.
const KEY: usize = 560;
/// What is signed before the transcript's hash (RFC 8446, section 4.4.3), after 64 spaces.
const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";

type Transcript = <Suite as TlsCipherSuite>::Hash;

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put the key on")]
enum Step {
    /// Nothing has come.
    Start,
    /// The chain leads to a root and is for this host. What is left to prove is that the server has this key, over this hash.
    Chain {
        key: Vec<u8, KEY>,
        transcript: [u8; 32],
    },
    Proved,
    Refused(Refusal),
}

/// Judges one handshake.
#[derive(Debug)]
pub(super) struct Verifier<'a> {
    /// DER of the certificates that are trusted.
    roots: &'a [&'a [u8]],
    host: &'a ServerName<'a>,
    /// `None`: certificates are valid at any time.
    now: Option<Duration>,
    step: Step,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(roots: &'a [&'a [u8]], host: &'a ServerName<'a>, now: Option<Duration>) -> Self {
        Verifier {
            roots,
            host,
            now,
            step: Step::Start,
        }
    }

    /// Whether the server has proved to be the host. To be asked when embedded-tls says that the connection is open.
    pub(super) fn outcome(self) -> Result<(), Refusal> {
        match self.step {
            Step::Proved => Ok(()),
            Step::Refused(refusal) => Err(refusal),
            Step::Start | Step::Chain { .. } => Err(Refusal::Unproved),
        }
    }

    /// Whether something was refused so far.
    pub(super) fn has_refused(&self) -> bool {
        matches!(self.step, Step::Refused(_))
    }

    fn chain(&self, transcript: &Transcript, message: &CertificateRef<'_>) -> Result<Step, Refusal> {
        let mut chain = Vec::<CertificateDer<'_>, CHAIN>::new();
        for entry in &message.entries {
            let CertificateEntryRef::X509(der) = entry else {
                return Err(Refusal::Unsupported);
            };
            let certificate = CertificateDer::from_slice(der);
            chain.push(certificate).map_err(|_| Refusal::TooLong)?;
        }
        let (own, others) = chain.split_first().ok_or(Refusal::NoCertificate)?;
        let refused = |error| self.refusal(error, &chain);
        let server = EndEntityCert::try_from(own).map_err(refused)?;
        let roots = roots::certificates(self.roots);
        let anchors = roots::anchors(&roots);
        let now = UnixTime::since_unix_epoch(self.now.unwrap_or_else(|| latest_start(&chain)));
        let usage = KeyUsage::server_auth();
        server
            .verify_for_usage(algorithms::OF_CERTIFICATES, &anchors, others, now, usage, None, None)
            .map_err(refused)?;
        if server.verify_is_valid_for_subject_name(self.host).is_err() {
            let mut names = Names::new();
            for name in server.valid_dns_names() {
                if !names.is_empty() {
                    push(&mut names, ", ");
                }
                push(&mut names, name);
            }
            return Err(Refusal::WrongHost { names });
        }
        let key = der::spki(own).ok_or(Refusal::Malformed)?;
        Ok(Step::Chain {
            key: Vec::from_slice(key).map_err(|_| Refusal::Unsupported)?,
            transcript: transcript.clone().finalize().into(),
        })
    }

    fn proof(&self, message: &CertificateVerifyRef<'_>) -> Result<Step, Refusal> {
        let Step::Chain { key, transcript } = &self.step else {
            return Err(Refusal::Unproved);
        };
        let algorithm = algorithms::of_handshake(message.signature_scheme).ok_or(Refusal::Unsupported)?;
        let mut signed = [b' '; 64 + CONTEXT.len() + 32];
        let parts = CONTEXT.iter().chain(transcript);
        for (place, byte) in signed.iter_mut().skip(64).zip(parts) {
            *place = *byte;
        }
        let key = SubjectPublicKeyInfoDer::from(key.as_slice());
        RawPublicKeyEntity::try_from(&key)
            .and_then(|key| key.verify_signature(algorithm, &signed, message.signature))
            .map_err(|_| Refusal::Unproved)?;
        Ok(Step::Proved)
    }

    /// What webpki's error means for whoever reads it.
    fn refusal(&self, error: Error, chain: &[CertificateDer<'_>]) -> Refusal {
        let certificates = || chain.iter().filter_map(|der| Certificate::of(der));
        match error {
            Error::UnknownIssuer => Refusal::UnknownRoot {
                issuer: certificates().next_back().map(|last| last.issuer()).unwrap_or_default(),
            },
            Error::CertExpired { time, not_after } => Refusal::Expired {
                certificate: certificates()
                    .find(|certificate| certificate.validity.1 == not_after.as_secs())
                    .map(|certificate| certificate.subject())
                    .unwrap_or_default(),
                until: not_after.as_secs(),
                now: time.as_secs(),
            },
            Error::CertNotValidYet { time, not_before } => Refusal::NotYetValid {
                certificate: certificates()
                    .find(|certificate| certificate.validity.0 == not_before.as_secs())
                    .map(|certificate| certificate.subject())
                    .unwrap_or_default(),
                from: not_before.as_secs(),
                now: time.as_secs(),
            },
            Error::CaUsedAsEndEntity
            | Error::EndEntityUsedAsCa
            | Error::EmptyEkuExtension
            | Error::RequiredEkuNotFoundContext(_)
            | Error::NameConstraintViolation
            | Error::PathLenConstraintViolated => Refusal::WrongUse,
            Error::MaximumPathDepthExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Refusal::TooLong,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedCertVersion
            | Error::UnsupportedCriticalExtension
            | Error::UnsupportedNameType => Refusal::Unsupported,
            // All the rest is about form and signatures, such as a key of another kind than the signature; new errors of webpki, too, are no reason to trust.
            _ => Refusal::Malformed,
        }
    }

    /// Goes on, or keeps the refusal. embedded-tls would make a malformed record of an alert, so the server gets none.
    fn step(&mut self, step: Result<Step, Refusal>) -> Result<(), Tls> {
        match step {
            Ok(step) => {
                self.step = step;
                Ok(())
            }
            Err(refusal) => {
                self.step = Step::Refused(refusal);
                Err(Tls::InvalidCertificate)
            }
        }
    }
}

impl TlsVerifier<Suite> for Verifier<'_> {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), Tls> {
        // The host was given to `new`: IP addresses do not come this way.
        Ok(())
    }

    fn verify_certificate(&mut self, transcript: &Transcript, message: CertificateRef<'_>) -> Result<(), Tls> {
        let step = match self.step {
            Step::Start => self.chain(transcript, &message),
            Step::Chain { .. } | Step::Proved | Step::Refused(_) => Err(Refusal::Unproved),
        };
        self.step(step)
    }

    fn verify_signature(&mut self, message: CertificateVerifyRef<'_>) -> Result<(), Tls> {
        let step = self.proof(&message);
        self.step(step)
    }
}

/// The first moment at which each of the certificates has begun to be valid: which of them have ended is not known without
/// the time, but that all were valid together at one time can be asked.
fn latest_start(chain: &[CertificateDer<'_>]) -> Duration {
    let starts = chain
        .iter()
        .filter_map(|der| Certificate::of(der))
        .map(|certificate| certificate.validity.0);
    Duration::from_secs(starts.max().unwrap_or(0))
}
