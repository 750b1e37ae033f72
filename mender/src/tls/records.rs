//! Between the plain connection and embedded-tls: which records may come when (RFC 8446, section 5).
//!
//! embedded-tls 0.19 panics on some records that anybody on the path can send, and takes some unencrypted that must be encrypted.
//! This lets nothing through but what a right server sends: a ServerHello, or an alert in its place; one ChangeCipherSpec;
//! then encrypted records that hold something. What is *in* encrypted records is the business of `cipher`.

use core::cell::Cell;

use embassy_futures::yield_now;
use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

use super::cipher::{AFTER_HANDSHAKE, VERSION};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const ENCRYPTED: u8 = 23;

/// Most bytes of a record's content.
const PLAIN: usize = 1 << 14;
/// Fewest and most of an encrypted one's: a content type and the tag of 16 bytes; RFC 8446, section 5.2, allows 256 bytes more
/// than plaintext.
const SEALED: core::ops::RangeInclusive<usize> = 17..=PLAIN + 256;

/// `Random` of a ServerHello that asks for another ClientHello (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The header's byte that tells the cipher whether the handshake is over: the second one of a version that nobody looks at.
const MARK_AT: usize = 2;

/// What the records tell beside their content. Shared with whoever has the connection, which embedded-tls hides.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The handshake is over.
    pub(super) is_open: Cell<bool>,
    verdict: Cell<Verdict>,
}

impl Seen {
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict.get()
    }
}

/// What is said of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verdict {
    #[default]
    Fine,
    /// The server wants another key share.
    Retry,
    /// The server chose a suite of TLS 1.2 or older.
    Old,
    /// A record came that may not come.
    Wrong,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hello,
    AfterHello,
    Encrypted,
}

/// The connection with only such records as may come.
pub(super) struct Records<'s, S> {
    inner: S,
    seen: &'s Seen,
    phase: Phase,
    header: [u8; 5],
    /// Bytes of the header that have come.
    have: usize,
    /// Bytes of the content that are still to come.
    left: usize,
    /// Bytes of the content that have come.
    at: usize,
    /// Bytes of [`RETRY`] that have come in their place.
    retry: usize,
    /// Bytes of a record that are still to be sent.
    unsent: usize,
}

impl<'s, S> Records<'s, S> {
    pub(super) fn new(inner: S, seen: &'s Seen) -> Self {
        Records {
            inner,
            seen,
            phase: Phase::Hello,
            header: [0; 5],
            have: 0,
            left: 0,
            at: 0,
            retry: 0,
            unsent: 0,
        }
    }

    /// After the fifth byte.
    fn begin(&mut self) -> Option<()> {
        let [kind, major, minor, high, low] = self.header;
        let len = usize::from(u16::from_be_bytes([high, low]));
        self.phase = match (self.phase, kind) {
            (Phase::Hello, HANDSHAKE) if (1..=PLAIN).contains(&len) => Phase::AfterHello,
            (Phase::Hello, ALERT) if len == 2 => Phase::Hello,
            // Many servers send one, for the sake of middleboxes that know TLS 1.2 only (RFC 8446, appendix D.4).
            (Phase::AfterHello, CHANGE_CIPHER_SPEC) if len == 1 => Phase::Encrypted,
            (Phase::AfterHello | Phase::Encrypted, ENCRYPTED) if SEALED.contains(&len) && [major, minor] == VERSION => {
                Phase::Encrypted
            }
            (Phase::Hello | Phase::AfterHello | Phase::Encrypted, _) => return None,
        };
        (self.have, self.left, self.at) = (0, len, 0);
        Some(())
    }

    /// Content of the first record goes by: a ServerHello (RFC 8446, section 4.1.3), of which embedded-tls does not read what
    /// stands before the extensions. Where it stands is fixed, as the session's id is the client's, which is empty.
    fn watch(&mut self, content: &[u8]) -> Verdict {
        for (at, byte) in (self.at..).zip(content) {
            let verdict = match at {
                6..38 if RETRY.get(self.retry) == Some(byte) && at == 6 + self.retry => {
                    self.retry += 1;
                    if self.retry == RETRY.len() {
                        Verdict::Retry
                    } else {
                        Verdict::Fine
                    }
                }
                // The suite. Those of TLS 1.3 begin with 0x13; this client offers the first.
                39 if *byte != 0x13 => Verdict::Old,
                40 if *byte != 0x01 => Verdict::Wrong,
                // The length of the session's id, and the compression.
                38 | 41 if *byte != 0 => Verdict::Wrong,
                _ => Verdict::Fine,
            };
            if verdict != Verdict::Fine {
                return verdict;
            }
        }
        Verdict::Fine
    }

    fn refuse(&self, verdict: Verdict) -> RecordError {
        self.seen.verdict.set(verdict);
        RecordError(ErrorKind::InvalidData)
    }
}

/// The connection failed, or a record was refused.
#[derive(Debug)]
pub(super) struct RecordError(ErrorKind);

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for RecordError {}

impl Error for RecordError {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl<S> ErrorType for Records<'_, S> {
    type Error = RecordError;
}

impl<S: Read> Read for Records<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, RecordError> {
        let is_content = self.left > 0;
        if !is_content && self.have == 0 && !self.seen.is_open.get() {
            // A certificate and the proof of its key take a controller half a second each. Where they come in records of their
            // own, others get their turn between them.
            yield_now().await;
        }
        let most = if is_content {
            self.left
        } else {
            self.header.len() - self.have
        };
        let len = most.min(buffer.len());
        let buffer = buffer.get_mut(..len).unwrap_or_default();
        let len = self
            .inner
            .read(buffer)
            .await
            .map_err(|error| RecordError(error.kind()))?
            .min(len);
        if is_content {
            if self.phase == Phase::AfterHello {
                match self.watch(buffer.get(..len).unwrap_or(&[])) {
                    Verdict::Fine => {}
                    verdict => return Err(self.refuse(verdict)),
                }
            }
            self.left = self.left.saturating_sub(len);
            self.at += len;
            return Ok(len);
        }
        for (place, byte) in self.header.iter_mut().skip(self.have).zip(buffer.iter().take(len)) {
            *place = *byte;
        }
        if let Some(mark) = buffer
            .get_mut(MARK_AT.wrapping_sub(self.have))
            .filter(|_| self.seen.is_open.get())
        {
            *mark = AFTER_HANDSHAKE;
        }
        self.have += len;
        if self.have >= self.header.len() && self.begin().is_none() {
            return Err(self.refuse(Verdict::Wrong));
        }
        Ok(len)
    }
}

impl<S: Write> Write for Records<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, RecordError> {
        if self.unsent == 0 {
            // embedded-tls writes record by record. It never means to send a ChangeCipherSpec: that is how its alerts come out
            // before there are keys.
            if bytes.first() == Some(&CHANGE_CIPHER_SPEC) {
                return Err(self.refuse(Verdict::Wrong));
            }
            self.unsent = bytes.len();
        }
        let len = self
            .inner
            .write(bytes)
            .await
            .map_err(|error| RecordError(error.kind()))?;
        if len == 0 && !bytes.is_empty() {
            // embedded-tls would panic.
            return Err(RecordError(ErrorKind::WriteZero));
        }
        let len = len.min(bytes.len());
        self.unsent = self.unsent.saturating_sub(len);
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), RecordError> {
        self.inner.flush().await.map_err(|error| RecordError(error.kind()))
    }
}
