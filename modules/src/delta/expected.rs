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
        let mut images = [(0, [0; 32]); 2];
        for ((len, sha256), [len_name, sha256_name]) in images.iter_mut().zip(&NAMES) {
            *len = number(artifact.member(len_name)?)?;
            read_hash(artifact.member(sha256_name)?, sha256)?;
        }
        let [(from_len, from_sha256), (to_len, to_sha256)] = images;
        Some(Expected {
            from_len,
            from_sha256,
            to_len,
            to_sha256,
        })
    }
}

/// Of length and hash, for each image.
static NAMES: [[&str; 2]; 2] = [["from_len", "from_sha256"], ["to_len", "to_sha256"]];

fn number(text: &str) -> Option<u32> {
    let number = text.bytes().try_fold(0_u32, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        let number = number.checked_mul(10)?.checked_add(digit.into())?;
        (digit < 10).then_some(number)
    });
    number.filter(|_| !text.is_empty())
}

fn read_hash(text: &str, hash: &mut [u8; 32]) -> Option<()> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != hash.len() {
        return None;
    }
    for (to, pair) in hash.iter_mut().zip(pairs) {
        for digit in pair {
            let digit = match digit {
                b'0'..=b'9' => digit - b'0',
                // Large letters, too.
                b'a'..=b'f' | b'A'..=b'F' => (digit | 0x20) - b'a' + 10,
                _ => return None,
            };
            *to = *to << 4 | digit;
        }
    }
    Some(())
}
