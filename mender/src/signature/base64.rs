//! Base64 with padding, in the standard alphabet (RFC 4648, section 4), decoded where it stands.
//!
//! Not by crates: base64ct and pem-rfc7468 take 5.9 KB of flash more, for being constant in time, which public texts do not need.

/// Decodes the text into its own front; the length of what it says. `None` if it is not in the one form that it may have: groups of four
/// characters, padding at the end alone, and no bits beside the bytes.
pub fn decode(text: &mut [u8]) -> Option<usize> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let digits = text.len() - padding;
    let (mut bits, mut count, mut len) = (0_u32, 0_u8, 0);
    for at in 0..digits {
        let digit = match text.get(at).copied()? {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            // Fewer bytes are written than digits were read.
            *text.get_mut(len)? = (bits >> count) as u8;
            len += 1;
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::decode;

    extern crate std;
    use std::vec::Vec;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut text = Vec::from(text);
        let len = decode(&mut text)?;
        text.truncate(len);
        Some(text)
    }

    /// RFC 4648, section 10.
    #[test]
    fn the_rfcs_examples() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        for text in [
            "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=g==", "Z===", "Zm9v\n", "Zm 9", "Zm-_", "====", "Zg==Zg==",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn every_byte_comes_back() {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (first, letter) in ALPHABET.iter().enumerate() {
            for (second, next) in ALPHABET.iter().enumerate() {
                let mut text = [*letter, *next, b'A', b'A'];
                assert_eq!(decode(&mut text), Some(3));
                assert_eq!(text[0], (first << 2 | second >> 4) as u8);
                assert_eq!(text[1], (second << 4) as u8);
                assert_eq!(text[2], 0);
            }
        }
    }
}
