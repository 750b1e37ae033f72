//! Why a callback of the module failed.

use core::fmt::{self, Display};

use embassy_boot::FirmwareUpdaterError;
use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};
use mender::update_module::PayloadError;

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

impl Display for OldRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OldRuns::NotReceived => "DFU holds no complete image",
            OldRuns::NotRequested => "the swap was not requested",
            OldRuns::Pending => "no restart yet, or no embassy-boot there",
            OldRuns::Reverted => "the new one was reverted",
        })
    }
}

/// Why a callback of [`EmbassyBoot`](super::EmbassyBoot) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The payload ended early.
    Payload(PayloadError),
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
    NotKept(Partition),
    /// The old image runs.
    OldRuns(OldRuns),
    /// The new image runs, but is confirmed already, although its commit is still to come.
    AlreadyConfirmed,
    /// The new image runs, and the old one in DFU is gone or damaged.
    CannotGoBack,
    /// The new image still runs after the rollback.
    NewRuns,
    /// A partition's flash failed.
    Flash(Partition, NorFlashErrorKind),
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Payload(error) => Display::fmt(error, f),
            Error::NoFile => f.write_str("the payload has no file: put one raw image into the artifact"),
            Error::SecondFile => f.write_str("the payload has a second file: put one image into an artifact"),
            Error::Empty => f.write_str("the image is empty: put a raw binary image into the artifact"),
            Error::TooLarge { len, room } => {
                write!(
                    f,
                    "the image has {len} bytes, but {room} fit: shrink it, or send it as raw binary"
                )
            }
            Error::RunningUnconfirmed => {
                f.write_str("the running image is under test or a swap is pending: confirm it, or restart")
            }
            Error::NotReceived => f.write_str("DFU holds no complete image for this firmware: deploy again"),
            Error::Damaged => f.write_str("ACTIVE does not hold what was received: check flash and partitions"),
            Error::NotKept(part) => {
                let part = part.name();
                write!(f, "{part} does not keep what is written: check flash and partitions")
            }
            Error::OldRuns(why) => write!(f, "the old image runs: {why}"),
            Error::AlreadyConfirmed => {
                f.write_str("the new image is confirmed before its commit: let only the client confirm")
            }
            Error::CannotGoBack => f.write_str("cannot go back: the old image in DFU is lost"),
            Error::NewRuns => f.write_str("the new image still runs after the rollback"),
            Error::Flash(part, kind) => write!(f, "flash of {}: {kind:?}", part.name()),
        }
    }
}

impl core::error::Error for Error {}

impl From<PayloadError> for Error {
    fn from(error: PayloadError) -> Self {
        Error::Payload(error)
    }
}

/// For the driver's error of one partition.
pub(super) fn flash<E: NorFlashError>(part: Partition) -> impl FnOnce(E) -> Error {
    move |error| Error::Flash(part, error.kind())
}

/// For embassy-boot's error of an operation on one partition.
pub(super) fn updater(part: Partition) -> impl FnOnce(FirmwareUpdaterError) -> Error {
    move |error| match error {
        FirmwareUpdaterError::Flash(kind) => Error::Flash(part, kind),
        FirmwareUpdaterError::BadState => Error::RunningUnconfirmed,
        // Only `verify_and_mark_updated` checks signatures, which is not called.
        FirmwareUpdaterError::Signature(_) => Error::NotReceived,
    }
}
