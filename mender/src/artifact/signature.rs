//! The form of `manifest.sig`, and whether one of the keys made it.
//!
//! Rules: spec of the artifact format, section 5. All of the base64 text is in the work buffer, the SHA-256 of the manifest's bytes is
//! known, and nothing of the header has been read. An artifact without a signature is noticed where `header.tar` begins.

use super::fault::SignatureFault;

/// Length of the shortest signature that any signer makes: r and s of ECDSA P-256.
const MIN_LEN: usize = 64;

/// Checks that `text` is one line of padded base64 in the standard alphabet and long enough for a signature.
pub(super) fn check(text: &[u8]) -> Result<(), SignatureFault> {
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if !text.len().is_multiple_of(4) || !digits.iter().all(is_digit) {
        return Err(SignatureFault::Base64);
    }
    if digits.len() / 4 * 3 + digits.len() % 4 * 3 / 4 < MIN_LEN {
        return Err(SignatureFault::TooShort);
    }
    Ok(())
}

/// Whether one of the keys made this signature, which [`check`] has passed; if there are keys.
#[cfg(feature = "artifact-keys")]
pub(super) fn verify(text: &mut [u8], keys: &[&[u8]], manifest_sha256: [u8; 32]) -> Result<(), SignatureFault> {
    use crate::signature::{Hash, base64, public_key};

    if keys.is_empty() {
        return Ok(());
    }
    let len = base64::decode(text).ok_or(SignatureFault::Base64)?;
    let signature = text.get(..len).unwrap_or(&[]);
    let hash = Hash::Sha256(manifest_sha256);
    if keys.iter().any(|key| public_key::verify(key, &hash, signature).is_ok()) {
        Ok(())
    } else {
        Err(SignatureFault::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_and_length() {
        let mut text = [b'A'; 88];
        text[86..].copy_from_slice(b"==");
        assert_eq!(check(&text), Ok(()), "64 bytes");
        text[85] = b'\n';
        assert_eq!(check(&text), Err(SignatureFault::Base64));
        text[85] = b'=';
        assert_eq!(check(&text), Err(SignatureFault::Base64), "three padding characters");
        text[85] = b'A';
        assert_eq!(check(&text[..87]), Err(SignatureFault::Base64));
        assert_eq!(check(&text[4..]), Err(SignatureFault::TooShort), "61 bytes");
        assert_eq!(check(b""), Err(SignatureFault::TooShort));
    }
}
