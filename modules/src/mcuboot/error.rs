//! Why a callback of the module failed.

use core::fmt::{self, Debug, Display};

use mender::update_module::PayloadError;

use super::image::Version;

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
    /// The image has no SHA-256 TLV.
    NoHash,
    /// The SHA-256 of the image is not the one in its TLV.
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

impl Display for ImageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageFault::NotAnImage => f.write_str("not an MCUboot image: sign it with imgtool"),
            ImageFault::HeaderLen => f.write_str("the image header states a length below 32"),
            ImageFault::TooLarge { len, room } => {
                write!(
                    f,
                    "{len} bytes, but {room} fit: sign without --pad, or shrink the image"
                )
            }
            ImageFault::Truncated => f.write_str("the image is cut short: sign and upload it again"),
            ImageFault::Encoded => f.write_str("encrypted or compressed images are not supported"),
            ImageFault::NotBootable => f.write_str("the image is flagged as not bootable"),
            ImageFault::LoadsToRam => f.write_str("the image is flagged to run from RAM: sign it without --load-addr"),
            ImageFault::Tlv => f.write_str("the image's TLVs are malformed: sign it again"),
            ImageFault::NoHash => f.write_str("the image has no SHA-256 TLV: sign it with imgtool"),
            ImageFault::WrongHash => f.write_str("the image's SHA-256 is wrong"),
            ImageFault::WrongAddress { linked, slot } => {
                write!(
                    f,
                    "the image is linked for {linked:#x}, the slot is at {slot:#x}: use the other build"
                )
            }
            ImageFault::SharesTrailer => f.write_str("the image shares a sector with the trailer"),
            ImageFault::NotConfirmed => f.write_str("the image is not confirmed, the bootloader would erase it"),
        }
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

impl Display for OldRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OldRuns::NotRequested => "the swap was not requested",
            OldRuns::Pending => "no restart yet, or the bootloader ignores the request",
            OldRuns::Refused => "the bootloader refused the new one; check its signature",
            OldRuns::Erased => "the bootloader erased the new one: refused, or not confirmed in time",
            OldRuns::Reverted => "the new one was reverted",
            OldRuns::Unsettled => "the way back is not settled",
            OldRuns::NotSwapped => "the slots were not swapped",
        })
    }
}

/// Why a callback of [`ZephyrImage`](super::ZephyrImage) failed. `P` and `S` are the errors of the flash that holds
/// the primary and the secondary slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<P, S> {
    /// The payload ended early.
    Payload(PayloadError),
    /// The payload has no file.
    NoFile,
    /// The payload has more than one file.
    SecondFile,
    /// The file was refused.
    Image(ImageFault),
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
    /// The flash of slot 0 failed.
    PrimaryFlash(P),
    /// The flash of slot 1 failed.
    SecondaryFlash(S),
}

impl<P: Debug, S: Debug> Display for Error<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Payload(error) => Display::fmt(error, f),
            Error::NoFile => f.write_str("the payload has no file: put one signed image into the artifact"),
            Error::SecondFile => f.write_str("the payload has a second file: put one image into an artifact"),
            Error::Image(fault) => Display::fmt(fault, f),
            Error::RunningUnconfirmed => {
                f.write_str("the running image is under test: confirm it, or restart to revert it")
            }
            Error::Downgrade { running, offered } => write!(f, "{running} runs, and the older {offered} is refused"),
            Error::NotNewer { running, offered } => {
                write!(f, "{offered} is not newer than {running}: it would never run")
            }
            Error::SameImage => f.write_str("this very image runs already"),
            Error::NotReceived => f.write_str("slot 1 holds no complete image of this module: deploy again"),
            Error::Damaged(fault) => write!(f, "slot 1 changed since the download: {fault}"),
            Error::NotKept { slot } => write!(f, "slot {slot} does not keep what is written: check flash and layout"),
            Error::OldRuns(why) => write!(f, "the old image runs: {why}"),
            Error::AlreadyConfirmed => {
                f.write_str("the new image is confirmed before its commit: let only the client confirm")
            }
            Error::Unconfirmable => f.write_str("the trailer of the running image is damaged: it cannot be confirmed"),
            Error::CannotGoBack(fault) => write!(f, "cannot go back, the old image is lost: {fault}"),
            Error::NoWayBack => f.write_str("cannot go back: the bootloader overwrites the old image"),
            Error::NewRuns => f.write_str("the new image still runs after the rollback"),
            Error::PrimaryFlash(error) => write!(f, "flash of slot 0: {error:?}"),
            Error::SecondaryFlash(error) => write!(f, "flash of slot 1: {error:?}"),
        }
    }
}

impl<P: Debug, S: Debug> core::error::Error for Error<P, S> {}

impl<P, S> From<PayloadError> for Error<P, S> {
    fn from(error: PayloadError) -> Self {
        Error::Payload(error)
    }
}
