//! SHA-256 for the modules of all bootloaders, linked once. Depends on `sha2` only.

use sha2::{Digest, Sha256};

/// Length of a hash.
pub(crate) const HASH_LEN: usize = 32;

/// A SHA-256.
pub(crate) type Hash = [u8; HASH_LEN];

/// A SHA-256 being reckoned. Its functions are not inlined, as there would be several copies.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    #[inline(never)]
    pub(crate) fn new() -> Hasher {
        Hasher(Sha256::new())
    }

    #[inline(never)]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all; it begins anew then.
    #[inline(never)]
    pub(crate) fn finish(&mut self) -> Hash {
        core::mem::take(&mut self.0).finalize().into()
    }
}
