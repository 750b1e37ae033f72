//! What an artifact says of the two images, in its meta-data. Depends on [`mender::update_module`].

use mender::update_module::Artifact;

/// The images that a patch was made for, as the meta-data of its artifact have them:
///
/// ```json
/// {"from_len": 163840, "from_sha256": "9f86...", "to_len": 164352, "to_sha256": "60a3..."}
/// ```
///
/// The header's checksum, and a signature where there is one, cover the meta-data, and they are known before the first byte of the
/// patch. Hashes are SHA-256, 64 hexadecimal digits. Other members are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Length of the old image.
    pub from_len: u32,
    /// Hash of so many bytes.
    pub from_sha256: [u8; 32],
    /// Length of the new image.
    pub to_len: u32,
    /// Hash of all of it.
    pub to_sha256: [u8; 32],
}

impl Expected {
    /// What an artifact says; `None` if it does not say all four.
    #[must_use]
    pub fn of(artifact: &Artifact<'_>) -> Option<Expected> {
        Some(Expected {
            from_len: number(artifact.member("from_len")?)?,
            from_sha256: hash(artifact.member("from_sha256")?)?,
            to_len: number(artifact.member("to_len")?)?,
            to_sha256: hash(artifact.member("to_sha256")?)?,
        })
    }
}

#[inline(never)]
fn number(text: &str) -> Option<u32> {
    let number = text.bytes().try_fold(0_u32, |number, byte| {
        let digit = char::from(byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.filter(|_| !text.is_empty())
}

#[inline(never)]
fn hash(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut hash = [0; 32];
    if pairs.len() != hash.len() {
        return None;
    }
    for (to, pair) in hash.iter_mut().zip(pairs) {
        for digit in pair {
            // Below 16.
            *to = *to << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(hash)
}
