// The way of the data: a method asks `flash` for an operation; `decide` says from facts which record or hash has to be looked at, or
// what otadata has to say; `flash` does so, and asks again. In order, each file depends on those before it:
//
// | file | job |
// |---|---|
// | error | why something failed: for users with numbers, inside in three bytes |
// | otadata | the bootloader's entries, and which one it follows |
// | layout | the lengths of the partitions |
// | image | what the bootloader demands of an app image |
// | decide | what runs, and the next step of an operation |
// | flash | the partitions and the buffer: the only place that waits for flash, beside the guard |
// | receive, resume | the download; after a restart |
// | guard | for bootloaders that do not go back by themselves |

//! `esp-ota-image`: firmware updates on chips of the ESP32 family, through ESP-IDF's bootloader and its two partitions for apps.
//!
//! Takes artifacts with one file: an app image, uncompressed, as `espflash save-image` and `esptool elf2image` write it (not
//! `--merge`d). The firmware may be of esp-hal or of anything else. Depends on [`mod@mender::update_module`], [`mod@mender::text`],
//! `embassy-futures`, `embedded-storage-async` and `sha2`. The facts about the bootloader are from the sources of ESP-IDF (`components/bootloader_support`);
//! each is named where it is used.
//!
//! ```
//! use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};
//! use mender_modules::esp_ota::{Bootloader, EspOta, LayoutError, Slot};
//! # fn software_reset() {}
//!
//! /// `ota_0` and `ota_1`, otadata, and the subtype of the partition that runs: esp-bootloader-esp-idf's
//! /// `PartitionTable::booted_partition()` has it from the MMU.
//! fn module(
//!     slots: [impl NorFlash; 2],
//!     otadata: impl MultiwriteNorFlash,
//!     subtype: u8,
//! ) -> Result<impl mender::UpdateModule, LayoutError> {
//!     let running = Slot::of_subtype(subtype).expect("there is no factory app");
//!     EspOta::<_, _, _>::new(slots, otadata, running, Bootloader::Keeps, || software_reset())
//! }
//! ```
//!
//! esp-storage has one blocking driver for the whole chip: `mender::adapters::flash::SharedFlash` makes partitions of it.
//!
//! ```console
//! $ espflash save-image --chip esp32c3 ELF app.bin
//! $ mender-artifact write module-image --type esp-ota-image --file app.bin --artifact-name release-2 \
//!     --compatible-devices esp32c3-devkit --compression none --output-path release-2.mender
//! ```
//!
//! For artifacts of another type, such as `rootfs-image`, give a type of your own that says it: see [`ImageType`].
//!
//! # What the bootloader does
//!
//! otadata has two entries, each in a sector of its own: a number, a state, and a checksum of the number only. Of the valid ones, that
//! is with a right checksum and neither "invalid" nor "aborted", the one with the higher number counts; odd is `ota_0`, even `ota_1`.
//! If nothing is valid the bootloader starts `ota_0`. It checks an image at each start, by its checksum and its SHA-256, and starts
//! the other one instead of a bad one, without a word about it in otadata.
//!
//! What it does with an image that nobody has confirmed is decided when the bootloader is built
//! (`CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE`), and cannot be read from flash, so it must be said:
//!
//! | [`Bootloader`] | at the first start | at the next one |
//! |---|---|---|
//! | [`Reverts`](Bootloader::Reverts): rollback enabled | "new" becomes "pending verify" | that becomes "aborted", and the old image starts: after *any* reset |
//! | [`Keeps`](Bootloader::Keeps): disabled, as in **the bootloaders that espflash brings** | nothing | nothing: it starts for ever |
//!
//! If `Reverts` was said and is not so, the first update fails with [`Error::NoRollback`], and the old image comes back.
//!
//! # What happens in flash
//!
//! | state | method | flash |
//! |---|---|---|
//! | download | [`write_slot`](EspOta::write_slot) | otadata: an entry for the running slot, if it has none that stays; other slot: the image, with `resume` also marks of how far it has come; then the *record* |
//! | install | [`request`](EspOta::request) | otadata: an entry for the other slot, "new", with the highest number |
//! | (boot) | | see above |
//! | commit | [`confirm`](EspOta::confirm) | otadata: the same entry, "valid" |
//! | rollback | [`request_old`](EspOta::request_old) | otadata: the new image's entry is erased |
//! | failure, cleanup | [`discard`](EspOta::discard) | nothing, unless an image is still requested: its entry is erased |
//!
//! The record is at the start of a slot's last sector, so an image has 4096 bytes less. It says how long the new image is, its
//! SHA-256, and the SHA-256 of the whole other slot: of what the image replaces.
//!
//! # A restart in the middle of a download
//!
//! With the feature `resume`, what is in the other slot is not fetched again: the module reads it back, the client verifies it with what
//! comes, and asks the host for the rest. So that it knows where to go on, the module keeps the file's SHA-256 behind the record, and
//! writes a *mark* there, one word, for each sector of the image that is complete (for two, of images above 3.8 MiB). No sector is erased
//! more often in a download than without. After a loss of power at most one of these and what was not written yet come again. Of the
//! predecessor, which is in the other slot since the last update, its last sector is fetched only.
//!
//! Marks are erased again before the download goes on: their words may have been torn. If power is lost a second time between that erase
//! and the write behind it, all comes again. What is no image any more, or one that has decayed since it was received as a whole, begins
//! anew. If other bytes in flash are not the file's, its checksum says so at the end: the deployment fails, and the next one begins anew.
//! So do artifacts that are compressed.
//!
//! # How otadata is changed
//!
//! An entry is erased only after its checksum was made zero, and written with the checksum last. So it counts from one write of one
//! word to another one, and no power cut can leave it with another state. (ESP-IDF's own way, one write of 32 bytes after an erase,
//! can.) That takes flash whose words can be written more than once, which the trait [`MultiwriteNorFlash`] says.
//!
//! # Which image runs?
//!
//! The caller says which *slot* runs, as the chip has it. Whether that is the old image or the new one, the slots say:
//!
//! 1. *The other slot holds a record and its image, and the running slot is what the record says is replaced: the old image runs.*
//! 2. *The running slot holds a record, and the other slot is what that says was replaced: the new image runs*, and the old one is whole.
//!    A slot's record is among what is hashed, so not both can be.
//! 3. Neither: nothing complete was received, *the old image runs*; unless the running slot's entry says that it is under test: then
//!    the old image is damaged, and there is no way back.
//!
//! What remains for otadata to say is what the *next* boot starts:
//!
//! | what happened | runs | its entry | the other one's | rule | next boot |
//! |---|---|---|---|---|---|
//! | received | old | valid | lower or none | 1 | old |
//! | requested | old | valid | new | 1 | new |
//! | under test | new | pending; `Keeps`: new | valid | 2 | old; `Keeps`: new |
//! | confirmed | new | valid | valid | 2 | new |
//! | power lost while it was confirmed | old | valid | none | 1 | old |
//! | the bootloader went back | old | valid | aborted | 1 | old |
//! | rollback, not restarted yet | new | none | valid | 2 | old |
//! | the bootloader refused the image | old | valid | pending; `Keeps`: new | 3 | old |
//!
//! If the old image is damaged a rollback keeps the new one and fails: the artifact name gets Mender's `_INCONSISTENT`, and the device
//! stays alive.
//!
//! # Limits
//!
//! **A bootloader without rollback** never gives up a new image by itself. Software that comes as far as its client goes back, if the
//! server is not reached or refuses the commit. Software that crashes or hangs before that stays, and nothing is reported.
//! [`boot_guard`], first in `main`, with a watchdog and a panic handler that restarts, is the help against it: after five starts
//! without a confirmation it goes back. It is code of the new image, so an image that does not come even so far is beyond help; a
//! bootloader built with rollback is the better choice. There it is the other way round: a brown-out or deep sleep between the restart
//! and the commit is a failed update.
//!
//! Two slots, `ota_0` and `ota_1`; no factory app (the bootloader would start it in the place of an old image), no third slot. No flash
//! encryption, which always covers apps and otadata: plain writes read as noise there. Such drivers do not compile with the module.
//!
//! Signatures of secure boot travel with the image and are not checked: the bootloader refuses an image with a wrong one, and the update
//! fails. Let the client check the artifact's signature. A secure version below the running image's is refused, as a bootloader with
//! anti-rollback may do; such a bootloader makes a confirmed image's secure version the least that it takes, after which an older image
//! cannot come back.
//!
//! A bootloader with rollback writes otadata in its own way: a power cut within the first start of a new image can leave a state that
//! nobody knows, and the bootloader takes it for a valid one. The new image then runs untested; [`check_runs`](EspOta::check_runs) fails
//! with [`Error::AlreadyConfirmed`], and the rollback that follows brings the old one back, if it comes so far. The same happens to
//! firmware that marks itself valid, as ESP-IDF's and esp-hal's examples do: let only the client confirm.
//!
//! An erase of an entry, cut so that it has set of the checksum just the bits that are in it and no other one, brings the entry back.
//!
//! Serial flashing of another app needs `espflash flash --erase-parts otadata`, or otadata goes on selecting what it did. Do not use
//! esp-bootloader-esp-idf's `Ota` beside the module: it takes the entry of an aborted image for the current one.

mod decide;
mod error;
mod flash;
mod guard;
mod image;
mod layout;
mod otadata;
mod receive;
#[cfg(feature = "resume")]
mod resume;

pub use decide::Bootloader;
pub(crate) use error::CAUSES;
pub use error::{Error, ImageFault, OldRuns, Partition};
pub use guard::boot_guard;
pub use layout::LayoutError;
pub use otadata::{Entry, Slot, State};

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::pin;

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};
use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};

use crate::Restart;
use crate::apart::poll_apart;
use decide::Op;
use flash::{Buffer, Partitions, UNIT};
use image::START_LEN;
use otadata::SECTOR;

/// The payload type of the artifacts that an [`EspOta`] takes.
///
/// ```
/// use mender_modules::esp_ota::{EspOta, ImageType};
///
/// /// Artifacts that were made for mender-mcu-client.
/// #[derive(Debug)]
/// enum RootfsImage {}
///
/// impl ImageType for RootfsImage {
///     const NAME: &'static str = "rootfs-image";
/// }
///
/// type Firmware<S, O, R> = EspOta<S, O, R, RootfsImage>;
/// ```
pub trait ImageType {
    /// The payload type; not empty.
    const NAME: &'static str;
}

/// `esp-ota-image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EspOtaImage {}

impl ImageType for EspOtaImage {
    const NAME: &'static str = "esp-ota-image";
}

/// The update module for app images of ESP-IDF's bootloader: see the [module documentation](self).
///
/// `S` is the flash of a slot, `O` that of otadata, each with offset 0 at the start of its partition. `BUFFER` is the number of bytes
/// written and read at once, a multiple of 4 and at least 216; it is part of this struct.
///
/// # Power loss and cancellation
///
/// Every method can be cut short at any point, by a loss of power or by dropping its future, and called again after the next start: it
/// finishes the job. Wherever the cut is, a complete image boots.
pub struct EspOta<S, O, R, T = EspOtaImage, const BUFFER: usize = 256>
where
    S: NorFlash,
    O: MultiwriteNorFlash,
    R: Restart,
    T: ImageType,
{
    partitions: Partitions<S, O, BUFFER>,
    restart: R,
    image_type: PhantomData<fn() -> T>,
}

/// By hand: seven states are one future here, which is shared. With a method for each it takes half a kilobyte of flash more.
impl<S: NorFlash, O: MultiwriteNorFlash, R: Restart, T: ImageType, const BUFFER: usize> UpdateModule
    for EspOta<S, O, R, T, BUFFER>
{
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: T::NAME,
        other_types: &[],
        requires_reboot: true,
        supports_rollback: true,
        states: States::NONE
            .with(CallbackState::Install)
            .with(CallbackState::Reboot)
            .with(CallbackState::VerifyReboot)
            .with(CallbackState::Commit)
            .with(CallbackState::Cleanup)
            .with(CallbackState::Rollback)
            .with(CallbackState::RollbackReboot)
            .with(CallbackState::RollbackVerifyReboot)
            .with(CallbackState::Failure),
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.write_slot(payload).await.map_err(failure)
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        let (op, restarts) = match state {
            CallbackState::Install => (Some(Op::Install), false),
            CallbackState::Reboot => (None, true),
            CallbackState::VerifyReboot => (Some(Op::CheckRuns), false),
            CallbackState::Commit => (Some(Op::Confirm), false),
            CallbackState::Rollback => (Some(Op::GoBack), false),
            CallbackState::RollbackReboot => (Some(Op::GoBack), true),
            CallbackState::RollbackVerifyReboot => (Some(Op::CheckWentBack), false),
            CallbackState::Failure | CallbackState::Cleanup => (Some(Op::Discard), false),
        };
        if let Some(op) = op {
            let done = {
                let mut perform = pin!(self.partitions.perform(op));
                poll_fn(|cx| poll_apart(perform.as_mut(), cx)).await
            };
            done.map_err(|stop| failure(stop.error(0, 0)))?;
        }
        if restarts {
            self.restart.restart().await;
        }
        Ok(())
    }
}

#[inline(never)]
fn failure(error: Error) -> Failure {
    Failure::of(&error)
}

impl<S: NorFlash, O: MultiwriteNorFlash, R: Restart, T: ImageType, const BUFFER: usize> fmt::Debug
    for EspOta<S, O, R, T, BUFFER>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EspOta")
            .field("running", &self.partitions.running)
            .field("bootloader", &self.partitions.bootloader)
            .finish_non_exhaustive()
    }
}

impl<S: NorFlash, O: MultiwriteNorFlash, R: Restart, T: ImageType, const BUFFER: usize> EspOta<S, O, R, T, BUFFER> {
    /// A module for these partitions: `ota_0` and `ota_1`, otadata, the slot that runs, and what the bootloader does.
    ///
    /// `running` must be what the chip says, not what otadata says: a bootloader that finds an image damaged starts the other one and
    /// leaves otadata alone.
    ///
    /// Does not compile with flash whose read or write unit does not divide 4 bytes, or whose erase unit does not divide 4096: so it is
    /// with encrypted partitions. Nor with a `BUFFER` that is no multiple of 4, or below 216.
    ///
    /// # Errors
    ///
    /// [`LayoutError`]: the bootloader cannot work with partitions of these lengths, or there is no room for a record.
    pub fn new(
        slots: [S; 2],
        otadata: O,
        running: Slot,
        bootloader: Bootloader,
        restart: R,
    ) -> Result<Self, LayoutError> {
        const {
            assert!(
                fits(S::READ_SIZE, UNIT) && fits(O::READ_SIZE, UNIT),
                "the flash must have a read unit of 1, 2 or 4 bytes"
            );
            assert!(
                fits(S::WRITE_SIZE, UNIT) && fits(O::WRITE_SIZE, UNIT),
                "the flash must have a write unit of 1, 2 or 4 bytes: partitions must not be encrypted"
            );
            assert!(
                fits(S::ERASE_SIZE, SECTOR) && fits(O::ERASE_SIZE, SECTOR),
                "the flash must have an erase unit that divides 4096 bytes"
            );
            assert!(
                BUFFER >= START_LEN && BUFFER.is_multiple_of(UNIT as usize),
                "BUFFER must be a multiple of 4, and at least 216"
            );
        }
        let [ota_0, ota_1] = slots;
        let lens = [layout::slot_len(ota_0.capacity())?, layout::slot_len(ota_1.capacity())?];
        let len = otadata.capacity();
        if !len.is_multiple_of(SECTOR as usize) {
            return Err(LayoutError::PartOfSector);
        }
        if len < 2 * SECTOR as usize {
            return Err(LayoutError::OtadataTooShort);
        }
        Ok(EspOta {
            partitions: Partitions {
                ota_0,
                ota_1,
                otadata,
                running,
                bootloader,
                lens,
                buffer: Buffer([0; BUFFER]),
            },
            restart,
            image_type: PhantomData,
        })
    }

    /// The longest image that can be installed, in bytes: the other slot less a sector for the record.
    pub fn max_image_len(&self) -> u32 {
        self.partitions.room(Partition::Other)
    }

    /// Download: writes the payload's only file to the other slot, checks it as the bootloader will, and writes its record.
    ///
    /// The length, and all that the start of the file says, is checked before anything is erased. Nothing is requested: a restart
    /// afterwards starts the running image. otadata is written only where it does not see to that yet. After a restart in the middle, what is
    /// in the other slot is not fetched again, with the feature `resume`.
    ///
    /// # Errors
    ///
    /// [`Error::NoFile`], [`Error::SecondFile`], [`Error::TooLarge`], [`Error::Image`], [`Error::RunningUnconfirmed`],
    /// [`Error::Payload`], [`Error::NotKept`] or [`Error::Flash`]. What is in the other slot then is inert.
    pub async fn write_slot(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        let mut len = 0;
        let done = {
            let mut receive = pin!(self.partitions.receive(payload, &mut len));
            poll_fn(|cx| poll_apart(receive.as_mut(), cx)).await
        };
        done.map_err(|stop| stop.error(len, self.max_image_len()))
    }

    /// Install: verifies the other slot once more and requests it for the next boot.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::NotReceived`], [`Error::NotKept`] or [`Error::Flash`]. Unless it is one of the last two
    /// nothing was requested; [`discard`](EspOta::discard) withdraws in any case.
    pub fn request(&mut self) -> impl Future<Output = Result<(), Error>> {
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

    /// Verify_reboot: succeeds if the new image runs under test, and both images are whole.
    ///
    /// # Errors
    ///
    /// [`Error::OldRuns`], [`Error::AlreadyConfirmed`], [`Error::NoRollback`], [`Error::Damaged`], [`Error::CannotGoBack`],
    /// [`Error::NotSelected`] or [`Error::Flash`].
    pub fn check_runs(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::CheckRuns)
    }

    /// Commit: confirms the running image, so that the bootloader keeps it. The old one stays in the other slot.
    ///
    /// A power cut within it makes the next boot start the old image: the update has then failed.
    ///
    /// # Errors
    ///
    /// [`Error::OldRuns`], [`Error::CannotGoBack`], [`Error::NotSelected`], [`Error::NotKept`] or [`Error::Flash`].
    pub fn confirm(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::Confirm)
    }

    /// Rollback: sees to it that the next boot starts the old image.
    ///
    /// New image running: withdraws its entry, confirmed or not. If the old image is not whole, the new one is confirmed instead,
    /// because the bootloader would start a broken image. Old image running: withdraws a request.
    ///
    /// # Errors
    ///
    /// [`Error::CannotGoBack`], [`Error::NotKept`] or [`Error::Flash`].
    pub fn request_old(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::GoBack)
    }

    /// Rollback_reboot: as [`request_old`](EspOta::request_old), should a boot since then have changed something, and restarts the
    /// device.
    ///
    /// # Errors
    ///
    /// As [`request_old`](EspOta::request_old); there is no restart then.
    pub async fn restart_into_old(&mut self) -> Result<(), Error> {
        self.request_old().await?;
        self.restart().await
    }

    /// Rollback_verify_reboot: succeeds if the old image runs and is the one that otadata selects.
    ///
    /// # Errors
    ///
    /// [`Error::NewRuns`], [`Error::NotSelected`], [`Error::CannotGoBack`] or [`Error::Flash`].
    pub fn check_went_back(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::CheckWentBack)
    }

    /// Failure and cleanup: withdraws a request that no boot has answered. Leaves everything else as it is; an image in the other slot
    /// without a request is inert.
    ///
    /// # Errors
    ///
    /// [`Error::NotKept`] or [`Error::Flash`].
    pub fn discard(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.perform(Op::Discard)
    }

    /// Both entries of otadata.
    ///
    /// # Errors
    ///
    /// [`Error::Flash`].
    pub async fn entries(&mut self) -> Result<[Entry; 2], Error> {
        let read = self.partitions.entries().await;
        read.map(|entries| entries.0).map_err(|stop| stop.error(0, 0))
    }

    async fn perform(&mut self, op: Op) -> Result<(), Error> {
        let done = self.partitions.perform(op).await;
        done.map_err(|stop| stop.error(0, 0))
    }
}

const fn fits(unit: usize, whole: u32) -> bool {
    unit != 0 && (whole as usize).is_multiple_of(unit)
}
