//! Why a callback of the module failed. Depends on slots and versions; the texts have the codes 250 to 299.

use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};
use mender::text::{Describe, Text};
use mender::update_module::PayloadError;

use super::slot::Slot;
use super::version::Version;
use crate::cause::{Cause, causes, displayed, tell_kind, tell_too_long};
use crate::content::Refused;
#[cfg(feature = "delta")]
use crate::delta::Refusal;

causes! {
    CAUSES:
    NOT_AN_IMAGE = 250, "not an MCUboot image: sign it with imgtool";
    HEADER_LEN = 251, "the image header states a length below 32";
    TOO_LARGE = 252, "fit: sign without --pad, or shrink the image";
    TRUNCATED = 253, "the image is cut short: sign and upload it again";
    ENCODED = 254, "encrypted or compressed images are not supported";
    NOT_BOOTABLE = 255, "the image is flagged as not bootable";
    LOADS_TO_RAM = 256, "the image is flagged to run from RAM: sign it without --load-addr";
    TLV = 257, "the image's TLVs are malformed: sign it again";
    NO_HASH = 258, "the image has no hash TLV: sign it with imgtool";
    WRONG_HASH = 259, "the image's hash is wrong";
    WRONG_ADDRESS = 260, "the image is linked for";
    SHARES_TRAILER = 261, "the image shares a sector with the trailer";
    NOT_CONFIRMED = 262, "the image is not confirmed, the bootloader would erase it";
    NOT_REQUESTED = 263, "the swap was not requested";
    PENDING = 264, "no restart yet, or the bootloader ignores the request";
    REFUSED = 265, "the bootloader refused the new one; check its signature";
    ERASED = 266, "the bootloader erased the new one: refused, or not confirmed in time";
    REVERTED = 267, "the new one was reverted";
    UNSETTLED = 268, "the way back is not settled";
    NOT_SWAPPED = 269, "the slots were not swapped";
    CONNECTION = 270, "the download broke and could not be resumed";
    ARTIFACT = 271, "the artifact is malformed or damaged";
    NO_FILE = 272, "the payload has no file: put one signed image into the artifact";
    SECOND_FILE = 273, "the payload has a second file: put one image into an artifact";
    RUNNING_UNCONFIRMED = 274, "the running image is under test: confirm it, or restart to revert it";
    DOWNGRADE = 275, "is refused";
    NOT_NEWER = 276, "it would never run";
    SAME_IMAGE = 277, "this very image runs already";
    NOT_RECEIVED = 278, "slot 1 holds no complete image of this module: deploy again";
    DAMAGED = 279, "slot 1 changed since the download";
    NOT_KEPT = 280, "does not keep what is written: check flash and layout";
    OLD_RUNS = 281, "the old image runs";
    ALREADY_CONFIRMED = 282, "the new image is confirmed before its commit: let only the client confirm";
    UNCONFIRMABLE = 283, "the trailer of the running image is damaged: it cannot be confirmed";
    CANNOT_GO_BACK = 284, "cannot go back, the old image is lost";
    NO_WAY_BACK = 285, "cannot go back: the bootloader overwrites the old image";
    NEW_RUNS = 286, "the new image still runs after the rollback";
    FLASH = 287, "flash of slot";
    ERASES_TO_ZERO = 288, "is 0x00 when erased: flash must erase to 0xff";
    HASH_NOT_SUPPORTED = 289, "the image's kind of hash is not supported: see the feature sha512";
}

/// What is wrong with an image: in the file that came, or in slot 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// It does not start with MCUboot's magic.
    NotAnImage,
    /// The header states a header length below 32 bytes.
    HeaderLen,
    /// Header, body and TLVs, or the file as a whole, do not fit beside the trailer.
    TooLarge {
        /// Bytes needed.
        len: u64,
        /// Bytes there are: [`Layout::max_image_len`](super::Layout::max_image_len).
        room: u32,
    },
    /// The file, or the room in the slot, is shorter than the image that header and TLVs announce.
    Truncated,
    /// The image is encrypted or compressed. The module cannot check such an image.
    Encoded,
    /// The image is flagged as not bootable.
    NotBootable,
    /// The image is flagged to be loaded to RAM (imgtool's `--load-addr`). It is linked for there, and in none of the modes does
    /// the bootloader load it.
    LoadsToRam,
    /// The TLVs contradict the header or each other.
    Tlv,
    /// The image has no hash TLV.
    NoHash,
    /// The image states no hash but one that the module cannot reckon (SHA-384, SHA-512: see the feature `sha512`), or none
    /// because its signature is a pure one, of the image itself.
    HashNotSupported,
    /// The hash of the image is not the one in its TLV.
    WrongHash,
    /// The image is linked for another place in flash than the slot that it would run from.
    WrongAddress {
        /// The address in its header.
        linked: u32,
        /// Address of the slot.
        slot: u32,
    },
    /// The image reaches into the sector with the trailer, which therefore cannot be erased to write another request.
    SharesTrailer,
    /// Direct-xip: the slot has no trailer that says the image is confirmed, so the bootloader would erase it.
    NotConfirmed,
}

impl Describe for ImageFault {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            ImageFault::NotAnImage => NOT_AN_IMAGE,
            ImageFault::HeaderLen => HEADER_LEN,
            ImageFault::TooLarge { len, room } => {
                tell_too_long(*len, *room, out);
                TOO_LARGE
            }
            ImageFault::Truncated => TRUNCATED,
            ImageFault::Encoded => ENCODED,
            ImageFault::NotBootable => NOT_BOOTABLE,
            ImageFault::LoadsToRam => LOADS_TO_RAM,
            ImageFault::Tlv => TLV,
            ImageFault::NoHash => NO_HASH,
            ImageFault::HashNotSupported => HASH_NOT_SUPPORTED,
            ImageFault::WrongHash => WRONG_HASH,
            ImageFault::WrongAddress { linked, slot } => {
                WRONG_ADDRESS.tell(out);
                hexadecimal(*linked, out);
                out.push(", the slot is at");
                hexadecimal(*slot, out);
                out.push(": use the other build");
                return;
            }
            ImageFault::SharesTrailer => SHARES_TRAILER,
            ImageFault::NotConfirmed => NOT_CONFIRMED,
        };
        cause.tell(out);
    }
}

/// Appends ` 0x` and the digits of a number, without leading zeros.
fn hexadecimal(number: u32, out: &mut Text<'_>) {
    out.push(" 0x");
    let mut shift = (u32::BITS - 1).saturating_sub(number.leading_zeros()) & !3;
    loop {
        let digit = (number >> shift) as usize & 0xf;
        out.push("0123456789abcdef".get(digit..=digit).unwrap_or(""));
        if shift == 0 {
            return;
        }
        shift -= 4;
    }
}

impl core::error::Error for ImageFault {}

/// Why the old image runs although the new one should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRuns {
    /// The request was never complete.
    NotRequested,
    /// The request is complete: the device has not restarted, or the bootloader ignores the request.
    Pending,
    /// The bootloader refused the new image (signature, dependency, damage) and erased it, or the module withdrew it.
    Refused,
    /// Direct-xip: the bootloader erased the new image, because it refused it or because it was not confirmed in time.
    Erased,
    /// The new image ran and was swapped back.
    Reverted,
    /// Slot 0 shows no trace of a test swap.
    NotSwapped,
    /// The new image was swapped back, but power was lost on the way so that the bootloader would swap again.
    Unsettled,
}

impl Describe for OldRuns {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            OldRuns::NotRequested => NOT_REQUESTED,
            OldRuns::Pending => PENDING,
            OldRuns::Refused => REFUSED,
            OldRuns::Erased => ERASED,
            OldRuns::Reverted => REVERTED,
            OldRuns::Unsettled => UNSETTLED,
            OldRuns::NotSwapped => NOT_SWAPPED,
        };
        cause.tell(out);
    }
}

/// The same as [`Error`], in three bytes: numbers and the kind of a driver's error are kept beside it, and put in at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Payload(PayloadError),
    NoFile,
    SecondFile,
    Image(Fault),
    #[cfg(feature = "delta")]
    Patch(Refusal),
    RunningUnconfirmed,
    Downgrade,
    NotNewer,
    SameImage,
    NotReceived,
    Damaged(Fault),
    NotKept(Slot),
    ErasesToZero(Slot),
    OldRuns(OldRuns),
    AlreadyConfirmed,
    Unconfirmable,
    CannotGoBack(Fault),
    NoWayBack,
    NewRuns,
    Flash(Slot),
}

impl From<PayloadError> for Stop {
    fn from(error: PayloadError) -> Stop {
        Stop::Payload(error)
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

/// The same as [`ImageFault`], without the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotAnImage,
    HeaderLen,
    TooLarge,
    Truncated,
    Encoded,
    NotBootable,
    LoadsToRam,
    Tlv,
    NoHash,
    HashNotSupported,
    WrongHash,
    WrongAddress,
    SharesTrailer,
    NotConfirmed,
}

/// The numbers of the last fault that has any, and the kind of the last error of a driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers([u32; 4], NorFlashErrorKind);

impl Numbers {
    pub(super) const NONE: Numbers = Numbers([0; 4], NorFlashErrorKind::Other);

    /// For [`Stop::Flash`].
    pub(super) fn flash(&mut self, slot: Slot, error: &impl NorFlashError) -> Stop {
        self.1 = error.kind();
        Stop::Flash(slot)
    }

    /// For [`Fault::TooLarge`]: a length, of 64 bits in two parts, and the room.
    pub(super) fn too_large(&mut self, (low, high): (u32, u32), room: u32) -> Fault {
        self.0 = [low, high, room, 0];
        Fault::TooLarge
    }

    /// For [`Fault::WrongAddress`].
    pub(super) fn wrong_address(&mut self, linked: u32, slot: u32) -> Fault {
        self.0 = [linked, slot, 0, 0];
        Fault::WrongAddress
    }

    /// For [`Stop::Downgrade`] and [`Stop::NotNewer`].
    pub(super) fn versions(&mut self, running: Version, offered: Version) {
        self.0 = [running.word(), running.build, offered.word(), offered.build];
    }

    /// A fault with its numbers.
    pub(super) fn fault(&self, fault: Fault) -> ImageFault {
        let [first, second, third, _] = self.0;
        match fault {
            Fault::NotAnImage => ImageFault::NotAnImage,
            Fault::HeaderLen => ImageFault::HeaderLen,
            Fault::TooLarge => ImageFault::TooLarge {
                len: u64::from(first) | u64::from(second) << 32,
                room: third,
            },
            Fault::Truncated => ImageFault::Truncated,
            Fault::Encoded => ImageFault::Encoded,
            Fault::NotBootable => ImageFault::NotBootable,
            Fault::LoadsToRam => ImageFault::LoadsToRam,
            Fault::Tlv => ImageFault::Tlv,
            Fault::NoHash => ImageFault::NoHash,
            Fault::HashNotSupported => ImageFault::HashNotSupported,
            Fault::WrongHash => ImageFault::WrongHash,
            Fault::WrongAddress => ImageFault::WrongAddress {
                linked: first,
                slot: second,
            },
            Fault::SharesTrailer => ImageFault::SharesTrailer,
            Fault::NotConfirmed => ImageFault::NotConfirmed,
        }
    }

    /// The public error.
    pub(super) fn error(&self, stop: Stop) -> Error {
        let [running, running_build, offered, offered_build] = self.0;
        let (running, offered) = (
            Version::new(running, running_build),
            Version::new(offered, offered_build),
        );
        match stop {
            Stop::Payload(error) => Error::Payload(error),
            Stop::NoFile => Error::NoFile,
            Stop::SecondFile => Error::SecondFile,
            Stop::Image(fault) => Error::Image(self.fault(fault)),
            #[cfg(feature = "delta")]
            Stop::Patch(refusal) => Error::Patch(refusal),
            Stop::RunningUnconfirmed => Error::RunningUnconfirmed,
            Stop::Downgrade => Error::Downgrade { running, offered },
            Stop::NotNewer => Error::NotNewer { running, offered },
            Stop::SameImage => Error::SameImage,
            Stop::NotReceived => Error::NotReceived,
            Stop::Damaged(fault) => Error::Damaged(self.fault(fault)),
            Stop::NotKept(slot) => Error::NotKept { slot: slot.number() },
            Stop::ErasesToZero(slot) => Error::ErasesToZero { slot: slot.number() },
            Stop::OldRuns(why) => Error::OldRuns(why),
            Stop::AlreadyConfirmed => Error::AlreadyConfirmed,
            Stop::Unconfirmable => Error::Unconfirmable,
            Stop::CannotGoBack(fault) => Error::CannotGoBack(self.fault(fault)),
            Stop::NoWayBack => Error::NoWayBack,
            Stop::NewRuns => Error::NewRuns,
            Stop::Flash(slot) => Error::Flash {
                slot: slot.number(),
                kind: self.1,
            },
        }
    }
}

/// Why a callback of [`ZephyrImage`](super::ZephyrImage) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The payload ended early.
    Payload(PayloadError),
    /// The payload has no file.
    NoFile,
    /// The payload has more than one file.
    SecondFile,
    /// The file was refused.
    Image(ImageFault),
    /// The patch was refused.
    #[cfg(feature = "delta")]
    Patch(Refusal),
    /// The running image is under test: slot 1 holds the only image to go back to and must not be overwritten.
    RunningUnconfirmed,
    /// The image is older than the running one, and downgrades are refused.
    Downgrade {
        /// Version of the running image.
        running: Version,
        /// Version of the image that came.
        offered: Version,
    },
    /// Direct-xip: the image is not newer than the running one, so the bootloader would never choose it.
    NotNewer {
        /// Version of the running image.
        running: Version,
        /// Version of the image that came.
        offered: Version,
    },
    /// The image is, byte for byte, the one that runs, and such an update is refused.
    SameImage,
    /// Slot 1 does not hold an image that was received completely.
    NotReceived,
    /// The image in slot 1 is not the one that was received, or damaged.
    Damaged(ImageFault),
    /// What was written to slot 0 or 1 does not read back.
    NotKept {
        /// The slot.
        slot: u8,
    },
    /// The flash of slot 0 or 1 is 0x00 when erased, where the module takes 0xff for that. Found out before anything of use
    /// was erased.
    ErasesToZero {
        /// The slot.
        slot: u8,
    },
    /// The old image runs.
    OldRuns(OldRuns),
    /// The new image runs, but is confirmed already, although its commit is still to come.
    AlreadyConfirmed,
    /// The image that runs cannot be confirmed: its trailer was damaged by a power cut (so it does not revert either), or, in
    /// direct-xip, it has none.
    Unconfirmable,
    /// The new image runs, and the old one in slot 1 is gone or damaged.
    CannotGoBack(ImageFault),
    /// Overwrite-only: there is no old image to go back to.
    NoWayBack,
    /// The new image still runs after the rollback.
    NewRuns,
    /// The flash of slot 0 or 1 failed.
    Flash {
        /// The slot.
        slot: u8,
        /// What its driver's error is, as far as drivers of all chips say the same.
        kind: NorFlashErrorKind,
    },
}

impl Describe for Error {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            Error::Payload(PayloadError::Connection) => CONNECTION,
            Error::Payload(PayloadError::Artifact) => ARTIFACT,
            Error::NoFile => NO_FILE,
            Error::SecondFile => SECOND_FILE,
            Error::Image(fault) => return fault.describe(out),
            #[cfg(feature = "delta")]
            Error::Patch(refusal) => return refusal.describe(out),
            Error::RunningUnconfirmed => RUNNING_UNCONFIRMED,
            Error::Downgrade { running, offered } => {
                running.describe(out);
                out.push(" runs, and the older ");
                offered.describe(out);
                out.push(" ");
                DOWNGRADE
            }
            Error::NotNewer { running, offered } => {
                offered.describe(out);
                out.push(" is not newer than ");
                running.describe(out);
                out.push(": ");
                NOT_NEWER
            }
            Error::SameImage => SAME_IMAGE,
            Error::NotReceived => NOT_RECEIVED,
            Error::Damaged(fault) => return with(DAMAGED, fault, out),
            Error::NotKept { slot } => of_slot(*slot, NOT_KEPT, out),
            Error::ErasesToZero { slot } => of_slot(*slot, ERASES_TO_ZERO, out),
            Error::OldRuns(why) => return with(OLD_RUNS, why, out),
            Error::AlreadyConfirmed => ALREADY_CONFIRMED,
            Error::Unconfirmable => UNCONFIRMABLE,
            Error::CannotGoBack(fault) => return with(CANNOT_GO_BACK, fault, out),
            Error::NoWayBack => NO_WAY_BACK,
            Error::NewRuns => NEW_RUNS,
            Error::Flash { slot, kind } => {
                FLASH.tell_of((*slot).into(), out);
                out.push(": ");
                return tell_kind(*kind, out);
            }
        };
        cause.tell(out);
    }
}

fn with(cause: Cause, more: &dyn Describe, out: &mut Text<'_>) {
    cause.tell(out);
    out.push(": ");
    more.describe(out);
}

fn of_slot(slot: u8, cause: Cause, out: &mut Text<'_>) -> Cause {
    out.push("slot ");
    out.number(slot.into());
    out.push(" ");
    cause
}

displayed!(ImageFault, OldRuns, Error);

impl core::error::Error for Error {}
