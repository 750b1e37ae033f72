//! Keys and the protection of records: RFC 8446, sections 5.2 and 7.

use ring::{aead, digest, hmac};

/// A secret of the key schedule.
pub type Secret = [u8; 32];

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn mac(key: &[u8], bytes: &[u8]) -> Secret {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

/// `HKDF-Expand-Label` of at most one block.
fn expand(secret: &Secret, label: &str, context: &[u8], len: u8) -> Vec<u8> {
    let info = [
        &[0, len, 6 + label.len() as u8][..],
        b"tls13 ",
        label.as_bytes(),
        &[context.len() as u8],
        context,
        &[1],
    ]
    .concat();
    mac(secret, &info)[..usize::from(len)].to_vec()
}

fn derive(secret: &Secret, label: &str, hash: &[u8; 32]) -> Secret {
    let mut out = [0; 32];
    out.copy_from_slice(&expand(secret, label, hash, 32));
    out
}

/// Where the key schedule is.
pub struct Schedule {
    /// That of the next stage's salt.
    current: Secret,
    unknown: Traffic,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            current: mac(&[], &[0; 32]),
            unknown: Traffic::new([0x77; 32]),
        }
    }
}

impl Schedule {
    fn next(&mut self, input: &Secret) -> Secret {
        self.current = mac(&derive(&self.current, "derived", &sha256(&[])), input);
        self.current
    }

    /// The handshake's secrets: the client's and the server's.
    pub fn handshake(&mut self, shared: &Secret, transcript: &[u8; 32]) -> (Secret, Secret) {
        let secret = self.next(shared);
        (
            derive(&secret, "c hs traffic", transcript),
            derive(&secret, "s hs traffic", transcript),
        )
    }

    /// Those of application data.
    pub fn application(&mut self, transcript: &[u8; 32]) -> (Secret, Secret) {
        let secret = self.next(&[0; 32]);
        (
            derive(&secret, "c ap traffic", transcript),
            derive(&secret, "s ap traffic", transcript),
        )
    }

    /// Keys that nobody else has.
    pub fn unknown(&mut self) -> &mut Traffic {
        &mut self.unknown
    }
}

/// Keys of one direction.
pub struct Traffic {
    secret: Secret,
    key: aead::LessSafeKey,
    iv: [u8; 12],
    /// Of the next record.
    pub sequence: u64,
}

impl Traffic {
    /// The keys that belong to a secret.
    ///
    /// # Panics
    ///
    /// Never: the lengths are right.
    pub fn new(secret: Secret) -> Traffic {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &expand(&secret, "key", &[], 16)).expect("16 bytes");
        let mut iv = [0; 12];
        iv.copy_from_slice(&expand(&secret, "iv", &[], 12));
        Traffic {
            secret,
            key: aead::LessSafeKey::new(key),
            iv,
            sequence: 0,
        }
    }

    /// The keys behind a KeyUpdate.
    pub fn update(&mut self) {
        *self = Traffic::new(derive_update(&self.secret));
    }

    /// Key of Finished messages.
    pub fn finished_key(&self) -> Secret {
        let mut key = [0; 32];
        key.copy_from_slice(&expand(&self.secret, "finished", &[], 32));
        key
    }

    fn nonce(&self, sequence: u64) -> aead::Nonce {
        let mut nonce = self.iv;
        nonce[4..]
            .iter_mut()
            .zip(sequence.to_be_bytes())
            .for_each(|(byte, with)| *byte ^= with);
        aead::Nonce::assume_unique_for_key(nonce)
    }

    /// A record with this plaintext, which includes the content type.
    ///
    /// # Panics
    ///
    /// If it is longer than any record can be.
    pub fn seal(&mut self, outer: u8, plaintext: &[u8]) -> Vec<u8> {
        let len = u16::try_from(plaintext.len() + 16).expect("it fits");
        let [high, low] = len.to_be_bytes();
        let header = [outer, 3, 3, high, low];
        let mut bytes = plaintext.to_vec();
        let nonce = self.nonce(self.sequence);
        self.key
            .seal_in_place_append_tag(nonce, aead::Aad::from(header), &mut bytes)
            .expect("not too long");
        self.sequence += 1;
        [&header, &bytes[..]].concat()
    }

    /// The plaintext of a record that was protected with this sequence number.
    pub fn open(&self, sequence: u64, record: &[u8]) -> Option<Vec<u8>> {
        let (header, body) = record.split_first_chunk::<5>()?;
        let mut bytes = body.to_vec();
        let plain = self
            .key
            .open_in_place(self.nonce(sequence), aead::Aad::from(header), &mut bytes)
            .ok()?;
        Some(plain.to_vec())
    }

    /// What is added to a plaintext to get the record with this sequence number.
    ///
    /// # Panics
    ///
    /// If it is longer than any record can be.
    pub fn stream(&self, sequence: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let nonce = self.nonce(sequence);
        self.key
            .seal_in_place_append_tag(nonce, aead::Aad::empty(), &mut bytes)
            .expect("not too long");
        bytes.truncate(len);
        bytes
    }
}

fn derive_update(secret: &Secret) -> Secret {
    let mut next = [0; 32];
    next.copy_from_slice(&expand(secret, "traffic upd", &[], 32));
    next
}

/// `verify_data` of a Finished message.
pub fn finished(key: &Secret, transcript: &[u8; 32]) -> Secret {
    mac(key, transcript)
}
