//! For bootloaders that do not go back by themselves: counts the starts of an image that nobody has confirmed. Depends on errors, otadata
//! and the buffer of the flash.

use embedded_storage_async::nor_flash::MultiwriteNorFlash;

use super::error::{Error, Partition, Stop};
use super::flash::Buffer;
use super::otadata::{CRC, Chosen, ENTRY_LEN, Entries, Entry, LABEL, LABEL_END, SECTOR, Slot, State, sector};
use crate::Restart;

/// Goes back to the old image after five starts of a new one that nobody has confirmed. To be called first in `main`, where the
/// bootloader [keeps](super::Bootloader::Keeps) such an image, together with a watchdog: software that hangs is started again by it,
/// and software that crashes by its panic handler.
///
/// Each start makes one word of the entry's label zero, which nobody else reads; when none is left the entry is withdrawn, and the
/// device restarted. An image that the bootloader has marked, that was confirmed, or without which none would be selected, is left
/// alone: then nothing is written. One flash operation for each start, and none in ordinary ones.
///
/// `otadata` and `running` are those of [`EspOta::new`](super::EspOta::new).
///
/// # Errors
///
/// [`Error::Flash`]. Go on with the start then.
pub async fn boot_guard<O: MultiwriteNorFlash, R: Restart>(
    otadata: &mut O,
    running: Slot,
    restart: &mut R,
) -> Result<(), Error> {
    const {
        assert!(
            4 % O::READ_SIZE == 0 && 4 % O::WRITE_SIZE == 0,
            "the flash must have read and write units of 1, 2 or 4 bytes: otadata must not be encrypted"
        );
    }
    let failed = |stop: Stop| stop.error(0, 0);
    let flash = |error: O::Error| failed(Stop::flash(Partition::Otadata, &error));
    let mut entries = [Buffer([0; ENTRY_LEN]), Buffer([0; ENTRY_LEN])];
    for (index, entry) in entries.iter_mut().enumerate() {
        otadata.read(sector(index), &mut entry.0).await.map_err(flash)?;
    }
    let read = Entries(entries.each_ref().map(|entry| Entry::read(&entry.0)));
    let Some(Chosen { index, entry }) = read.selected() else {
        return Ok(());
    };
    if entry.slot() != running || entry.state != State::New || read.of(running.other()).is_none() {
        return Ok(());
    }
    let start = sector(index);
    let words = (LABEL..LABEL_END).step_by(4);
    let bytes = entries.get(index).map_or(&[][..], |bytes| bytes.0.as_slice());
    let is_left = |at: &u32| {
        bytes
            .get(*at as usize..)
            .is_some_and(|bytes| !bytes.starts_with(&[0; 4]))
    };
    let zeros = Buffer([0; 4]);
    if let Some(at) = words.into_iter().find(is_left) {
        return otadata.write(start.saturating_add(at), &zeros.0).await.map_err(flash);
    }
    otadata
        .write(start.saturating_add(CRC), &zeros.0)
        .await
        .map_err(flash)?;
    otadata
        .erase(start, start.saturating_add(SECTOR))
        .await
        .map_err(flash)?;
    restart.restart().await;
    Ok(())
}
