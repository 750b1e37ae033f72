//! Why a callback of the module failed. Depends on nothing of this module; the texts have the codes 350 to 399.

use embedded_storage_async::nor_flash::NorFlashErrorKind;
use mender::text::{Describe, Text};
use mender::update_module::PayloadError;

use crate::cause::{Cause, causes, displayed, of_part, tell_flash, tell_too_long};
use crate::stop::errors;

causes! {
    CAUSES:
    NOT_RECEIVED_BY_BOOT = 350, "no complete image was received";
    NOT_REQUESTED = 351, "the new one was not requested";
    PENDING = 352, "no restart yet, or the bootloader refused the new one";
    REVERTED = 353, "the bootloader went back";
    CONNECTION = 354, "the download broke and could not be resumed";
    ARTIFACT = 355, "the artifact is malformed or damaged";
    NO_FILE = 356, "no file: put one app image into the artifact";
    SECOND_FILE = 357, "a second file: put one app image into an artifact";
    TOO_LARGE = 358, "fit into the slot: enlarge both slots";
    NO_IMAGE = 359, "no app image: make it with espflash save-image";
    NO_APP = 360, "no app descriptor: save the image without --merge";
    CHIP = 361, "image for another chip";
    PAGE = 362, "image for another size of MMU pages";
    SECURE_VERSION = 363, "secure version below the running image's";
    NO_HASH = 364, "no SHA-256 at the end of the image";
    SEGMENTS = 365, "a segment of the image cannot be";
    LENGTH = 366, "the image is cut off, or something follows it";
    CHECKSUM = 367, "the image's checksum is wrong";
    HASH = 368, "the image's SHA-256 is wrong";
    RUNNING_UNCONFIRMED = 369, "the running image is under test: confirm it, or restart";
    NOT_RECEIVED = 370, "the other slot holds no complete image for this firmware: deploy again";
    DAMAGED = 371, "the new image has changed: check flash and partitions";
    NOT_KEPT = 372, "does not keep what is written: check flash, partitions and encryption";
    OLD_RUNS = 373, "the old image runs";
    ALREADY_CONFIRMED = 374, "confirmed before its commit: let only the client confirm";
    NO_ROLLBACK = 375, "the bootloader was built without rollback: say Keeps";
    CANNOT_GO_BACK = 376, "cannot go back: the old image is lost";
    NEW_RUNS = 377, "the new image still runs after the rollback";
    NOT_SELECTED = 378, "otadata selects another slot";
    FLASH = 379, "flash of";
}

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// The slot that runs.
    Running,
    /// The slot that takes the new image.
    Other,
    /// The bootloader's choice.
    Otadata,
}

impl Partition {
    /// The other slot.
    pub(super) const fn opposite(self) -> Partition {
        match self {
            Partition::Running | Partition::Otadata => Partition::Other,
            Partition::Other => Partition::Running,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Partition::Running => "the running slot",
            Partition::Other => "the other slot",
            Partition::Otadata => "otadata",
        }
    }
}

/// What is wrong with an image, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// It does not begin as an image, or is shorter than any app.
    NoImage,
    /// It has no segment, more than 16, or one of a length that cannot be.
    Segments,
    /// It has no app descriptor: it is a merged image, or a bootloader.
    NoApp,
    /// It has no SHA-256 at its end.
    NoHash,
    /// It is for another chip than the running one.
    Chip,
    /// It was linked for another size of MMU pages than the running one.
    Page,
    /// Its secure version is below that of the running one: a bootloader with anti-rollback could refuse it.
    SecureVersion,
    /// The checksum over all segments is wrong.
    Checksum,
    /// The SHA-256 at its end is wrong.
    Hash,
    /// The file is shorter than the image, or longer, and what follows is no signature for secure boot.
    Length,
}

impl ImageFault {
    const fn cause(self) -> Cause {
        match self {
            ImageFault::NoImage => NO_IMAGE,
            ImageFault::Segments => SEGMENTS,
            ImageFault::NoApp => NO_APP,
            ImageFault::NoHash => NO_HASH,
            ImageFault::Chip => CHIP,
            ImageFault::Page => PAGE,
            ImageFault::SecureVersion => SECURE_VERSION,
            ImageFault::Checksum => CHECKSUM,
            ImageFault::Hash => HASH,
            ImageFault::Length => LENGTH,
        }
    }
}

impl Describe for ImageFault {
    fn describe(&self, out: &mut Text<'_>) {
        self.cause().tell(out);
    }
}

/// Why the old image runs although the new one should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRuns {
    /// No complete image was received, or it was withdrawn or damaged.
    NotReceived,
    /// The image is there, but nothing requests it.
    NotRequested,
    /// The request is complete: the device has not restarted, or the bootloader refused the image.
    Pending,
    /// The new image ran and was not confirmed.
    Reverted,
}

impl Describe for OldRuns {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            OldRuns::NotReceived => NOT_RECEIVED_BY_BOOT,
            OldRuns::NotRequested => NOT_REQUESTED,
            OldRuns::Pending => PENDING,
            OldRuns::Reverted => REVERTED,
        };
        cause.tell(out);
    }
}

errors! {
    /// Why a callback of [`EspOta`](super::EspOta) failed.
    pub enum Error {
        /// The payload ended early.
        Payload(error: PayloadError),
        /// The payload has no file.
        NoFile,
        /// The payload has more than one file.
        SecondFile,
        /// The file is longer than the room for an image. Nothing was erased.
        TooLarge {
            /// Bytes of the file.
            len: u64,
            /// Bytes there are: [`EspOta::max_image_len`](super::EspOta::max_image_len).
            room: u32,
        },
        /// The file is no image that the bootloader would start in the place of the running one.
        Image(fault: ImageFault),
        /// The running image is under test: the other slot must not be overwritten.
        RunningUnconfirmed,
        /// The other slot does not hold an image that was received completely by the firmware that runs.
        NotReceived,
        /// The new image is not the one that was received.
        Damaged,
        /// What was written does not read back.
        NotKept(part: Partition),
        /// The old image runs.
        OldRuns(why: OldRuns),
        /// The new image runs, but is confirmed already, although its commit is still to come.
        AlreadyConfirmed,
        /// [`Bootloader::Reverts`](super::Bootloader::Reverts) was said, but the bootloader has started the new image without a mark.
        NoRollback,
        /// The new image runs, and the old one is gone or damaged.
        CannotGoBack,
        /// The new image still runs after the rollback.
        NewRuns,
        /// The bootloader would start another slot than the one that is to stay.
        NotSelected,
        /// A partition's flash failed.
        Flash(part: Partition, kind: NorFlashErrorKind),
    }
}

impl Describe for Error {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            Error::Payload(PayloadError::Connection) => CONNECTION,
            Error::Payload(PayloadError::Artifact) => ARTIFACT,
            Error::NoFile => NO_FILE,
            Error::SecondFile => SECOND_FILE,
            Error::TooLarge { len, room } => {
                out.push("the image has ");
                tell_too_long(*len, *room, out);
                TOO_LARGE
            }
            Error::Image(fault) => fault.cause(),
            Error::RunningUnconfirmed => RUNNING_UNCONFIRMED,
            Error::NotReceived => NOT_RECEIVED,
            Error::Damaged => DAMAGED,
            Error::NotKept(part) => of_part(part.name(), NOT_KEPT, out),
            Error::OldRuns(why) => {
                OLD_RUNS.tell(out);
                out.push(": ");
                return why.describe(out);
            }
            Error::AlreadyConfirmed => ALREADY_CONFIRMED,
            Error::NoRollback => NO_ROLLBACK,
            Error::CannotGoBack => CANNOT_GO_BACK,
            Error::NewRuns => NEW_RUNS,
            Error::NotSelected => NOT_SELECTED,
            Error::Flash(part, kind) => return tell_flash(FLASH, part.name(), *kind, out),
        };
        cause.tell(out);
    }
}

displayed!(ImageFault, OldRuns, Error);

impl From<ImageFault> for Stop {
    fn from(fault: ImageFault) -> Stop {
        Stop::Image(fault)
    }
}
