//! The bytes of a half, made by hand from the description in the documentation.

pub fn crc32(bytes: impl IntoIterator<Item = u8>) -> u32 {
    !bytes.into_iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

pub fn head(number: u32) -> Vec<u8> {
    let first = number | 1 << 24;
    [first.to_le_bytes(), (!first).to_le_bytes()].concat()
}

/// A half with these items: number, with 0x80 for a removed one, and record.
pub fn half(number: u32, word: usize, len: usize, items: &[(u8, &[u8])]) -> Vec<u8> {
    let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(word.max(4)), 0xff);
    let mut bytes = head(number);
    pad(&mut bytes);
    for (key, record) in items {
        let [a, b] = (record.len() as u16).to_le_bytes();
        let crc = crc32([*key, a, b].iter().chain(*record).copied());
        let sealed = crc ^ number.rotate_left(16) ^ bytes.len() as u32;
        bytes.extend([*key, a, b]);
        bytes.extend(sealed.to_le_bytes());
        bytes.extend(*record);
        pad(&mut bytes);
    }
    assert!(bytes.len() <= len);
    bytes.resize(len, 0xff);
    bytes
}
