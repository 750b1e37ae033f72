//! The work on one connection: the handshake, then one operation after the other.
//!
//! embedded-tls borrows its buffers as long as it lives, so buffers, TLS state and plain connection are in the frame of one
//! future for each place, where a borrow beside its owner is safe. Dropping that future is all that it takes to forget a
//! connection, and a record that was sent in part is never sent again: its nonce is used once.

use core::cell::{Cell, RefCell};
use core::time::Duration;

use embassy_futures::poll_once;
use embedded_io_async::{BufRead, Read, Write};
use embedded_tls::{
    Certificate, CryptoProvider, CryptoRngCore, MaxFragmentLength, TlsConfig, TlsConnection, TlsContext,
    TlsError as Tls, TlsVerifier,
};
use rand_core::CryptoRng;
use rustls_pki_types::ServerName;

use super::cipher::Suite;
use super::error::{StreamError, TlsError};
use super::memory::{Door, Operation, READ, State, work_until};
use super::random::Random;
use super::records::{Records, Seen};
use super::verifier::Verifier;

/// What embedded-tls asks for.
struct Provider<'p, 'a, R> {
    rng: Random<'p, R>,
    verifier: &'p mut Verifier<'a>,
    wants_certificate: &'p Cell<bool>,
}

impl<R: CryptoRng> CryptoProvider for Provider<'_, '_, R> {
    type CipherSuite = Suite;
    type Signature = &'static [u8];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.rng
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, Tls> {
        Ok(&mut *self.verifier)
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.wants_certificate.set(true);
        None::<Certificate<&[u8]>>
    }
}

/// What a handshake needs beside the plain connection and its buffers.
pub(super) struct Handshake<'h, R> {
    pub(super) rng: &'h RefCell<R>,
    pub(super) roots: &'h [&'h [u8]],
    pub(super) host: &'h str,
    /// `None`: certificates are valid at any time.
    pub(super) now: Option<Duration>,
}

/// What embedded-tls keeps of a connection. It is large: it lies in one place from its beginning to its end.
type Connection<'b, S> = TlsConnection<'b, Records<'b, S>, Suite>;

/// Connects to a server that proves to be `handshake.host`, then does what the stream asks for, until it is dropped or something
/// fails. That is told at the door; the error is that of the handshake.
pub(super) async fn run<'b, S: Read + Write, R: CryptoRng, const RX: usize, const TX: usize>(
    plain: S,
    (rx, tx): (&'b mut [u8; RX], &'b mut [u8; TX]),
    seen: &'b Seen,
    handshake: Handshake<'_, R>,
    door: &RefCell<Door>,
) -> Result<(), TlsError> {
    let mut tls = TlsConnection::new(Records::new(plain, seen), rx, tx);
    let fragment = const { fragment(RX) };
    let wants_certificate = open(&mut tls, seen, handshake, fragment).await?;
    door.borrow_mut().set(State::Idle);
    if serve(&mut tls, seen, wants_certificate, door).await == Farewell::Due {
        // As far as the plain connection takes it at once.
        let _ = poll_once(tls.close());
    }
    Ok(())
}

/// The handshake; whether the server wanted a certificate.
async fn open<'b, S: Read + Write, R: CryptoRng>(
    tls: &mut Connection<'b, S>,
    seen: &'b Seen,
    handshake: Handshake<'_, R>,
    fragment: Option<MaxFragmentLength>,
) -> Result<bool, TlsError> {
    let name = ServerName::try_from(handshake.host).map_err(|_| TlsError::Host)?;
    let mut config = TlsConfig::new();
    if cfg!(feature = "rsa") {
        config = config.enable_rsa_signatures();
    }
    if let ServerName::DnsName(_) = name {
        // Without the last dot of an absolute name (RFC 6066, section 3).
        let host = handshake.host;
        config = config.with_server_name(host.strip_suffix('.').unwrap_or(host));
    }
    if let Some(fragment) = fragment {
        config = config.with_max_fragment_length(fragment);
    }
    let wants_certificate = Cell::new(false);
    let mut verifier = Verifier::new(handshake.roots, &name, handshake.now);
    let provider = Provider {
        rng: Random(handshake.rng),
        verifier: &mut verifier,
        wants_certificate: &wants_certificate,
    };
    let opened = tls.open(TlsContext::new(&config, provider)).await;
    match opened {
        Err(error) if !verifier.has_refused() => Err(TlsError::of(error, seen)),
        Ok(()) | Err(_) => {
            verifier.outcome().map_err(TlsError::Refused)?;
            seen.is_open.set(true);
            Ok(wants_certificate.get())
        }
    }
}

/// Whether the server is to be told of the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Due,
    /// The server's own has come, and embedded-tls would send something else; or a write failed, and a nonce would be used again.
    Not,
}

async fn serve<'b, S: Read + Write>(
    tls: &mut Connection<'b, S>,
    seen: &'b Seen,
    wants_certificate: bool,
    door: &RefCell<Door>,
) -> Farewell {
    let mut has_ended = false;
    loop {
        let operation = work_until(door, |door| match door.state {
            State::Asked(operation) => Some(Some(operation)),
            State::Close => Some(None),
            State::Free | State::Connect | State::Failed(_) | State::Idle | State::Done(_) | State::Abort => None,
        });
        let Some(operation) = operation.await else {
            return if has_ended { Farewell::Not } else { Farewell::Due };
        };
        let result = match operation {
            Operation::Read if has_ended => Ok(0),
            Operation::Write | Operation::Flush if has_ended => Err(StreamError::Over),
            Operation::Read | Operation::Write | Operation::Flush => match operate(tls, operation, door).await {
                Err(Tls::ConnectionClosed) => {
                    has_ended = true;
                    Ok(0)
                }
                Err(error) => Err(StreamError::of(error, seen, wants_certificate)),
                Ok(len) => Ok(len),
            },
        };
        let has_failed = result.is_err();
        door.borrow_mut().set(State::Done(result));
        if has_failed {
            return Farewell::Not;
        }
    }
}

async fn operate<S: Read + Write>(
    tls: &mut Connection<'_, S>,
    operation: Operation,
    door: &RefCell<Door>,
) -> Result<usize, Tls> {
    match operation {
        Operation::Read => {
            let bytes = tls.fill_buf().await?;
            let len = bytes.len().min(READ);
            let mut door = door.borrow_mut();
            for (place, byte) in door.read.iter_mut().zip(bytes) {
                *place = *byte;
            }
            (door.read_at, door.read_len) = (0, len);
            tls.consume(len);
            Ok(len)
        }
        Operation::Write => {
            let (bytes, len) = {
                let door = door.borrow();
                (door.write, door.write_len)
            };
            tls.write(bytes.get(..len).unwrap_or(&[])).await
        }
        Operation::Flush => tls.flush().await.map(|()| 0),
    }
}

/// The records to ask for, where the buffer does not hold all that there can be. The rest is a record's overhead, and room for
/// the chain of certificates, which has to fit one record.
const fn fragment(rx: usize) -> Option<MaxFragmentLength> {
    match rx {
        16_640.. => None,
        4_500.. => Some(MaxFragmentLength::Bits12),
        2_400.. => Some(MaxFragmentLength::Bits11),
        _ => Some(MaxFragmentLength::Bits10),
    }
}
