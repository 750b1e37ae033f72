// The way of the data: a method asks `flash` for an operation; `decide` says from facts which image, note or trailer has to be
// looked at, or what is to be changed; `flash` does so, and asks again. In order, each file depends on those before it:
//
// | file | job |
// |---|---|
// | mode, slot, version | the five modes as types; which slot; versions |
// | error | why something failed: for users with numbers, inside in two bytes |
// | digest | the hashes that images may state |
// | trailer | the cells of a trailer |
// | layout | the lengths of the slots, and what follows from them |
// | image | what an image in a slot is; takes bytes, reads nothing |
// | change | what is to be done to a slot, as a value |
// | decide | what runs, and the next step of an operation |
// | flash | both slots and the buffer: the only place that waits for flash |
// | receive, resume, delta, recover, inspect | the download; after a restart; of patches; requests for recovery tools; diagnosis |

//! `zephyr-image`: firmware updates through the MCUboot bootloader, as mender-mcu's module of that name.
//!
//! For all of MCUboot's modes with one image pair ([`SwapMove`], [`SwapOffset`], [`SwapScratch`], [`Overwrite`] fast or not,
//! [`DirectXip`] with revert), write units of 1 to 32 bytes, `BOOT_MAX_ALIGN` 8, 16 and 32, sectors of equal length. Takes
//! artifacts with one file, an image signed with imgtool; none that is encrypted, compressed, or linked to be
//! loaded to RAM. Depends on [`mod@mender::update_module`], [`mod@mender::text`], `embedded-storage-async` and `sha2`.
//!
//! ```
//! use embedded_storage_async::nor_flash::NorFlash;
//! use mender_modules::mcuboot::{Layout, LayoutError, SwapOffset, ZephyrImage};
//! # fn sys_reset() {}
//!
//! const LAYOUT: Layout<SwapOffset> = Layout {
//!     mode: SwapOffset,
//!     primary_len: 0x40000,
//!     secondary_len: 0x41000,
//!     sector_len: 4096,
//!     write_len: 4,
//!     max_align: 8,
//!     max_img_sectors: 128,
//! }
//! .checked();
//!
//! fn module(
//!     slot0: impl NorFlash,
//!     slot1: impl NorFlash,
//! ) -> Result<impl mender::UpdateModule, LayoutError> {
//!     let module = ZephyrImage::new(LAYOUT, slot0, slot1, || sys_reset())?;
//!     Ok(module.refusing_downgrades())
//! }
//! ```
//!
//! # Images
//!
//! Sign with imgtool as the bootloader wants it, without `--pad`. A file that is padded to the length of the slot, and so carries
//! a request of its own at its end, never fits beside the trailer and is refused ([`ImageFault::TooLarge`]). One that is padded to
//! less, for a smaller slot, is installed while it fits: bytes behind the image belong to nothing, and the request at their end is
//! none there.
//!
//! An image states its hash in a TLV, of a kind that the bootloader was built for. The module checks it after the download and
//! before the request, all of it:
//!
//! | hash TLV | imgtool | with which bootloader | here |
//! |---|---|---|---|
//! | SHA-256 (0x10) | the default with most keys | most | always |
//! | SHA-384 (0x11) | the default with keys on P-384 | for such keys | feature `sha512` |
//! | SHA-512 (0x12) | `--sha 512`, and with `--pure` | for Ed25519 if built so: nRF54 in the nRF Connect SDK | feature `sha512` |
//! | none, a pure signature (0x25) | not written by 2.5.0, which puts the hash beside it | for `MCUBOOT_SIGN_PURE` | no |
//!
//! What cannot be checked here is refused with [`ImageFault::HashNotSupported`], after it has been written and before
//! it is marked: the header does not tell. The feature costs 2.7 KB of flash on Cortex-M4, so it is off unless asked for. Only firmware that
//! has it can take such an image, also the one that is to be replaced. (MCUboot's `docs/design.md`, `image.h`, `image_validate.c`.)
//!
//! # Patches
//!
//! With the feature `delta` a module also takes artifacts of the type `zephyr-image-delta`, whose file is a patch: usually 3 to 20 % of
//! the image. For the format see `mender_modules::delta`.
//!
//! ```
//! # #[cfg(feature = "delta")] {
//! # use embedded_storage_async::nor_flash::NorFlash;
//! use mender_modules::delta::Memory;
//! # use mender_modules::mcuboot::{Layout, LayoutError, SwapMove, ZephyrImage};
//! # fn sys_reset() {}
//!
//! fn module(
//!     layout: Layout<SwapMove>,
//!     slot0: impl NorFlash,
//!     slot1: impl NorFlash,
//!     memory: &mut Memory, // in a `static`: a window of 1 KiB, and 256 bytes of the new image
//! ) -> Result<impl mender::UpdateModule, LayoutError> {
//!     let module = ZephyrImage::new(layout, slot0, slot1, || sys_reset())?;
//!     Ok(module.refusing_downgrades().taking_patches(memory))
//! }
//! # }
//! ```
//!
//! The artifact's meta-data say of both images how long they are, and their SHA-256: see `delta::Expected`. Make the patch of the files
//! that imgtool has signed, without `--pad`. In this order:
//!
//! 1. before the first byte: the meta-data are complete, the new image fits, and *what slot 0 holds has the hash of the old image*;
//! 2. the first 32 bytes that are made are checked as the header of a whole image. Nothing was erased up to here;
//! 3. the rest is written as it is made. When the patch has ended, rightly: slot 1, read back, has the hash of the new image;
//! 4. all that follows is what follows a whole image: its own hash, note, mark, request.
//!
//! In direct-xip the old image is the one in the slot that runs, and the new one is linked for the other slot: so a release has two
//! patches, one for each, and they are longer.
//!
//! After a restart a patch begins anew: it is small. The firmware that a patch makes has to take patches, too, or it does not
//! know, after the restart, whose deployment it is in. Mender's open-source server gives every device the *smallest* artifact of a release
//! that its device type allows, and does not look at what the device runs: a patch needs a release of its own, for devices that run its
//! old image. One with another image refuses it, at the price of the patch's download.
//!
//! # Modes
//!
//! | mode | new image goes to | after a test boot the old one is | rollback |
//! |---|---|---|---|
//! | [`SwapMove`], [`SwapScratch`] | start of slot 1 | there | yes |
//! | [`SwapOffset`] | second sector of slot 1 | at the start of slot 1 | yes |
//! | [`Overwrite`] | start of slot 1 | gone | no: the descriptor says so, and a failure after the restart is reported as inconsistent |
//! | [`DirectXip`] | start of the slot that does not run | in its slot | yes |
//!
//! # What happens in flash
//!
//! | state | method | flash |
//! |---|---|---|
//! | download | [`write_slot`](ZephyrImage::write_slot) | slot 1: erase its last sector (an old request goes first), with offset also the first; the image, with `resume` also marks of how far it has come; the *mark*, then the *note* |
//! | install | [`request_swap`](ZephyrImage::request_swap) | slot 1: the trailer's magic |
//! | (boot) | | the bootloader swaps, and erases the whole trailer of slot 1 |
//! | commit | [`confirm`](ZephyrImage::confirm) | slot 0: image_ok; overwrite-only and an image of one sector: first erase slot 1's last sector and write another mark |
//! | rollback | [`request_revert`](ZephyrImage::request_revert) | usually nothing: an image under test reverts at the next boot |
//! | failure, cleanup | [`discard`](ZephyrImage::discard) | nothing, unless the new image was never swapped: its header and its mark are erased |
//!
//! Each sector that the image covers is erased just before its first byte is written, none of slot 1 twice. Up to the restart
//! an update costs the sectors of the image, one for the trailer, one for the note (swap modes; with `resume` for the marks too, and so in
//! overwrite-only) and one for the first sector (offset).
//!
//! A request consists of the cell swap_info and of the magic that makes it one (direct-xip: the magic alone). The magic is
//! written last and alone, so that a power cut can neither make a request of half of one, nor a permanent one of a test
//! (MCUboot's own order has such a window). The swap_info is written earlier, at the end of the download: without the magic it
//! means nothing to the bootloader, but it is the *mark* that the next section needs. A pending request is byte for byte that of
//! `boot_set_pending(0)` or, in direct-xip, `boot_set_next(slot, false, false)`.
//!
//! # A restart in the middle of a download
//!
//! With the feature `resume`, what is in slot 1 is not fetched again: the module reads it back, the client verifies it with what comes, and
//! asks the host for the rest. So that it knows where to go on, the module keeps the file's SHA-256 in the sector below the trailer, which the note shares, and
//! writes a *mark* there, one write unit, for each sector of the image that is complete (for several, if the sector has no room for
//! so many). After a loss of power at most one of these and what was not written yet come again.
//!
//! Trailer and marks are erased again before the download goes on: their cells may have been torn. If power is lost a second time
//! between that erase and the write behind it, all comes again. If the bytes in flash are not the file's, its checksum says so at the end: the
//! deployment fails, and the next one begins anew.
//!
//! All begins anew with patches, with artifacts that are compressed, in direct-xip, where at each start the bootloader erases what is not
//! a whole image, and with files that need the sector of the marks.
//!
//! # Which image runs?
//!
//! After a restart nothing is known but the flash, and it is not enough to look at one trailer: that of slot 0 looks
//! the same after this update was confirmed and before it began, when the update before was confirmed.
//!
//! ## Swap modes
//!
//! 1. Every finished swap has erased the trailer of slot 1, and no swap is left half done when an application runs. So
//!    *the mark is there: this image was never swapped, the old one runs*. The mark is one byte, 0x02; torn bytes of
//!    other values used here (0x03) cannot read as 0x02, because bits that stay set are never cleared.
//! 2. The *note* holds the new image's hash (of a longer one the first 32 bytes), in the sector of slot 1 below the trailer, which no swap touches. If it
//!    is there, *the new image runs if, and only if, slot 0's image states that hash*. Trailers only say how firmly it
//!    runs. There is no note if one of the two images reaches into its sector (with offset and slots of equal use the
//!    largest ones do), if both are the same, or once the bootloader has erased the slot. Then the rules below decide.
//! 3. A finished test swap leaves magic, copy_done and swap_info "test" in slot 0. The mark is missing only if
//!    there was a swap since the download, or if the module itself has erased it, and then it has erased the header in slot 1
//!    before. So without a mark, *slot 0 says "test" and the start of slot 1 holds an intact image: the new one runs*, and the
//!    old one is in slot 1. It reverts by itself at the next boot if, and only if, image_ok is erased.
//! 4. A revert leaves swap_info "revert" (or "permanent", if power was lost within it), the way back of
//!    [`request_revert`](ZephyrImage::request_revert) "permanent" or "revert". So *slot 0 says one of these: the old one runs*.
//! 5. A refused image is erased by the bootloader, header first. So *no intact image in slot 1: the old one runs*.
//! 6. Slot 0 without such a trailer was never swapped: *the old one runs*.
//!
//! The download refuses to start while the running image is under test. This keeps rule 3 sound, and the only
//! image to go back to from being overwritten.
//!
//! | what happened | mark in slot 1 | slot 0: swap_info, image_ok | image in slot 1 | runs |
//! |---|---|---|---|---|
//! | reset before the request was complete | yes | any | new | old |
//! | request complete, no boot yet, or ignored (downgrade) | yes, and magic | any | new | old |
//! | swapped, under test | no | test, erased | old | new |
//! | swapped, confirmed | no | test, set | old | new |
//! | swapped, confirmation torn by a power cut | no | test, neither | old | new, neither confirmed nor reverting |
//! | confirmed, way back requested | no | test, set | old | new, until the next boot |
//! | reverted by the bootloader | no | revert or permanent, set | new | old |
//! | went back after a confirmation | no | permanent or revert, set | new | old |
//! | refused by the bootloader, or withdrawn by the module | no | any but under test | none | old |
//!
//! ## Overwrite-only
//!
//! Before the download erases anything, an unconfirmed image in slot 0 is confirmed, which has no effect in this mode. The
//! bootloader leaves a new image unconfirmed. So *slot 0 has a magic and image_ok is erased: the new one runs*. Else
//! *an intact image in slot 1 waits, and the old one runs*. Else the image was confirmed already if the rest of slot 1 is still
//! what slot 0 holds, and refused if not: the bootloader erases the first and the last sector of what it has copied, and all of what
//! it refuses. If that rest is next to nothing, because the image takes no more than a sector or the slots have only two, the
//! confirmation writes a mark before it sets image_ok: 0x01, "none", in slot 1's cell swap_info, *which says that slot 1's
//! image came to run*. It asks the bootloader for nothing, no torn write of another mark reads so, and the next download erases it
//! before all else.
//!
//! ## Direct-xip
//!
//! The firmware knows its slot. *Its trailer has a magic and image_ok is erased: it is the new image, under test*. If it is
//! confirmed, the other slot tells: *an intact, confirmed image there is the old one*, because an image confirms only itself and
//! does so while it runs; anything else there is the new image, waiting, refused or reverted.
//!
//! # The way back
//!
//! An image confirmed while its commit is still to come (power lost just after it was confirmed, or firmware that confirms
//! itself) makes [`check_swapped`](ZephyrImage::check_swapped) fail, as in mender-mcu; the rollback that follows brings
//! the old image back all the same, while it is intact: by a permanent request (move, scratch), by a request to revert
//! (offset: slot 1 with copy_done set; a permanent request would have the bootloader erase the slot, as the old image is at
//! its start), or by erasing the trailer of the running image, which the bootloader then erases as a whole (direct-xip).
//! If a power cut makes the bootloader forget a revert, [`check_reverted`](ZephyrImage::check_reverted) asks again.
//!
//! # Chips that erase to 0x00
//!
//! An erased byte has to read 0xff. MCUboot can be built for flash where it reads 0x00 (STM32L0, L1); this module cannot be used
//! there, and refuses with [`Error::ErasesToZero`] before anything of use is gone. A driver does not tell what its flash erases to,
//! so a download looks: if the trailer in slot 0 has its magic, and 0x00 where nobody writes, nothing is erased at all; otherwise
//! there is nothing to go back to, and the trailer of slot 1, which is erased first of all, is read back before the image is
//! touched. Only if slot 0 alone is on such a chip and was never swapped, that comes out at the first restart: the new image cannot
//! be confirmed, the rollback brings the old one back, and the next download is refused.
//!
//! # Limits
//!
//! Nothing else may write to slot 1 or the trailers during a deployment.
//!
//! Without a note (rule 2), three things go unnoticed: if the old image in slot 1 decays while the new one is confirmed but not yet
//! committed, rule 5 takes the new image for the old one. If the bootloader, on its way back, loses power in the erase of a
//! permanent request so that the cell image_ok reads as erased while the 16 bytes of the magic beside it are still whole, the
//! request has become one of a test, and the boot after next runs the new image again. If it loses power twice within a revert
//! so that no trailer is left, the new image stays.
//!
//! Swap using offset, note or not: if the bootloader, on its way back, loses power in the erase of slot 1's trailer so that
//! copy_done reads as erased while the magic is still whole, it takes the old image for one in the wrong place and erases the slot.
//! The application cannot prevent this.
//!
//! Swap using scratch: if the bootloader loses power in the erase of slot 0's trailer at the beginning of a swap, so that the
//! progress of the swap before is still there while the cells behind it read as erased, and then again while it writes its record
//! into the scratch area, it goes on with that other swap, and nothing intact may be left. The application cannot prevent this
//! either.
//!
//! All modes that revert: if the bootloader loses power within the write of copy_done that ends a test swap (direct-xip: that
//! marks the image as chosen), so that the cell reads as neither set nor erased, it does not take the image for one under test
//! and does not revert it. In the swap modes the same follows from losing power twice within a revert so that no record of it is
//! left; with scratch also once, in the erase of the scratch area at its beginning, so that the area's magic is still whole and the
//! cell swap_info reads as erased. An image that runs finds this out and asks for its own way back; one that does not get as far as
//! its client stays.
//!
//! An image that reaches into the sector of the trailer (scratch, direct-xip) can be installed and reverted, but once it is confirmed
//! the way back needs a trailer that nobody has begun to write (scratch) or is closed (direct-xip):
//! [`ImageFault::SharesTrailer`].
//!
//! Overwrite-only: if something other than [`confirm`](ZephyrImage::confirm) confirms an image of at most one sector before its
//! commit, it is taken for the old one.
//!
//! The signature is the bootloader's business: a module that checked it would need its key.

mod change;
mod decide;
#[cfg(feature = "delta")]
mod delta;
mod digest;
mod error;
mod flash;
mod image;
mod inspect;
mod layout;
mod mode;
mod receive;
mod recover;
#[cfg(feature = "resume")]
mod resume;
mod slot;
mod trailer;
mod version;

pub use digest::HashKind;
pub(crate) use error::CAUSES;
pub use error::{Error, ImageFault, OldRuns};
pub use image::Image;
pub use inspect::{Content, Inspection, NextBoot, SlotState, SwapInfo};
pub use layout::{Layout, LayoutError};
pub use mode::{DirectXip, Mode, Overwrite, SwapMove, SwapOffset, SwapScratch};
pub use recover::Request;
pub use trailer::{Flag, Magic};
pub use version::Version;

use core::fmt;
use core::future::poll_fn;
use core::pin::pin;

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module;
use mender::update_module::Payload;

use crate::Restart;
use crate::apart::poll_apart;
use crate::content::Whole;
use decide::Op;
use flash::Slots;
use receive::Options;
use trailer::MAX_ALIGN;

/// The update module for MCUboot images: see the [module documentation](self).
///
/// `P` and `S` are the flash of the primary and the secondary slot, each with offset 0 at the start of its slot; partitions
/// of one chip, or two chips. `BUFFER` is the number of bytes read at once when an image is verified, a multiple
/// of 32, and at least 64; it is part of this struct. `M` is the bootloader's mode, which comes with the [`Layout`]. All else is below
/// 80 bytes beside the handles, and no future holds more than one SHA-256 state.
///
/// # Power loss and cancellation
///
/// Every method can be cut short at any point, by a loss of power or by dropping its future, and called again after
/// the next start: it finishes the job. Wherever the cut is, an intact image can boot.
#[update_module(
    artifact_type = "zephyr-image",
    requires_reboot,
    supports_rollback = M::REVERTS,
    on(
        download = write_slot,
        install = request_swap,
        reboot | rollback_reboot = restart,
        verify_reboot = check_swapped,
        commit = confirm,
        rollback = request_revert,
        rollback_verify_reboot = check_reverted,
        failure | cleanup = discard,
    )
)]
pub struct ZephyrImage<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize = 256, M: Mode = SwapMove> {
    slots: Slots<P, S, BUFFER, M>,
    restart: R,
    options: Options,
}

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> fmt::Debug
    for ZephyrImage<P, S, R, BUFFER, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZephyrImage")
            .field("geometry", &self.slots.geometry)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const fn is_unit(len: usize) -> bool {
    matches!(len, 1 | 2 | 4 | 8 | 16 | MAX_ALIGN)
}

impl<P: NorFlash, S: NorFlash, R: Restart, M: Mode> ZephyrImage<P, S, R, 256, M> {
    /// A module for slots of this layout, whose mode is the layout's, with a buffer of 256 bytes.
    ///
    /// Does not compile with flash whose read or write unit is not 1, 2, 4, 8, 16 or 32 bytes.
    ///
    /// # Errors
    ///
    /// [`LayoutError`]: the layout contradicts itself or the flash.
    pub fn new(layout: Layout<M>, primary: P, secondary: S, restart: R) -> Result<Self, LayoutError> {
        ZephyrImage::with_buffer(layout, primary, secondary, restart)
    }
}

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> ZephyrImage<P, S, R, BUFFER, M> {
    /// As [`new`](ZephyrImage::new), with a buffer of another length: `ZephyrImage::<_, _, _, 1024, _>::with_buffer(...)`.
    ///
    /// Does not compile with flash whose read or write unit is not 1, 2, 4, 8, 16 or 32 bytes, or with a `BUFFER` that is
    /// not a multiple of 32 or below 64.
    ///
    /// # Errors
    ///
    /// [`LayoutError`]: the layout contradicts itself or the flash.
    pub fn with_buffer(layout: Layout<M>, primary: P, secondary: S, restart: R) -> Result<Self, LayoutError> {
        const {
            assert!(
                is_unit(P::WRITE_SIZE) && is_unit(S::WRITE_SIZE),
                "the flash must have a write unit of 1, 2, 4, 8, 16 or 32 bytes"
            );
            assert!(
                is_unit(P::READ_SIZE) && is_unit(S::READ_SIZE),
                "the flash must have a read unit of 1, 2, 4, 8, 16 or 32 bytes"
            );
            assert!(
                BUFFER >= 64 && BUFFER.is_multiple_of(32),
                "BUFFER must be a multiple of 32, and at least 64"
            );
        }
        let layout = layout.try_checked()?;
        if primary.capacity() < layout.primary_len as usize || secondary.capacity() < layout.secondary_len as usize {
            return Err(LayoutError::FlashTooShort);
        }
        layout.fits::<P, S>()?;
        Ok(ZephyrImage {
            slots: Slots::new(layout.geometry(), primary, secondary),
            restart,
            options: Options::default(),
        })
    }

    /// Refuses an image whose version, build number included, is lower than that of the running one, before anything is
    /// erased.
    ///
    /// The deployment then fails, and the device keeps its software. Off unless asked for: a server may well want an
    /// older release back.
    #[must_use]
    pub fn refusing_downgrades(mut self) -> Self {
        self.options.refuse_downgrades = true;
        self
    }

    /// Refuses the very image that runs, byte for byte, with [`Error::SameImage`].
    ///
    /// The file is compared with slot 0 while it comes; nothing is erased or written until it differs. The deployment
    /// *fails* if it does not: artifact name and provides stay what they were, because a success would promise a
    /// restart into what the artifact holds. Without this option the same image is installed again, with a restart, and
    /// the deployment succeeds.
    #[must_use]
    pub fn refusing_same_image(mut self) -> Self {
        self.options.refuse_same_image = true;
        self
    }

    /// Direct-xip: counts the build number when versions are compared, as a bootloader built with
    /// `MCUBOOT_VERSION_CMP_USE_BUILD_NUMBER` does.
    #[must_use]
    pub fn comparing_build_numbers(mut self) -> Self {
        self.options.compare_builds = true;
        self
    }

    /// Refuses images that say they are linked for another place in flash than this (imgtool's `--rom-fixed`): the slot that
    /// the new image will run from, slot 1 in direct-xip, else slot 0.
    #[must_use]
    pub fn at_address(mut self, flash_address: u32) -> Self {
        self.options.address = Some(flash_address);
        self
    }

    /// Gives the flash of the primary and the secondary slot back.
    #[must_use]
    pub fn release(self) -> (P, S) {
        (self.slots.primary, self.slots.secondary)
    }

    /// Download: writes the payload's only file to slot 1, verifies it by reading it back, and marks it as received.
    ///
    /// The header is checked before anything is erased. Nothing is requested: a restart afterwards changes nothing. After one in the
    /// middle, what is in slot 1 is not fetched again, with the feature `resume`.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::NoFile`], [`Error::SecondFile`], [`Error::Image`], [`Error::Downgrade`],
    /// [`Error::NotNewer`], [`Error::SameImage`], [`Error::Payload`], [`Error::ErasesToZero`], [`Error::NotKept`] or the flash's. What is in slot
    /// 1 then is inert.
    pub async fn write_slot(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        let done = {
            let mut whole = Whole;
            let mut receive = pin!(self.slots.receive(payload, &self.options, &mut whole));
            poll_fn(|cx| poll_apart(receive.as_mut(), cx)).await
        };
        done.map_err(|stop| self.slots.numbers.error(stop))
    }

    /// Install: verifies slot 1 once more and requests it for the next boot, as a test where the mode knows tests.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::NotReceived`], [`Error::Damaged`], [`Error::NotKept`] or the flash's. Unless it is one of
    /// the last two nothing was requested; [`discard`](ZephyrImage::discard) withdraws in any case.
    pub fn request_swap(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.slots.perform(Op::Install)
    }

    /// Reboot and rollback_reboot: restarts the device.
    ///
    /// # Errors
    ///
    /// None; a device that does not restart is found out by the states that follow.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.restart.restart().await;
        Ok(())
    }

    /// Verify_reboot: succeeds if the new image runs and waits for its confirmation; in modes that revert, also the old
    /// one must be intact.
    ///
    /// # Errors
    ///
    /// [`Error::OldRuns`], [`Error::AlreadyConfirmed`], [`Error::Unconfirmable`], [`Error::CannotGoBack`] or the flash's.
    pub fn check_swapped(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.slots.perform(Op::CheckSwapped)
    }

    /// Commit: confirms the running image, so that the bootloader keeps it. The old one stays in slot 1, unless it was
    /// overwritten.
    ///
    /// # Errors
    ///
    /// [`Error::OldRuns`], [`Error::Unconfirmable`], [`Error::NotKept`] or the flash's.
    pub fn confirm(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.slots.perform(Op::Confirm)
    }

    /// Rollback: sees to it that the next boot runs the old image.
    ///
    /// Under test: nothing to write, but the old image must be intact. Confirmed (power was lost around the commit):
    /// requests the way back. Old image running: withdraws a request.
    ///
    /// # Errors
    ///
    /// [`Error::CannotGoBack`], [`Error::NoWayBack`], [`Error::NotKept`] or the flash's.
    pub fn request_revert(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.slots.perform(Op::Revert)
    }

    /// Rollback_verify_reboot: succeeds if the old image runs and no request waits.
    ///
    /// If the new one still runs and would stay, because a power cut made the bootloader forget what it was asked, asks
    /// it again, for the restart that follows a failure here.
    ///
    /// # Errors
    ///
    /// [`Error::NewRuns`], [`Error::OldRuns`] with [`OldRuns::Pending`], [`Error::CannotGoBack`], [`Error::NotKept`] or the
    /// flash's.
    pub fn check_reverted(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.slots.perform(Op::CheckReverted)
    }

    /// Failure and cleanup: withdraws what was received but never swapped, requested or not. Leaves everything else as
    /// it is; an old image in slot 1 without a request is inert.
    ///
    /// # Errors
    ///
    /// The flash's.
    pub fn discard(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.slots.perform(Op::Discard)
    }

    /// Requests an image that is in slot 1, however it got there. For recovery tools; a deployment uses
    /// [`request_swap`](ZephyrImage::request_swap).
    ///
    /// Verifies the image, erases what the trailer holds, and the first sector in swap using offset if there is another
    /// image's header, then writes the request.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::Damaged`], [`Error::ErasesToZero`], [`Error::NotKept`] or the flash's.
    pub async fn request(&mut self, request: Request) -> Result<(), Error> {
        let done = self.slots.request(request).await;
        done.map_err(|stop| self.slots.numbers.error(stop))
    }

    /// Sets image_ok of the running image if its trailer allows it, as MCUboot's `boot_set_confirmed()`: without a magic there
    /// is nothing to confirm (in direct-xip nothing that would start again). [`confirm`](ZephyrImage::confirm) makes sure first that the right image runs.
    ///
    /// # Errors
    ///
    /// [`Error::Unconfirmable`], [`Error::NotKept`] or the flash's.
    pub async fn confirm_running(&mut self) -> Result<(), Error> {
        let done = self.slots.confirm_running().await;
        done.map_err(|stop| self.slots.numbers.error(stop))
    }

    /// Reads both slots, images included. Writes nothing.
    ///
    /// # Errors
    ///
    /// The flash's.
    pub async fn inspect(&mut self) -> Result<Inspection, Error> {
        let done = self.slots.inspect(self.options.compare_builds).await;
        done.map_err(|stop| self.slots.numbers.error(stop))
    }
}
