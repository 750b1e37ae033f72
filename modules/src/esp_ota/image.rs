//! App images of the ESP32 family, as the bootloader checks them. Pure; depends on the errors.
//!
//! ```text
//! offset  0  1        12      23            24     28    32
//!         │E9│segments│ chip  │hash appended│ addr │ len │ data ... more segments ... zeros, checksum │ SHA-256 │
//!
//!         0x20    0x24             0x30      0xd4
//!         │ magic │ secure version │ version │ log2 of the MMU's page │      the app descriptor, begins the first segment
//! ```
//!
//! From `esp_app_format.h`, `esp_app_desc.h` and `esp_image_format.c` of ESP-IDF. The checksum is the last byte of a block of 16: all
//! data, exclusive-or, with 0xef. The hash is of all before it. Images for secure boot are filled up to 4096 bytes, and a signature of
//! 4096 follows.

use super::error::ImageFault;

/// As much of an image as [`Identity`] needs: header, the first segment's, and most of the app descriptor.
pub(super) const START_LEN: usize = 216;
const HEADER_LEN: u32 = 24;
const SEGMENT_HEADER_LEN: u32 = 8;
const HASH_LEN: u32 = 32;
const BLOCK_LEN: u32 = 16;
const SECTOR_LEN: u32 = 4096;
const MAX_SEGMENTS: u8 = 16;
const MAGIC: u8 = 0xe9;
const DESCRIPTOR_MAGIC: u32 = 0xabcd_5432;
const CHECKSUM_SEED: u8 = 0xef;
/// 64 KiB, as of an image that does not say.
const DEFAULT_PAGE: u8 = 16;

/// What an image and the one that runs have in common, and its place in the order of secure versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    chip: u16,
    secure_version: u32,
    page: u8,
}

impl Identity {
    /// Of the first bytes of an image.
    pub(super) fn read(start: &[u8; START_LEN]) -> Result<Identity, ImageFault> {
        let [magic, segments, ..] = *start;
        let byte = |at: usize| start.get(at).copied().unwrap_or_default();
        let word = |at: usize| u32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)]);
        if magic != MAGIC {
            return Err(ImageFault::NoImage);
        }
        if segments == 0 || segments > MAX_SEGMENTS {
            return Err(ImageFault::Segments);
        }
        if word(0x20) != DESCRIPTOR_MAGIC {
            return Err(ImageFault::NoApp);
        }
        if byte(23) != 1 {
            return Err(ImageFault::NoHash);
        }
        Ok(Identity {
            chip: u16::from_le_bytes([byte(12), byte(13)]),
            secure_version: word(0x24),
            page: match byte(0xd4) {
                0 => DEFAULT_PAGE,
                page => page,
            },
        })
    }

    /// Whether an image may follow this one, which runs.
    pub(super) fn accepts(&self, new: &Identity) -> Result<(), ImageFault> {
        if new.chip != self.chip {
            Err(ImageFault::Chip)
        } else if new.page != self.page {
            Err(ImageFault::Page)
        } else if new.secure_version < self.secure_version {
            Err(ImageFault::SecureVersion)
        } else {
            Ok(())
        }
    }
}

/// What a word of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    /// Of a segment.
    Address,
    Len,
    Data,
    /// Up to the checksum.
    End,
    /// And the signature of images for secure boot.
    Hash,
}

/// Follows an image word by word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    part: Part,
    at: u32,
    /// Where the part ends.
    end: u32,
    segments: u8,
    /// All data, exclusive-or.
    sum: u32,
}

impl Walk {
    pub(super) const fn new() -> Walk {
        Walk {
            part: Part::Header,
            at: 0,
            end: HEADER_LEN,
            segments: 0,
            sum: 0,
        }
    }

    /// Takes the next word.
    pub(super) fn word(&mut self, word: [u8; 4]) -> Result<(), ImageFault> {
        let number = u32::from_le_bytes(word);
        if self.at == 0 {
            let [_, segments, ..] = word;
            self.segments = segments;
        }
        self.at = self.at.saturating_add(4);
        match self.part {
            Part::Data => self.sum ^= number,
            Part::Len => {
                // Above 16 MiB the bootloader takes it for nonsense.
                if !number.is_multiple_of(4) || number >= 1 << 24 {
                    return Err(ImageFault::Segments);
                }
                self.end = self.at.saturating_add(number);
            }
            Part::End if self.at == self.end => {
                let sum = self
                    .sum
                    .to_le_bytes()
                    .into_iter()
                    .fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
                let [.., checksum] = word;
                if checksum != sum {
                    return Err(ImageFault::Checksum);
                }
            }
            Part::Header | Part::Address | Part::End | Part::Hash => {}
        }
        self.turn();
        Ok(())
    }

    /// What comes next. A segment may be empty.
    fn turn(&mut self) {
        if self.part == Part::Address {
            self.part = Part::Len;
            return;
        }
        if self.part == Part::Len {
            self.part = Part::Data;
        }
        if self.at < self.end {
            return;
        }
        match self.part {
            Part::Header | Part::Data if self.segments > 0 => {
                self.segments -= 1;
                self.part = Part::Address;
                self.end = self.at.saturating_add(SEGMENT_HEADER_LEN);
            }
            Part::Header | Part::Data => {
                self.part = Part::End;
                self.end = (self.at / BLOCK_LEN).saturating_add(1).saturating_mul(BLOCK_LEN);
            }
            Part::End => self.part = Part::Hash,
            Part::Address | Part::Len | Part::Hash => {}
        }
    }

    /// Whether a file of this length, all of which was taken, is one image; gives where its hash is.
    pub(super) fn finish(&self, file_len: u32) -> Result<u32, ImageFault> {
        let len = self.end.saturating_add(HASH_LEN);
        let signed = len.div_ceil(SECTOR_LEN).saturating_add(1).saturating_mul(SECTOR_LEN);
        if self.part == Part::Hash && (file_len == len || file_len == signed) {
            Ok(self.end)
        } else {
            Err(ImageFault::Length)
        }
    }
}
