//! ESP-IDF's partition table: entries of 32 bytes, from `esp_flash_partitions.h`. Its MD5 is not checked.

use std::ops::Range;

const MAGIC: [u8; 2] = [0xaa, 0x50];
const MAX_LEN: usize = 0xc00;
const APP: u8 = 0;
const DATA: u8 = 1;
const ENCRYPTED: u8 = 1;

/// What a device with two slots has.
pub struct Table {
    pub otadata: Range<u32>,
    pub slots: [Range<u32>; 2],
    pub factory: Option<Range<u32>>,
}

impl Table {
    /// Of the table's bytes and all that follow, for a flash of this length.
    pub fn read(bytes: &[u8], flash_len: usize) -> Result<Table, String> {
        let mut found: [Option<Range<u32>>; 4] = [const { None }; 4];
        let table = bytes.get(..MAX_LEN).unwrap_or(bytes);
        let entries = table
            .as_chunks::<32>()
            .0
            .iter()
            .take_while(|entry| entry.starts_with(&MAGIC));
        let mut any = false;
        for entry in entries {
            any = true;
            let word = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
            let place = match (entry[2], entry[3]) {
                (APP, 0) => 0,
                (APP, 0x10) => 1,
                (APP, 0x11) => 2,
                (APP, 0x12..=0x1f) => return Err("there are more than two OTA slots".into()),
                (DATA, 0) => 3,
                (_, _) => continue,
            };
            let (start, len) = (word(4), word(8));
            let end = start.checked_add(len).filter(|end| *end as usize <= flash_len);
            let end = end.ok_or("a partition ends behind the dump: read out the whole flash")?;
            if start % 4096 != 0 || end % 4096 != 0 {
                return Err("a partition is no whole number of sectors".into());
            }
            if entry[28] & ENCRYPTED != 0 {
                return Err("partitions are encrypted".into());
            }
            found[place] = Some(start..end);
        }
        if !any {
            return Err("there is no partition table: give --table OFFSET".into());
        }
        let [factory, ota_0, ota_1, otadata] = found;
        match (ota_0, ota_1, otadata) {
            (_, _, Some(otadata)) if otadata.len() < 2 * 4096 => Err("otadata must have two sectors".into()),
            (Some(ota_0), Some(ota_1), Some(otadata)) => Ok(Table {
                otadata,
                slots: [ota_0, ota_1],
                factory,
            }),
            (_, _, _) => Err("the partition table lacks otadata, ota_0 or ota_1".into()),
        }
    }
}
