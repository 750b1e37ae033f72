//! A hardware address as text.

/// A hardware address as it is written, `02:00:5e:10:00:01`: what most devices are identified by
/// ([`Device::identity`](super::Device::identity)). Made from what was read at boot, without `core::fmt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MacText {
    text: [u8; MacText::LEN],
}

impl MacText {
    const LEN: usize = 17;

    /// The text of an address, in lower case.
    pub const fn new(address: [u8; 6]) -> MacText {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b':'; MacText::LEN];
        let mut at = 0;
        while at < address.len() {
            text[3 * at] = DIGITS[(address[at] >> 4) as usize];
            text[3 * at + 1] = DIGITS[(address[at] & 0x0f) as usize];
            at += 1;
        }
        MacText { text }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // ASCII, so it always is.
        core::str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl AsRef<str> for MacText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl core::fmt::Display for MacText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_are_written() {
        assert_eq!(
            MacText::new([0x01, 0x23, 0x45, 0x67, 0x89, 0xab]).as_str(),
            "01:23:45:67:89:ab"
        );
        assert_eq!(
            MacText::new([0xcd, 0xef, 0x00, 0xff, 0x0f, 0xf0]).as_str(),
            "cd:ef:00:ff:0f:f0"
        );
    }
}
