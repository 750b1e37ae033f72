//! The smallest update module of one's own: a greeting that is updated over the air, kept in flash. To be copied: README.md
//! says how.
//!
//! There are two pages, each a sector. The greeting with the higher number is in use; an update fills the other page, and writes that page's
//! header last:
//!
//! ```text
//! 0   number of the greeting, length of the text, the complements of both   written by install
//! 32  the text                                                              written by download
//! ```
//!
//! Who goes back erases the newer page. A header counts only if the complements fit, so neither a torn write nor a torn erase makes one.
//!
//! `cargo run` plays three deployments with it, `cargo test` everything that can go wrong.

#[cfg(test)]
mod tests;

use mender::embedded_storage_async::nor_flash::NorFlash;
use mender::update_module;
use mender::update_module::{Failure, FlashWriter, Payload, now};
use mender_testkit::flash::Partition;
use mender_testkit::module_test::{Board, ModuleTest};

/// Of whole read and write units, whatever the flash.
const HEADER_LEN: u32 = 32;

/// Installs artifacts of the type `greeting`: one text file. Each method can run again after a power cut.
#[update_module(
    artifact_type = "greeting",
    supports_rollback,
    on(download = receive, install = swap, rollback = restore)
)]
#[derive(Debug)]
pub struct Greeting<F: NorFlash> {
    flash: F,
    /// Length of what was downloaded and is not installed yet. After a restart that is for a rollback to drop.
    received: u32,
}

/// A greeting that can be used.
#[derive(Clone, Copy)]
struct Page {
    index: u32,
    number: u32,
    len: u32,
}

impl<F: NorFlash> Greeting<F> {
    const PAGE_LEN: u32 = F::ERASE_SIZE as u32;

    /// The module on its two sectors.
    pub fn new(flash: F) -> Greeting<F> {
        const {
            assert!(HEADER_LEN.is_multiple_of(F::READ_SIZE as u32) && F::ERASE_SIZE > HEADER_LEN as usize);
        }
        Greeting { flash, received: 0 }
    }

    /// Writes the first greeting, on new flash: the factory's part. There must always be one to go back to.
    ///
    /// # Errors
    ///
    /// The flash failed, or the text is too long.
    pub async fn make(&mut self, text: &[u8]) -> Result<(), Failure> {
        let mut writer = Self::writer(0);
        writer.write(&mut self.flash, text).await?;
        writer.finish(&mut self.flash).await?;
        self.flash.write(0, &header(1, text.len() as u32)).await?;
        Ok(())
    }

    /// The greeting in use.
    ///
    /// # Errors
    ///
    /// The flash failed, there is no greeting, or it is longer than `buffer`.
    pub async fn text<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
        let Page { index, len, .. } = self.in_use().await?;
        let read = buffer.get_mut(..(len as usize).next_multiple_of(F::READ_SIZE));
        let read = read.ok_or(Failure::of("the greeting is longer than the buffer"))?;
        self.flash.read(index * Self::PAGE_LEN + HEADER_LEN, read).await?;
        Ok(&read[..len as usize])
    }

    async fn page(&mut self, index: u32) -> Result<Option<Page>, Failure> {
        let mut bytes = [0; HEADER_LEN as usize];
        self.flash.read(index * Self::PAGE_LEN, &mut bytes).await?;
        let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let len = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Ok((bytes == header(number, len)).then_some(Page { index, number, len }))
    }

    async fn in_use(&mut self) -> Result<Page, Failure> {
        let pages = [self.page(0).await?, self.page(1).await?];
        let newest = pages.into_iter().flatten().max_by_key(|page| page.number);
        newest.ok_or(Failure::of("there is no greeting"))
    }

    /// Writes a text into a page, behind the header. That is in the first sector, which the writer erases first: there is no header as long
    /// as the text is not whole.
    fn writer(page: u32) -> FlashWriter {
        let start = page * Self::PAGE_LEN;
        FlashWriter::new::<F>(start + HEADER_LEN..start + Self::PAGE_LEN)
    }

    /// Download: into the page that is not in use, as nothing may become active before `install`.
    async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.received = 0;
        let other = 1 - self.in_use().await?.index;
        let file = payload.next_file().await?;
        let mut file = file.ok_or(Failure::of("the artifact has no file"))?;
        let len = file.len();
        if len == 0 {
            return Err(Failure::of("the greeting is empty"));
        }
        let mut writer = Self::writer(other);
        while let Some(chunk) = file.next_chunk().await? {
            writer.write(&mut self.flash, chunk).await?;
        }
        writer.finish(&mut self.flash).await?;
        // It fits, or the writer had refused it.
        self.received = len as u32;
        Ok(())
    }

    /// Install: with the header the text is in use.
    async fn swap(&mut self) -> Result<(), Failure> {
        let old = self.in_use().await?;
        let len = core::mem::take(&mut self.received);
        let number = old.number.checked_add(1).filter(|_| len > 0);
        let number = number.ok_or(Failure::of("nothing was received, or it has no number"))?;
        let other = 1 - old.index;
        self.flash.write(other * Self::PAGE_LEN, &header(number, len)).await?;
        Ok(())
    }

    /// Rollback: a download begins with an erase, so if there are two greetings the newer one is of this deployment.
    async fn restore(&mut self) -> Result<(), Failure> {
        let newer = self.in_use().await?.index;
        if self.page(1 - newer).await?.is_some() {
            let start = newer * Self::PAGE_LEN;
            self.flash.erase(start, start + Self::PAGE_LEN).await?;
        }
        Ok(())
    }
}

fn header(number: u32, len: u32) -> [u8; HEADER_LEN as usize] {
    let mut bytes = [0xff; HEADER_LEN as usize];
    for (place, word) in bytes.chunks_exact_mut(4).zip([number, len, !number, !len]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The module on a board that says `Hello`, and an artifact that brings another greeting.
pub fn on_a_board() -> ModuleTest<Greeting<Partition<4, 4096>>> {
    on_a_chip()
}

/// The same on a chip with another write unit.
pub fn on_a_chip<const WRITE: usize>() -> ModuleTest<Greeting<Partition<WRITE, 4096>>, WRITE, 4096> {
    let module = |board: &Board<WRITE, 4096>| Greeting::new(board.flash(0..2 * 4096));
    ModuleTest::<_, WRITE, 4096>::on_chip(module)
        .factory(move |board| assert_eq!(now(module(board).make(b"Hello")), Some(Ok(()))))
        .observe(move |board| shown(module(board)))
        .payload("Good morning")
}

/// What the device says: for the kit, a display or an inventory, which cannot wait for flash.
pub fn shown<F: NorFlash>(mut greeting: Greeting<F>) -> Result<String, Failure> {
    let mut buffer = [0; 64];
    let text = now(greeting.text(&mut buffer)).ok_or(Failure::of("this flash has to be waited for"))??;
    Ok(String::from_utf8_lossy(text).into_owned())
}
