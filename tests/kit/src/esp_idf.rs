//! A model of ESP-IDF's second stage bootloader: which of two OTA slots and a factory app it starts, and what it writes to otadata.
//!
//! Follows `bootloader_utility.c` and `bootloader_common_loader.c` of ESP-IDF; the golden boots in `tests/vectors/esp-ota` come from
//! these and hold it to them. It works through erases and writes of the simulated chip, so power can be cut within a boot.
//!
//! Differences: two slots at most; no test app, no factory reset by a pin, no anti-rollback, no secure boot, no encryption. Of an
//! image it checks what `esp_image_format.c` does without secure boot, but for the load addresses.
//!
//! Depends on [`flash`](crate::flash).

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::flash::{FlashError, SimFlash};

/// An app image, as `esptool elf2image` makes it: a builder.
#[derive(Clone, Debug)]
pub struct EspImage {
    /// `esp_chip_id_t`: 5 is the ESP32-C3.
    pub chip: u16,
    /// In the app descriptor, for anti-rollback.
    pub secure_version: u32,
    /// In the app descriptor, log2: 16 is 64 KiB.
    pub mmu_page: u8,
    /// What the segments hold behind the descriptor, which begins the first one. Whole words.
    pub segments: Vec<Vec<u8>>,
}

impl EspImage {
    /// For an ESP32-C3, with these segments.
    pub fn new(segments: impl IntoIterator<Item = Vec<u8>>) -> EspImage {
        EspImage {
            chip: 5,
            secure_version: 0,
            mmu_page: 16,
            segments: segments.into_iter().collect(),
        }
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut descriptor = vec![0; 256];
        descriptor[..4].copy_from_slice(&0xabcd_5432_u32.to_le_bytes());
        descriptor[4..8].copy_from_slice(&self.secure_version.to_le_bytes());
        descriptor[16..21].copy_from_slice(b"1.2.3");
        descriptor[48..52].copy_from_slice(b"demo");
        descriptor[178..180].copy_from_slice(&199_u16.to_le_bytes());
        descriptor[180] = self.mmu_page;
        let count = u8::try_from(self.segments.len()).expect("at most 16 segments");
        let mut image = vec![0xe9, count, 2, 0x10];
        image.extend(0x4038_0000_u32.to_le_bytes());
        image.extend([0xee, 0, 0, 0]);
        image.extend(self.chip.to_le_bytes());
        // The oldest chip revision, and the newest: any.
        image.extend([0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 1]);
        let mut checksum = 0xef;
        for (index, segment) in self.segments.iter().enumerate() {
            let (address, data) = match index {
                0 => (0x3c00_0020_u32, [descriptor.as_slice(), segment].concat()),
                // Beside each other in instruction RAM.
                _ => (0x4038_0000 + 0x1000 * (index as u32 - 1), segment.clone()),
            };
            assert!(data.len().is_multiple_of(4), "segments are whole words");
            image.extend(address.to_le_bytes());
            image.extend((data.len() as u32).to_le_bytes());
            checksum = data.iter().fold(checksum, |sum, byte| sum ^ byte);
            image.extend(data);
        }
        image.resize((image.len() + 1).next_multiple_of(16) - 1, 0);
        image.push(checksum);
        image.extend(Sha256::digest(&image));
        image
    }
}

/// Whether the bootloader of a chip would start this slot's content.
pub fn is_startable(slot: &[u8], chip: u16) -> bool {
    checked(slot, chip).is_some()
}

fn checked(slot: &[u8], chip: u16) -> Option<()> {
    let word = |at: usize| Some(u32::from_le_bytes(slot.get(at..at + 4)?.try_into().ok()?));
    let header = slot.get(..24)?;
    if header[0] != 0xe9 || header[1] > 16 || u16::from_le_bytes([header[12], header[13]]) != chip {
        return None;
    }
    let mut at = 24;
    let mut checksum = 0xef;
    for _ in 0..header[1] {
        let len = word(at + 4)? as usize;
        if !len.is_multiple_of(4) || len >= 16 << 20 {
            return None;
        }
        checksum = slot
            .get(at + 8..at + 8 + len)?
            .iter()
            .fold(checksum, |sum, byte| sum ^ byte);
        at += 8 + len;
    }
    let end = (at + 1).next_multiple_of(16);
    if *slot.get(end - 1)? != checksum {
        return None;
    }
    if header[23] == 0 {
        return Some(());
    }
    (slot.get(end..end + 32)? == Sha256::digest(&slot[..end]).as_slice()).then_some(())
}

/// States of an otadata entry: `esp_ota_img_states_t`.
pub mod ota_state {
    /// Requested.
    pub const NEW: u32 = 0;
    /// Started once by a bootloader with rollback.
    pub const PENDING_VERIFY: u32 = 1;
    /// Confirmed.
    pub const VALID: u32 = 2;
    /// Given up by the app.
    pub const INVALID: u32 = 3;
    /// Given up by the bootloader.
    pub const ABORTED: u32 = 4;
}

/// An otadata entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtaEntry {
    /// `u32::MAX`: none.
    pub seq: u32,
    /// See [`ota_state`].
    pub state: u32,
    /// As it is stored.
    pub crc: u32,
}

impl OtaEntry {
    /// One with a right checksum.
    pub fn new(seq: u32, state: u32) -> OtaEntry {
        let crc = OtaEntry::crc(seq);
        OtaEntry { seq, state, crc }
    }

    /// Of 32 bytes.
    pub fn read(bytes: &[u8]) -> OtaEntry {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        OtaEntry {
            seq: word(0),
            state: word(24),
            crc: word(28),
        }
    }

    /// The 32 bytes; nothing in the label.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        bytes[..4].copy_from_slice(&self.seq.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.state.to_le_bytes());
        bytes[28..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// The checksum of a number, by the table-driven way: zlib's `crc32(seq, 0xffffffff)`.
    pub fn crc(seq: u32) -> u32 {
        let table = |index: u32| {
            (0..8).fold(
                index,
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
            )
        };
        let crc = seq
            .to_le_bytes()
            .into_iter()
            .fold(0, |crc: u32, byte| table((crc ^ u32::from(byte)) & 0xff) ^ crc >> 8);
        crc ^ u32::MAX
    }

    fn crc_is_right(&self) -> bool {
        self.crc == OtaEntry::crc(self.seq)
    }

    /// `bootloader_common_ota_select_invalid`: the checksum does not count.
    fn is_invalid(&self) -> bool {
        self.seq == u32::MAX || matches!(self.state, ota_state::INVALID | ota_state::ABORTED)
    }

    /// `bootloader_common_ota_select_valid`.
    pub fn is_valid(&self) -> bool {
        !self.is_invalid() && self.crc_is_right()
    }

    fn slot(&self) -> usize {
        (self.seq.wrapping_sub(1) % 2) as usize
    }
}

/// What was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EspApp {
    /// The factory app.
    Factory,
    /// `ota_0` or `ota_1`.
    Ota(usize),
}

/// The bootloader of a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspIdf {
    /// Built with `CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE`.
    pub rollback: bool,
    /// The chip's number in images.
    pub chip: u16,
    /// otadata: two sectors.
    pub otadata: Range<u32>,
    /// `ota_0` and `ota_1`.
    pub slots: [Range<u32>; 2],
    /// The factory partition.
    pub factory: Option<Range<u32>>,
}

impl EspIdf {
    /// Both entries.
    ///
    /// # Errors
    ///
    /// [`FlashError::PowerLost`].
    pub fn entries<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
    ) -> Result<[OtaEntry; 2], FlashError> {
        let mut entries = [OtaEntry::new(u32::MAX, u32::MAX); 2];
        for (index, entry) in entries.iter_mut().enumerate() {
            let mut bytes = [0; 32];
            flash.read_now(self.entry_offset::<SECTOR>(index), &mut bytes)?;
            *entry = OtaEntry::read(&bytes);
        }
        Ok(entries)
    }

    fn entry_offset<const SECTOR: usize>(&self, index: usize) -> u32 {
        self.otadata.start + (index * SECTOR) as u32
    }

    /// `write_otadata`: the label stays.
    fn write<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        index: usize,
        entry: OtaEntry,
    ) -> Result<(), FlashError> {
        let offset = self.entry_offset::<SECTOR>(index);
        let mut bytes = entry.to_bytes();
        flash.read_now(offset + 4, &mut bytes[4..24])?;
        flash.erase_now(offset..offset + SECTOR as u32)?;
        flash.write_now(offset, &bytes)
    }

    /// Boots; `None`: nothing can be started.
    ///
    /// # Errors
    ///
    /// [`FlashError::PowerLost`] when a scheduled power cut happened; boot again after [`SimFlash::restore_power`].
    pub fn boot<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
    ) -> Result<Option<EspApp>, FlashError> {
        let mut entries = self.entries(flash)?;
        if self.rollback {
            for (index, entry) in entries.iter_mut().enumerate() {
                if entry.state == ota_state::PENDING_VERIFY {
                    entry.state = ota_state::ABORTED;
                    self.write(flash, index, *entry)?;
                }
            }
        }
        let nothing_requested = entries.iter().all(OtaEntry::is_invalid);
        // `None` is the factory app's place: below ota_0.
        let start = if nothing_requested {
            self.factory.is_none().then_some(0)
        } else {
            let valid = entries.iter().enumerate().filter(|(_, entry)| entry.is_valid());
            // Of two equal ones the first.
            let selected = valid.rev().max_by_key(|(_, entry)| entry.seq).map(|(index, _)| index);
            if let Some(index) = selected
                && self.rollback
                && entries[index].state == ota_state::NEW
            {
                entries[index].state = ota_state::PENDING_VERIFY;
                self.write(flash, index, entries[index])?;
            }
            selected.map(|index| entries[index].slot())
        };
        let down: Vec<usize> = start.map_or_else(Vec::new, |slot| (0..=slot).rev().collect());
        let up = start.map_or(0, |slot| slot + 1)..2;
        let order = down.into_iter().map(EspApp::Ota);
        for app in order.chain([EspApp::Factory]).chain(up.map(EspApp::Ota)) {
            let Some(range) = self.range(app) else {
                continue;
            };
            let mut content = vec![0; range.len()];
            flash.read_now(range.start, &mut content)?;
            if !is_startable(&content, self.chip) {
                continue;
            }
            let is_blank = entries
                .iter()
                .all(|entry| entry.seq == u32::MAX || !entry.crc_is_right());
            if let EspApp::Ota(slot) = app
                && nothing_requested
                && is_blank
                && self.factory.is_none()
            {
                self.write(flash, 0, OtaEntry::new(slot as u32 + 1, ota_state::VALID))?;
            }
            return Ok(Some(app));
        }
        Ok(None)
    }

    fn range(&self, app: EspApp) -> Option<Range<u32>> {
        match app {
            EspApp::Factory => self.factory.clone(),
            EspApp::Ota(slot) => self.slots.get(slot).cloned(),
        }
    }
}
