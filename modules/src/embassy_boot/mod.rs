// The way of the data: a method asks `flash` for an operation; `decide` says from facts which record or hash has to be looked at, or
// what STATE has to say; `flash` does so, and asks again. In order, each file depends on those before it:
//
// | file | job |
// |---|---|
// | error | why something failed: for users with numbers, inside in three bytes |
// | layout | the lengths of the partitions |
// | decide | what runs, what the next boot does, and the next step of an operation |
// | flash | the partitions and the buffer: the only place that waits for flash |
// | receive, resume, delta | the download; after a restart; of patches |

//! `embassy-boot-image`: firmware updates through the bootloader [embassy-boot](::embassy_boot), for boards without MCUboot.
//!
//! Takes artifacts with one file: the raw binary image, as it is to lie at the start of ACTIVE (`objcopy -O binary`).
//! Works with embassy-boot 0.7 and its default erase value 0xff: STATE is what its `FirmwareState` reads and writes, but for the
//! order that "Limits" explains. Depends on [`mod@mender::update_module`], [`mod@mender::text`], `embassy-boot`, `embassy-futures`,
//! `embedded-storage-async` and `sha2`.
//!
//! ```
//! use embassy_boot::FirmwareUpdaterConfig;
//! use embedded_storage_async::nor_flash::NorFlash;
//! use mender_modules::embassy_boot::{EmbassyBoot, LayoutError};
//! # fn sys_reset() {}
//!
//! /// The three partitions as the bootloader has them: for DFU and STATE there is `FirmwareUpdaterConfig::from_linkerfile`,
//! /// for ACTIVE an `embassy_embedded_hal` partition from `__bootloader_active_start` to `__bootloader_active_end`.
//! fn module(
//!     config: FirmwareUpdaterConfig<impl NorFlash, impl NorFlash>,
//!     active: impl NorFlash,
//! ) -> Result<impl mender::UpdateModule, LayoutError> {
//!     EmbassyBoot::<_, _, _, _>::new(config, active, || sys_reset())
//! }
//! ```
//!
//! [`assert_partitions`] lets the compiler check drivers and lengths, where these are constants.
//!
//! For artifacts of another type give a type of your own that says it, see [`ImageType`].
//!
//! # Patches
//!
//! With the feature `delta` a module also takes artifacts of the type `embassy-boot-image-delta`, whose file is a patch: usually 3 to 20 % of
//! the image. For the format see `mender_modules::delta`.
//!
//! ```
//! # #[cfg(feature = "delta")] {
//! # use embassy_boot::FirmwareUpdaterConfig;
//! # use embedded_storage_async::nor_flash::NorFlash;
//! use mender_modules::delta::Memory;
//! # use mender_modules::embassy_boot::{EmbassyBoot, LayoutError};
//! # fn sys_reset() {}
//!
//! fn module(
//!     config: FirmwareUpdaterConfig<impl NorFlash, impl NorFlash>,
//!     active: impl NorFlash,
//!     memory: &mut Memory, // in a `static`: a window of 1 KiB, and 256 bytes of the new image
//! ) -> Result<impl mender::UpdateModule, LayoutError> {
//!     let module = EmbassyBoot::<_, _, _, _>::new(config, active, || sys_reset())?;
//!     Ok(module.taking_patches(memory))
//! }
//! # }
//! ```
//!
//! The artifact's meta-data say of both images how long they are, and their SHA-256: see `delta::Expected`. ACTIVE does not say where its
//! image ends, so the length of the old one has to be that of the file that was installed. In this order:
//!
//! 1. before the first byte, and before anything is erased: the meta-data are complete, the new image fits, and *what ACTIVE holds has
//!    the hash of the old image*;
//! 2. the image is written as it is made. When the patch has ended, rightly: it has the hash of the new image, and so has DFU, read back;
//! 3. all that follows is what follows a whole image: record, request.
//!
//! A raw image has no header that could be looked at before the first erase: what a patch itself is, and whether it is damaged, comes out
//! while DFU is written. What is there then is inert.
//!
//! A download that was cut short begins anew: a patch is small. The firmware that a patch makes has to take patches, too, or it does not
//! know, after the restart, whose deployment it is in. A patch needs a release of its own, for devices that run its old image: Mender's
//! open-source server gives every device the *smallest* artifact of a release that its device type allows. One with another image refuses
//! it, at the price of the patch's download.
//!
//! # What happens in flash
//!
//! | state | method | flash |
//! |---|---|---|
//! | download | [`write_dfu`](EmbassyBoot::write_dfu) | DFU: the image, with `resume` also marks of how far it has come; then the *record* |
//! | install | [`request_swap`](EmbassyBoot::request_swap) | STATE: "swap" |
//! | (boot) | | the bootloader swaps all pages of ACTIVE with those of DFU, and counts the steps in STATE |
//! | commit | [`confirm`](EmbassyBoot::confirm) | STATE: "boot" |
//! | rollback | [`request_revert`](EmbassyBoot::request_revert) | usually nothing: an image under test reverts at the next boot |
//! | failure, cleanup | [`discard`](EmbassyBoot::discard) | nothing, unless a swap is still requested: STATE "boot" |
//!
//! The record are the last 96 bytes of an area as long as ACTIVE, so an image has as many bytes less. It says how long the new
//! image is, its SHA-256, and the SHA-256 of all of ACTIVE at the time of the download: of what the image replaces. It moves with
//! the image. The bootloader knows nothing of it, and the first image, put there by a programmer, needs none.
//!
//! # A restart in the middle of a download
//!
//! With the feature `resume`, what is in DFU is not fetched again: the module reads it back, the client verifies it with what comes, and
//! asks the host for the rest. So that it knows where to go on, the module keeps the file's SHA-256 in the sector of the record, in front
//! of that, and writes a *mark* there, one write unit, for each sector of the image that is complete (for several, if there is no room for
//! so many). No sector is erased more often in a download than without. After a loss of power at most one of these and what was not
//! written yet come again.
//!
//! Marks are erased again before the download goes on: their cells may have been torn. If power is lost a second time between that erase
//! and the write behind it, all comes again. If the bytes in flash are not the file's, its checksum says so at the end: the deployment
//! fails, and the next one begins anew. An image that was received as a whole and is still in DFU, as after a revert, is read back first:
//! if it has decayed, nothing of it counts.
//!
//! All begins anew with patches, with artifacts that are compressed, and with images that reach into the sector of the record.
//!
//! # Which image runs?
//!
//! The bootloader's state does not say: a power cut while a new image is confirmed leaves it running in the state
//! "revert", a cut at the end of a revert leaves the old image in the state "boot". A version number compiled into the firmware would
//! say who asks, but nothing that survives the restart says which version was expected, and two builds may have the same.
//! So the module looks at what is there. Firmware runs in place, therefore *what is in ACTIVE is what runs*, and these
//! facts about the bootloader leave no doubt about it:
//!
//! 1. When an application runs, no swap and no revert is half done.
//! 2. Before a swap, and after a revert, the new image lies at the start of DFU, with its record behind it. So *DFU holds a
//!    record and the image of which it gives the hash: the new image is not in ACTIVE, the old one runs*. (A swap leaves
//!    the first page of DFU as it was; ACTIVE must have a second one, with the record.)
//! 3. A swap moves the image and its record to ACTIVE, and all of what was there to DFU, one page further up. So *the hash of DFU
//!    from its second page on is the one that the record in ACTIVE gives for its predecessor: the new image runs*, and
//!    the old one is intact. Nothing but a swap makes this so. The record that a download writes to DFU is among these bytes, so an
//!    earlier update is not taken for this one.
//! 4. Neither: nothing complete was received, *the old one runs*; unless STATE says that a complete swap is under test: then the
//!    old image in DFU is damaged, and there is no way back.
//!
//! Both images may be equal byte for byte; rules 2 and 3 hold all the same. What remains for STATE to say is what the *next* boot
//! does, and that it alone decides:
//!
//! | what happened | STATE | DFU | ACTIVE's record | runs | the next boot |
//! |---|---|---|---|---|---|
//! | nothing received, or not completely | boot or revert | no image with record | none, or of an earlier update | old | stays |
//! | reset before the request was complete | boot, or revert from before | new, with record | none, or earlier | old | stays |
//! | request complete, no boot yet, or no such bootloader | swap, no steps | new, with record | none, or earlier | old | swaps |
//! | swapped, under test | swap, all steps of the swap | old, one page up | new | new | reverts |
//! | swapped, old image decayed | swap, all steps of the swap | neither | new | new | reverts to a broken image |
//! | swapped, confirmed | boot | old, one page up | new | new | stays |
//! | swapped, power lost while it was confirmed | revert or boot | old, one page up | new | new | stays |
//! | confirmed, way back requested | swap, all steps of the swap | old, one page up | new | new | reverts |
//! | reverted by the bootloader | revert | new, with record | none, or earlier | old | stays |
//! | reverted, power lost at the end of it | boot | new, with record | none, or earlier | old | stays |
//!
//! An image confirmed while its commit is still to come (power lost just after it was confirmed, or firmware that confirms
//! itself) makes [`check_swapped`](EmbassyBoot::check_swapped) fail. The rollback that follows brings the old image back all the same: it
//! leaves STATE as it was before the confirmation, and the bootloader swaps back with the power-safe steps of its own.
//!
//! If the old image is damaged, the bootloader, which checks nothing, would revert to it. A rollback then keeps the new image and
//! fails: the artifact name gets Mender's `_INCONSISTENT`, and the device stays alive.
//!
//! # Chips that erase to 0x00
//!
//! embassy-boot can be built for flash where an erased byte reads 0x00 (STM32L0, L1; its feature `flash-erase-zero`). This module
//! takes 0xff for it, and refuses such partitions with [`Error::ErasesToZero`] before anything of use is gone: a download first looks
//! at the last word of STATE, which nobody writes, and reads back what it has erased for the record, the first part of DFU that it
//! touches. A STATE that was filled with zeros by something else is refused likewise: erase it when the device is programmed.
//!
//! # Limits
//!
//! Partitions have to be the bootloader's own, with the same erase and write sizes. Nothing else may write to them during a
//! deployment. If the old image in DFU decays while the new one is confirmed but not yet committed, rule 4 takes the new image
//! for the old one. Signatures of images are not checked: let the client check the artifact's.
//!
//! Power cuts that no image survives, all within an erase of STATE that begins with "swap", when the images are
//! swapped, or were just swapped back: the erase stops when the second word and some of the steps are erased and the
//! first word is still whole. That reads as a request whose steps are not those that were done. Two erases can be
//! struck:
//!
//! - the bootloader's own, at the end of a swap back, also of one that copies nothing because a confirmation was cut short
//!   before. No application can prevent it;
//! - the one of a [confirmation](EmbassyBoot::confirm), where the write unit is longer than one byte. The second word
//!   is all zeros before it; each of its bits must be erased before any of the first word's. Where the write unit is
//!   one byte, and this likelier, the first word is made zero before the erase.
//!
//! An erase can also tear "revert" or "boot" into "swap", and so can the write of "boot", with a single bit where the
//! write unit is one byte. For what the module erases and writes, the second word says before it that no progress is
//! valid, and the bootloader copies nothing. embassy-boot's own `mark_booted` writes "boot" without that: firmware that
//! confirms itself by it has this weak moment again.
//!
//! The words of STATE that say "done" are all zeros, and where a cut has torn one the bootloader writes it once more:
//! flash with error correction must take zeros over anything, as STM32's does.

mod decide;
#[cfg(feature = "delta")]
mod delta;
mod error;
mod flash;
mod layout;
mod receive;
#[cfg(feature = "resume")]
mod resume;

pub(crate) use error::CAUSES;
pub use error::{Error, OldRuns, Partition};
pub use layout::{LayoutError, assert_partitions};

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::pin;

use ::embassy_boot::{AlignedBuffer, FirmwareUpdaterConfig};
use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module;
use mender::update_module::Payload;

use crate::Restart;
use crate::apart::poll_apart;
use crate::content::Whole;
use decide::Op;
use flash::Partitions;
use layout::{ALIGN, Layout};

/// The payload type of the artifacts that an [`EmbassyBoot`] takes.
///
/// ```
/// use mender_modules::embassy_boot::{EmbassyBoot, ImageType};
///
/// /// Images for the radio, which has partitions and a bootloader of its own.
/// #[derive(Debug)]
/// enum RadioImage {}
///
/// impl ImageType for RadioImage {
///     const NAME: &'static str = "radio-image";
/// }
///
/// type Radio<A, D, S, R> = EmbassyBoot<A, D, S, R, RadioImage>;
/// ```
pub trait ImageType {
    /// The payload type; not empty.
    const NAME: &'static str;

    /// The payload type of artifacts with patches, for a module that takes them (feature `delta`). Two modules of one device need
    /// different ones.
    const PATCH_NAME: &'static str = "embassy-boot-image-delta";
}

/// `embassy-boot-image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbassyBootImage {}

impl ImageType for EmbassyBootImage {
    const NAME: &'static str = "embassy-boot-image";
}

/// The update module for images of embassy-boot: see the [module documentation](self).
///
/// `A`, `D` and `S` are the flash of the bootloader's partitions ACTIVE (only read), DFU and STATE, each with offset 0 at the
/// start of its partition. `BUFFER` is the number of bytes written and read at once, a multiple of 32; it is part of this
/// struct. All else is below 40 bytes beside the handles.
///
/// # Power loss and cancellation
///
/// Every method can be cut short at any point, by a loss of power or by dropping its future, and called again after
/// the next start: it finishes the job. Wherever the cut is, a complete image boots, but for the erases of STATE that
/// "Limits" in the module documentation names.
#[update_module(
    artifact_type = T::NAME,
    requires_reboot,
    supports_rollback,
    on(
        download = write_dfu,
        install = request_swap,
        reboot = restart,
        verify_reboot = check_swapped,
        commit = confirm,
        rollback = request_revert,
        rollback_reboot = restart_into_old,
        rollback_verify_reboot = check_reverted,
        failure | cleanup = discard,
    )
)]
pub struct EmbassyBoot<A, D, S, R, T = EmbassyBootImage, const BUFFER: usize = 256>
where
    A: NorFlash,
    D: NorFlash,
    S: NorFlash,
    R: Restart,
    T: ImageType,
{
    partitions: Partitions<A, D, S, BUFFER>,
    restart: R,
    image_type: PhantomData<fn() -> T>,
}

impl<A: NorFlash, D: NorFlash, S: NorFlash, R: Restart, T: ImageType, const BUFFER: usize> fmt::Debug
    for EmbassyBoot<A, D, S, R, T, BUFFER>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbassyBoot")
            .field("layout", &self.partitions.layout)
            .finish_non_exhaustive()
    }
}

impl<A: NorFlash, D: NorFlash, S: NorFlash, R: Restart, T: ImageType, const BUFFER: usize>
    EmbassyBoot<A, D, S, R, T, BUFFER>
{
    /// A module for these partitions.
    ///
    /// Does not compile with flash whose read or write unit does not divide 32 bytes, or with a `BUFFER` that is not a multiple
    /// of 32.
    ///
    /// # Errors
    ///
    /// [`LayoutError`]: embassy-boot cannot work with partitions of these lengths.
    pub fn new(config: FirmwareUpdaterConfig<D, S>, active: A, restart: R) -> Result<Self, LayoutError> {
        const {
            assert!(
                fits(A::READ_SIZE) && fits(D::READ_SIZE) && fits(S::READ_SIZE),
                "the flash must have a read unit of 1, 2, 4, 8, 16 or 32 bytes"
            );
            assert!(
                fits(D::WRITE_SIZE) && fits(S::WRITE_SIZE),
                "the flash must have a write unit of 1, 2, 4, 8, 16 or 32 bytes"
            );
            assert!(
                BUFFER > 0 && BUFFER.is_multiple_of(ALIGN),
                "BUFFER must be a multiple of 32"
            );
        }
        let page_len = A::ERASE_SIZE.max(D::ERASE_SIZE);
        let (dfu, state) = (config.dfu, config.state);
        let layout = Layout::new(
            page_len,
            active.capacity(),
            dfu.capacity(),
            state.capacity(),
            S::WRITE_SIZE,
        )?;
        Ok(EmbassyBoot {
            partitions: Partitions {
                layout,
                active,
                dfu,
                state,
                buffer: AlignedBuffer([0; BUFFER]),
            },
            restart,
            image_type: PhantomData,
        })
    }

    /// The longest image that can be installed, in bytes: ACTIVE less 96 for the record.
    pub fn max_image_len(&self) -> u32 {
        self.partitions.layout.record_offset()
    }

    /// Download: writes the payload's only file to DFU, verifies it by reading it back, and writes its record.
    ///
    /// The length is checked before anything is erased. Nothing is requested: a restart afterwards changes nothing. After a restart in the
    /// middle, what is in DFU is not fetched again, with the feature `resume`.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::NoFile`], [`Error::SecondFile`], [`Error::Empty`], [`Error::TooLarge`],
    /// [`Error::Payload`], [`Error::ErasesToZero`], [`Error::NotKept`] or [`Error::Flash`]. What is in DFU then is inert.
    pub async fn write_dfu(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        let mut len = 0;
        let done = {
            let mut whole = Whole;
            let mut receive = pin!(self.partitions.receive(payload, &mut len, &mut whole));
            poll_fn(|cx| poll_apart(receive.as_mut(), cx)).await
        };
        done.map_err(|stop| stop.error(len, self.max_image_len()))
    }

    /// Install: verifies DFU once more and requests a swap for the next boot.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::NotReceived`], [`Error::NotKept`] or [`Error::Flash`]. Unless it is one of
    /// the last two nothing was requested; [`discard`](EmbassyBoot::discard) withdraws in any case.
    pub fn request_swap(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::Install)
    }

    /// Reboot: restarts the device.
    ///
    /// # Errors
    ///
    /// None; a device that does not restart is found out by the states that follow.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.restart.restart().await;
        Ok(())
    }

    /// Verify_reboot: succeeds if the new image runs under test, so that it will be reverted if nobody confirms it, and both
    /// images are intact.
    ///
    /// # Errors
    ///
    /// [`Error::OldRuns`], [`Error::AlreadyConfirmed`], [`Error::Damaged`], [`Error::CannotGoBack`] or [`Error::Flash`].
    pub fn check_swapped(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::CheckSwapped)
    }

    /// Commit: confirms the running image, so that the bootloader keeps it. The old one stays in DFU.
    ///
    /// # Errors
    ///
    /// [`Error::OldRuns`], [`Error::CannotGoBack`], [`Error::NotKept`] or [`Error::Flash`].
    pub fn confirm(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::Confirm)
    }

    /// Rollback: sees to it that the next boot runs the old image.
    ///
    /// Under test: nothing to write, but the old image must be intact; if it is not, the new one is confirmed, because the
    /// bootloader would revert to a broken image. Confirmed (power was lost around the commit): requests the way back.
    /// Old image running: withdraws a request.
    ///
    /// # Errors
    ///
    /// [`Error::CannotGoBack`], [`Error::NotKept`] or [`Error::Flash`].
    pub fn request_revert(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::Revert)
    }

    /// Rollback_reboot: as [`request_revert`](EmbassyBoot::request_revert), should a boot since then have changed something, and
    /// restarts the device.
    ///
    /// # Errors
    ///
    /// As [`request_revert`](EmbassyBoot::request_revert); there is no restart then.
    pub async fn restart_into_old(&mut self) -> Result<(), Error> {
        self.request_revert().await?;
        self.restart().await
    }

    /// Rollback_verify_reboot: succeeds if the old image runs and no request waits.
    ///
    /// # Errors
    ///
    /// [`Error::NewRuns`], [`Error::OldRuns`] with [`OldRuns::Pending`], [`Error::CannotGoBack`] or [`Error::Flash`].
    pub fn check_reverted(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::CheckReverted)
    }

    /// Failure and cleanup: withdraws a request that no boot has answered. Leaves everything else as it is; an image in DFU
    /// without a request is inert.
    ///
    /// # Errors
    ///
    /// [`Error::NotKept`] or [`Error::Flash`].
    pub fn discard(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::Discard)
    }

    async fn perform(&mut self, op: Op) -> Result<(), Error> {
        let done = self.partitions.perform(op).await;
        done.map_err(|stop| stop.error(0, 0))
    }
}

const fn fits(unit: usize) -> bool {
    unit.is_power_of_two() && unit <= ALIGN
}
