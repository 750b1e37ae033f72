//! TLS 1.3 over any plain [`Connector`](crate::net::Connector), without heap.
//!
//! [embedded-tls](https://docs.rs/embedded-tls) does the protocol, [rustls-webpki](https://docs.rs/rustls-webpki) judges chains of
//! certificates, [`signature`](mod@crate::signature) their signatures. What is between them is here, because embedded-tls's own
//! verifiers can be fooled, and because it has some traps that must not reach a device.
//!
//! ```
//! use mender::net::Connector;
//! use mender::rand_core::CryptoRng;
//! use mender::tls::{RootError, Roots, TlsConnector, TlsMemory};
//!
//! /// `tcp` is the network stack's connector, `memory` and `roots` are statics.
//! fn connector<'a, C: Connector, R: CryptoRng>(
//!     tcp: C,
//!     memory: &'a mut TlsMemory,
//!     rng: R,
//!     roots: &'a [&'a [u8]],
//! ) -> Result<TlsConnector<'a, C, R>, RootError> {
//!     // roots: &[include_bytes!("amazon-root-ca-1.der")], for example.
//!     TlsConnector::new(tcp, memory, rng, Roots::same(roots))
//! }
//! ```
//!
//! The connector goes to [`Client::new`](crate::client::Client::new) in the place of the plain one; the client runs its work. Whoever uses
//! it without the client polls [`Connector::work`](crate::net::Connector::work) beside everything else.
//!
//! # Which certificates
//!
//! The roots are those of the authority that signed the server's certificate, and of the one for the host that hands out
//! artifacts. For hosted Mender, as of its reference client for microcontrollers:
//!
//! | host | root | SHA-256 of the DER |
//! |---|---|---|
//! | `hosted.mender.io` (US) | Amazon Root CA 1 (RSA 2048) | `8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e` |
//! | `eu.hosted.mender.io` (EU) | ISRG Root X1 (RSA 4096) | `96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6` |
//! | their artifacts' hosts | GTS Root R4 (P-384) | `349dfa4058c5e263123b398ae795573c4e1313c83fe68f93556cd5e8031b3c7d` |
//!
//! All three come with Debian's package `ca-certificates`; Amazon's is valid until 2038, the others until 2035 and 2036:
//!
//! ```text
//! cd /usr/share/ca-certificates/mozilla
//! openssl x509 -in Amazon_Root_CA_1.crt -outform DER -out ~/firmware/amazon-root-ca-1.der
//! openssl x509 -in GTS_Root_R4.crt -outform DER -out ~/firmware/gts-root-r4.der
//! sha256sum ~/firmware/*.der
//! ```
//!
//! For a server of one's own: `openssl s_client -connect SERVER:443 -showcerts </dev/null` shows the chain; the root is the issuer of
//! the last certificate. A device trusts its roots as long as its firmware lasts: give it a second root before the first one
//! ends, or moves.
//!
//! # What is accepted
//!
//! - TLS 1.3 with TLS_AES_128_GCM_SHA256 and a key exchange on secp256r1 (P-256). Nothing older.
//! - Certificates of version 3 with up to six others between them and a root, for the host by a DNS name or an IP address in
//!   `subjectAltName` (a common name alone is none); the extended key usage, if there is one, is for servers; name and path length
//!   constraints hold; no SHA-1. There is no revocation: a device could not fetch the lists.
//! - ECDSA on P-256 with SHA-256; with the feature `p384` on P-384 with SHA-384; with `rsa` RSA of 2048 to 4096 bits, where
//!   certificates are signed by PKCS#1 and handshakes by PSS. The feature `tls` has all of them, `tls-p256` the first only.
//!   Hosted Mender needs all.
//!
//! Client certificates are not supported: a device proves who it is by its key in the Mender protocol. A server that asks for one
//! gets none; if it insists, that is [`StreamError::ClientCertificate`].
//!
//! # The time
//!
//! Certificates are valid from one time to another, so the client needs [`Clock::unix_time`](crate::client::Clock::unix_time) before
//! it connects for the first time. Without it there is no connection, unless [`Validity::CheckedIfKnown`] was chosen, which says
//! what is lost by that.
//!
//! # Memory and time
//!
//! [`TlsMemory`] holds two connections, 37.8 KB with the defaults. The work is a future of some kilobytes more, a part of the
//! client's: keep that in a static. During a handshake the stack holds chains, hashes and numbers as well. A signature takes
//! millions of instructions to verify (RSA up to 6, P-256 11, P-384 37), and nothing else on that executor runs meanwhile: size the
//! watchdog for it. Between the messages of a handshake, where they come in records of their own, others get their turn. The
//! README of this repository has the figures.
//!
//! # Cancellation, power loss, end
//!
//! Every future may be dropped at any time. The record that was being sent is then brought to its end, or the connection is
//! never used again; no nonce is used for two records. A connection that ends without the server's word (`close_notify`) is
//! [`StreamError::Truncated`], never an end: an attacker who cuts a download short is found out. TLS keeps nothing over a restart.
//!
//! # The way of the data
//!
//! ```text
//! client ── TlsStream ── memory (one place a connection) ── session ── embedded-tls ── records ── plain connection
//!            stream         what is asked, what was done      │            │   │
//!                                                          verifier ───────┘ cipher
//!                                            certificate, roots, algorithms
//! ```
//!
//! | file | job |
//! |---|---|
//! | `connector.rs` | gives out places, and works on them |
//! | `memory.rs`, `stream.rs` | where a stream and the work meet; the stream |
//! | `session.rs` | one connection: handshake, operations, end |
//! | `records.rs`, `cipher.rs` | what reaches embedded-tls: which records, and what is in them |
//! | `verifier.rs`, `algorithms.rs`, `roots.rs`, `certificate.rs` | who the server is |
//! | `error.rs` | what goes wrong, in words |
//! | `random.rs` | random numbers for embedded-tls |
//!
//! Depends on [`net`](crate::net) and [`signature`](mod@crate::signature), and on `date` and [`api::log`](crate::api::log) for the times in
//! messages.
//!
//! Sources: RFC 8446 (TLS 1.3), RFC 5280 (certificates), RFC 6125 (names).

mod algorithms;
mod certificate;
mod cipher;
mod connector;
mod error;
mod memory;
mod random;
mod records;
mod roots;
mod session;
mod stream;
mod verifier;

pub use certificate::Names;
pub use connector::{TlsConnector, Validity};
pub use error::{Refusal, StreamError, TlsError};
pub use memory::TlsMemory;
pub use roots::{MOST_ROOTS, RootError, Roots};
pub use stream::TlsStream;
