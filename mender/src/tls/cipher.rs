//! AES-128-GCM that looks at what it has decrypted.
//!
//! embedded-tls 0.19 panics on a record without any content, and on messages of a handshake that is over. Only the server can
//! send the latter, as they are encrypted; but a bug of a server, too, must not stop a device. What embedded-tls decrypts with is
//! a parameter of it, so here is where such records end.
//!
//! Whether the handshake is over is not told to a cipher. `records` knows it and marks the record's header, which comes here
//! as what is authenticated beside the content.

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::generic_array::typenum::{U0, U12, U16, U54};
use aes_gcm::aead::{AeadCore, AeadInPlace, Buffer, Error, Key, KeyInit, KeySizeUser, Nonce, Result, Tag};
use embedded_tls::TlsCipherSuite;

/// The version in a record's header, which is always the same (RFC 8446, section 5.1).
pub(super) const VERSION: [u8; 2] = [3, 3];
/// In the place of the version's second byte: the handshake is over.
pub(super) const AFTER_HANDSHAKE: u8 = 0x80;

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Says how a later connection could be quicker, which this client does not make use of.
const NEW_SESSION_TICKET: u8 = 4;

/// TLS_AES_128_GCM_SHA256 with [`Guarded`].
#[derive(Debug)]
pub(super) struct Suite;

impl TlsCipherSuite for Suite {
    const CODE_POINT: u16 = 0x1301;
    type Cipher = Guarded;
    type KeyLen = U16;
    type IvLen = U12;
    type Hash = sha2_010::Sha256;
    /// Two lengths, `tls13 `, the longest label (12 bytes), and a hash (RFC 8446, section 7.1).
    type LabelBufferSize = U54;
}

/// AES-128-GCM.
pub(super) struct Guarded(Aes128Gcm);

impl KeySizeUser for Guarded {
    type KeySize = U16;
}

impl KeyInit for Guarded {
    fn new(key: &Key<Self>) -> Self {
        Guarded(Aes128Gcm::new(key))
    }
}

impl AeadCore for Guarded {
    type NonceSize = U12;
    type TagSize = U16;
    type CiphertextOverhead = U0;
}

impl AeadInPlace for Guarded {
    fn encrypt_in_place_detached(&self, nonce: &Nonce<Self>, header: &[u8], content: &mut [u8]) -> Result<Tag<Self>> {
        self.0.encrypt_in_place_detached(nonce, header, content)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        content: &mut [u8],
        tag: &Tag<Self>,
    ) -> Result<()> {
        self.0.decrypt_in_place_detached(nonce, header, content, tag)
    }

    fn decrypt_in_place(&self, nonce: &Nonce<Self>, header: &[u8], record: &mut dyn Buffer) -> Result<()> {
        let &[kind, _, mark, high, low] = header else {
            return Err(Error);
        };
        let [major, minor] = VERSION;
        self.0
            .decrypt_in_place(nonce, &[kind, major, minor, high, low], record)?;
        // The content is followed by its type, and by as many zeros as the server likes (RFC 8446, section 5.2).
        let end = record.as_ref().iter().rposition(|byte| *byte != 0).ok_or(Error)?;
        let (content, rest) = record.as_ref().split_at_checked(end).ok_or(Error)?;
        if mark == AFTER_HANDSHAKE && rest.first() == Some(&HANDSHAKE) {
            if !are_tickets(content) {
                return Err(Error);
            }
            // As if there were nothing.
            record.truncate(1);
            if let Some(kind) = record.as_mut().first_mut() {
                *kind = APPLICATION_DATA;
            }
        }
        Ok(())
    }
}

/// Whether these are whole messages that may be ignored.
fn are_tickets(mut messages: &[u8]) -> bool {
    while let Some((&[kind, a, b, c], rest)) = messages.split_first_chunk() {
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        match rest.split_at_checked(len) {
            Some((_, rest)) if kind == NEW_SESSION_TICKET => messages = rest,
            Some(_) | None => return false,
        }
    }
    messages.is_empty()
}
