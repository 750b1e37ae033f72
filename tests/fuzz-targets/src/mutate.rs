//! Changes to inputs that keep what an input by chance would never have: checksums, lengths, magic numbers. So what is behind them
//! is reached.

use mender_testkit::bootloader::MAGIC;

use crate::chance::Chance;
use crate::mcuboot::{SECTOR, SLOT};
use crate::sha256;
use crate::tar::Archive;

/// Changes bytes without a thought.
pub type Change<'c> = &'c mut dyn FnMut(&mut Vec<u8>);

/// One that has no checksums.
pub fn plain(bytes: &[u8], _: &mut Chance, change: Change<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    change(&mut bytes);
    bytes
}

/// An artifact: most changes are made to one of its entries, and all lengths and checksums made right again.
pub fn artifact(bytes: &[u8], chance: &mut Chance, change: Change<'_>) -> Vec<u8> {
    let mut archive = Archive::read(bytes);
    if chance.below(8) == 0 || archive.is_empty() {
        return plain(bytes, chance, change);
    }
    let count = archive.count();
    let at = chance.below(count);
    match chance.below(8) {
        0 => archive.change_header(at, change),
        1 => archive.repeat_or_remove(at, chance.below(2) == 0),
        _ => archive.change_data(at, change),
    }
    if chance.below(16) > 0 {
        archive.renew_manifest();
    }
    archive.write()
}

/// A flash with records: heads and checksums of items are made right again.
pub fn flash(bytes: &[u8], chance: &mut Chance, change: Change<'_>) -> Vec<u8> {
    let mut bytes = plain(bytes, chance, change);
    if chance.below(4) == 0 {
        return bytes;
    }
    let Some((&mut [chip, operations], rest)) = bytes.split_first_chunk_mut::<2>() else {
        return bytes;
    };
    let (word, page) = [(4, 64), (4, 128), (8, 96), (32, 256)][usize::from(chip % 4)];
    let content = rest.get_mut(usize::from(operations % 32)..).unwrap_or_default();
    for half in content.chunks_mut(2 * page) {
        seal_half(half, word);
    }
    bytes
}

/// The layout is that of the documentation of `FlashStorage`.
fn seal_half(half: &mut [u8], word: usize) {
    let Some((head, _)) = half.split_first_chunk_mut::<8>() else {
        return;
    };
    let [a, b, c, ..] = *head;
    let number = u32::from_le_bytes([a, b, c, 1]);
    *head = (u64::from(!number) << 32 | u64::from(number)).to_le_bytes();
    let number = u32::from_le_bytes([a, b, c, 0]);
    let mut at = 8_usize.next_multiple_of(word);
    while let Some([key, low, high, ..]) = half.get(at..at + 7) {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let whole = (7 + len).next_multiple_of(word);
        if *key == 0xff || at + whole > half.len() {
            at += word;
            continue;
        }
        let crc = crc32([*key, *low, *high].iter().chain(&half[at + 7..at + 7 + len]));
        let sealed = crc ^ number.rotate_left(16) ^ at as u32;
        half[at + 3..at + 7].copy_from_slice(&sealed.to_le_bytes());
        half[at + 7 + len..at + whole].fill(0xff);
        at += whole;
    }
}

fn crc32<'b>(bytes: impl Iterator<Item = &'b u8>) -> u32 {
    !bytes.fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// Slots: images keep their magic and get the right hash, trailers now and then a magic.
pub fn mcuboot(bytes: &[u8], chance: &mut Chance, change: Change<'_>) -> Vec<u8> {
    let mut bytes = plain(bytes, chance, change);
    if chance.below(4) == 0 || bytes.len() < 2 {
        return bytes;
    }
    let slot1_len = if bytes[0] % 5 == 1 { SLOT + SECTOR } else { SLOT };
    let (slot1, image) = (2 + SLOT, 2 + SLOT + slot1_len);
    for end in [slot1, image] {
        if chance.below(4) == 0 {
            bytes.resize(bytes.len().max(end), 0xff);
            bytes[end - MAGIC.len()..end].copy_from_slice(&MAGIC);
        }
    }
    for start in [2, slot1, slot1 + SECTOR, image] {
        if let Some(image) = bytes.get_mut(start..) {
            seal_image(image);
        }
    }
    bytes
}

/// MCUboot's `docs/design.md`, "Image format".
fn seal_image(image: &mut [u8]) {
    let Some([0x3d, 0xb8, 0xf3, 0x96, _, _, _, _, h0, h1, p0, p1, b0, b1, b2, b3]) = image.first_chunk::<16>() else {
        return;
    };
    let around = usize::from(u16::from_le_bytes([*h0, *h1])) + usize::from(u16::from_le_bytes([*p0, *p1]));
    let hashed_len = around + u32::from_le_bytes([*b0, *b1, *b2, *b3]) as usize;
    let Some((hashed, tlvs)) = image.split_at_mut_checked(hashed_len) else {
        return;
    };
    let hash = sha256(hashed);
    let mut at = 4;
    while let Some([kind, _, low, high]) = tlvs.get(at..at + 4) {
        let (kind, len) = (*kind, usize::from(u16::from_le_bytes([*low, *high])));
        at += 4;
        if (kind, len) == (0x10, 32)
            && let Some(place) = tlvs.get_mut(at..at + 32)
        {
            place.copy_from_slice(&hash);
            return;
        }
        at += len;
    }
}

/// Pieces of what the inputs are made of.
const SNIPPETS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    " ",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\"\"",
    "{\"a\":[",
    "}}",
    "\"error\":\"",
    "\"id\":",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Location: /x\r\n",
    "HTTP/1.1 404 \r\n",
    "0\r\n\r\n",
    "https://",
    "//",
    "@",
    "[::1]",
    "Retry-After: 9\r\n",
    "on(",
    "reboot = ",
    " | ",
    "const { 1 }",
    "<'a, T: 'a>",
];

/// A change by chance, for where no fuzzer is there to make one.
pub fn edit(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..1 + chance.below(3) {
        let at = chance.below(bytes.len() + 1);
        let len = (1 + chance.below(12)).min(bytes.len() - at);
        match chance.below(8) {
            0 => bytes.splice(at..at + len, []).for_each(drop),
            1 => bytes
                .splice(at..at, (0..1 + chance.below(4)).map(|_| 0xff))
                .for_each(drop),
            2 | 3 => {
                let snippet = SNIPPETS[chance.below(SNIPPETS.len())];
                bytes.splice(at..at, snippet.bytes()).for_each(drop);
            }
            4 => {
                let piece = bytes[at..at + len].to_vec();
                let to = chance.below(bytes.len() + 1);
                bytes.splice(to..to, piece).for_each(drop);
            }
            5 => bytes.truncate(at),
            _ => {
                let random = chance.number().to_le_bytes();
                let interesting = [0, 1, 0x7f, 0x80, 0xff, random[0], random[1], random[2]];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = interesting[chance.below(interesting.len())];
                }
            }
        }
    }
}
