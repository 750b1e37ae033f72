//! Why a callback of the module failed. Depends on nothing of this module; the texts have the codes 300 to 349.

use embedded_storage_async::nor_flash::NorFlashErrorKind;
use mender::text::{Describe, Text};
use mender::update_module::PayloadError;

use crate::cause::{causes, displayed, of_part, tell_flash, tell_too_long};
use crate::content::Refused;
#[cfg(feature = "delta")]
use crate::delta::Refusal;
use crate::stop::errors;

causes! {
    CAUSES:
    NOT_RECEIVED_BY_BOOT = 300, "DFU holds no complete image";
    NOT_REQUESTED = 301, "the swap was not requested";
    PENDING = 302, "no restart yet, or no embassy-boot there";
    REVERTED = 303, "the new one was reverted";
    CONNECTION = 304, "the download broke and could not be resumed";
    ARTIFACT = 305, "the artifact is malformed or damaged";
    NO_FILE = 306, "the payload has no file: put one raw image into the artifact";
    SECOND_FILE = 307, "the payload has a second file: put one image into an artifact";
    EMPTY = 308, "the image is empty: put a raw binary image into the artifact";
    TOO_LARGE = 309, "fit: shrink it, or send it as raw binary";
    RUNNING_UNCONFIRMED = 310, "the running image is under test or a swap is pending: confirm it, or restart";
    NOT_RECEIVED = 311, "DFU holds no complete image for this firmware: deploy again";
    DAMAGED = 312, "ACTIVE does not hold what was received: check flash and partitions";
    NOT_KEPT = 313, "does not keep what is written: check flash and partitions";
    OLD_RUNS = 314, "the old image runs";
    ALREADY_CONFIRMED = 315, "the new image is confirmed before its commit: let only the client confirm";
    CANNOT_GO_BACK = 316, "cannot go back: the old image in DFU is lost";
    NEW_RUNS = 317, "the new image still runs after the rollback";
    FLASH = 318, "flash of";
    ERASES_TO_ZERO = 319, "is 0x00 when erased: flash must erase to 0xff";
}

/// A partition of the bootloader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// From which the firmware runs.
    Active,
    /// That takes the new image.
    Dfu,
    /// That holds the bootloader's state.
    State,
}

impl Partition {
    const fn name(self) -> &'static str {
        match self {
            Partition::Active => "ACTIVE",
            Partition::Dfu => "DFU",
            Partition::State => "STATE",
        }
    }
}

/// Why the old image runs although the new one should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRuns {
    /// No complete image was received, or it was withdrawn or damaged.
    NotReceived,
    /// The image is there, but nothing requests it.
    NotRequested,
    /// The request is complete: the device has not restarted, or the bootloader ignores the request.
    Pending,
    /// The new image ran and was swapped back; or it was not requested, after an earlier one that was swapped back.
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
    /// Why a callback of [`EmbassyBoot`](super::EmbassyBoot) failed.
    pub enum Error {
        /// The payload ended early.
        Payload(error: PayloadError),
        /// The payload has no file.
        NoFile,
        /// The payload has more than one file.
        SecondFile,
        /// The file has no data.
        Empty,
        /// The file is longer than the room for an image. Nothing was erased.
        TooLarge {
            /// Bytes of the file.
            len: u64,
            /// Bytes there are: [`EmbassyBoot::max_image_len`](super::EmbassyBoot::max_image_len).
            room: u32,
        },
        /// The running image is under test, or a swap waits for the restart: DFU must not be overwritten.
        RunningUnconfirmed,
        /// DFU does not hold an image that was received completely by the firmware that runs.
        NotReceived,
        /// The new image in ACTIVE is not the one that was received.
        Damaged,
        /// What was written does not read back.
        NotKept(part: Partition),
        /// A partition is 0x00 when erased, where the module takes 0xff for that. Found out before anything of use was erased.
        ErasesToZero(part: Partition),
        /// The old image runs.
        OldRuns(why: OldRuns),
        /// The new image runs, but is confirmed already, although its commit is still to come.
        AlreadyConfirmed,
        /// The new image runs, and the old one in DFU is gone or damaged.
        CannotGoBack,
        /// The new image still runs after the rollback.
        NewRuns,
        /// A partition's flash failed.
        Flash(part: Partition, kind: NorFlashErrorKind),
    }
    with "delta" {
        /// The patch was refused.
        Patch(Refusal),
    }
}

impl From<Refused> for Stop {
    #[cfg(feature = "delta")]
    fn from(refusal: Refused) -> Stop {
        Stop::Patch(refusal)
    }

    #[cfg(not(feature = "delta"))]
    fn from(never: Refused) -> Stop {
        match never {}
    }
}

impl Describe for Error {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            Error::Payload(PayloadError::Connection) => CONNECTION,
            Error::Payload(PayloadError::Artifact) => ARTIFACT,
            Error::NoFile => NO_FILE,
            Error::SecondFile => SECOND_FILE,
            Error::Empty => EMPTY,
            Error::TooLarge { len, room } => {
                out.push("the image has ");
                tell_too_long(*len, *room, out);
                TOO_LARGE
            }
            #[cfg(feature = "delta")]
            Error::Patch(refusal) => return refusal.describe(out),
            Error::RunningUnconfirmed => RUNNING_UNCONFIRMED,
            Error::NotReceived => NOT_RECEIVED,
            Error::Damaged => DAMAGED,
            Error::NotKept(part) => of_part(part.name(), NOT_KEPT, out),
            Error::ErasesToZero(part) => of_part(part.name(), ERASES_TO_ZERO, out),
            Error::OldRuns(why) => {
                OLD_RUNS.tell(out);
                out.push(": ");
                return why.describe(out);
            }
            Error::AlreadyConfirmed => ALREADY_CONFIRMED,
            Error::CannotGoBack => CANNOT_GO_BACK,
            Error::NewRuns => NEW_RUNS,
            Error::Flash(part, kind) => return tell_flash(FLASH, part.name(), *kind, out),
        };
        cause.tell(out);
    }
}

displayed!(OldRuns, Error);
