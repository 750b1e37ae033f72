//! Reading what is in both slots, for diagnosis. Depends on the flash and all below it.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;

use super::error::{Fault, ImageFault, Stop};
use super::flash::Slots;
use super::image::{self, Examiner, HEADER_LEN, Image};
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::trailer::{Cells, Flag, Magic, PERMANENT, REVERT, TEST};
use super::version::Version;

/// The kind of swap that a trailer's cell swap_info records. It decides nothing but how an interrupted swap ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapInfo {
    /// None: erased, or a number that stands for no kind.
    None,
    /// A test.
    Test,
    /// For good.
    Permanent,
    /// A revert.
    Revert,
}

impl SwapInfo {
    fn of(byte: u8) -> SwapInfo {
        match byte & 0x0f {
            TEST => SwapInfo::Test,
            PERMANENT => SwapInfo::Permanent,
            REVERT => SwapInfo::Revert,
            _ => SwapInfo::None,
        }
    }
}

/// What is where an image may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No image header.
    Empty,
    /// An image that the bootloader refuses.
    Damaged {
        /// The version in its header.
        version: Version,
        /// What is wrong with it.
        fault: ImageFault,
    },
    /// An image that states no hash which the module can reckon, but says that there is something else to check:
    /// [`ImageFault::HashNotSupported`]. The bootloader alone knows.
    Unchecked {
        /// The version in its header.
        version: Version,
    },
    /// An image whose hash is right.
    Intact(Image),
}

impl Content {
    /// Whether the bootloader may start it, as far as can be told without its keys.
    #[must_use]
    pub const fn may_boot(&self) -> bool {
        match self {
            Content::Intact(_) | Content::Unchecked { .. } => true,
            Content::Empty | Content::Damaged { .. } => false,
        }
    }

    /// The version in its header, if there is one.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        match self {
            Content::Empty => None,
            Content::Damaged { version, .. } | Content::Unchecked { version } => Some(*version),
            Content::Intact(image) => Some(image.version),
        }
    }
}

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// The trailer's magic.
    pub magic: Magic,
    /// The image was confirmed.
    pub image_ok: Flag,
    /// A swap was finished; direct-xip: the image was chosen at a boot.
    pub copy_done: Flag,
    /// The kind of swap.
    pub swap_info: SwapInfo,
    /// The image number in the cell of the kind.
    pub image_number: u8,
    /// What is at the start of the slot.
    pub at_start: Content,
    /// Swap using offset, slot 1: what is at the second sector, where a new image belongs.
    pub at_second_sector: Option<Content>,
}

/// What the bootloader will do at the next boot, as far as the two slots tell. It may also refuse an image for what is not
/// looked at here: signature, dependencies, security counter. With scratch, the record of an interrupted swap is in the scratch area
/// while the sectors of slot 0's trailer change places; if that area ends with the trailer's magic, the bootloader resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextBoot {
    /// Start the image in slot 0 (direct-xip: in the primary slot), and change nothing.
    Unchanged,
    /// Finish a swap that was interrupted.
    Resume,
    /// Swap, and revert at the boot after unless the image is confirmed.
    Test,
    /// Swap for good.
    Permanent,
    /// Swap back.
    Revert,
    /// Copy slot 1 over slot 0.
    Overwrite,
    /// Refuse the image that is requested, erase it or its trailer, and start the one in slot 0.
    Refuse,
    /// Direct-xip: start the image in the secondary slot.
    Secondary,
    /// Direct-xip: erase the primary slot, because its image was not confirmed or is damaged, and start the other.
    EraseAndSecondary,
    /// Nothing can be started.
    Nothing,
}

impl fmt::Display for NextBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NextBoot::Unchanged => "start the same image",
            NextBoot::Resume => "finish an interrupted swap",
            NextBoot::Test => "swap for a test: revert at the boot after unless confirmed",
            NextBoot::Permanent => "swap for good",
            NextBoot::Revert => "swap back, as the image under test was not confirmed",
            NextBoot::Overwrite => "copy slot 1 over slot 0",
            NextBoot::Refuse => "refuse the requested image and start the one in slot 0",
            NextBoot::Secondary => "start the image in the secondary slot",
            NextBoot::EraseAndSecondary => "erase the primary slot and start the image in the secondary slot",
            NextBoot::Nothing => "nothing can be started",
        })
    }
}

/// Both slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Slot 0; direct-xip: the slot given as the primary one.
    pub primary: SlotState,
    /// The other slot.
    pub secondary: SlotState,
    /// What follows.
    pub next: NextBoot,
}

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// Reads both slots, images included. Writes nothing. `compare_builds`: as the bootloader in direct-xip.
    pub(super) async fn inspect(&mut self, compare_builds: bool) -> Result<Inspection, Stop> {
        let cells = self.cells(Slot::Primary).await?;
        let at_start = self.content(Slot::Primary, 0, self.geometry.running_room).await?;
        let primary = SlotState::new(&cells, at_start, None);
        let cells = self.cells(Slot::Secondary).await?;
        let room = self.geometry.room;
        let at_start = self.content(Slot::Secondary, 0, room).await?;
        let at_second_sector = match self.geometry.image_offset {
            0 => None,
            start => Some(self.content(Slot::Secondary, start, room).await?),
        };
        let secondary = SlotState::new(&cells, at_start, at_second_sector);
        let next = match M::KIND {
            Kind::Move | Kind::Offset | Kind::Scratch => next_swap(M::KIND, &primary, &secondary),
            Kind::Overwrite => next_overwrite(&primary, &secondary),
            Kind::Xip => next_in_place(&primary, &secondary, compare_builds),
        };
        Ok(Inspection {
            primary,
            secondary,
            next,
        })
    }

    async fn content(&mut self, slot: Slot, start: u32, room: u32) -> Result<Content, Stop> {
        let Some(version) = image::version(self.read(slot, start, HEADER_LEN as u32).await?) else {
            return Ok(Content::Empty);
        };
        let room = room.min(self.geometry.slot_len(slot).saturating_sub(start));
        let mut examiner = Examiner::new(room, true);
        Ok(match self.examine(slot, start, &mut examiner).await? {
            Ok(()) => Content::Intact(examiner.image),
            Err(Fault::HashNotSupported) => Content::Unchecked { version },
            Err(fault) => Content::Damaged {
                version,
                fault: self.numbers.fault(fault),
            },
        })
    }
}

impl SlotState {
    fn new(cells: &Cells, at_start: Content, at_second_sector: Option<Content>) -> SlotState {
        let swap_info = SwapInfo::of(cells.swap_info());
        SlotState {
            magic: cells.magic(),
            image_ok: cells.image_ok(),
            copy_done: cells.copy_done(),
            swap_info,
            image_number: match swap_info {
                SwapInfo::None => 0,
                SwapInfo::Test | SwapInfo::Permanent | SwapInfo::Revert => cells.swap_info() >> 4,
            },
            at_start,
            at_second_sector,
        }
    }

    fn boots(&self) -> bool {
        self.at_start.may_boot()
    }

    fn may_boot(&self) -> NextBoot {
        if self.boots() {
            NextBoot::Unchanged
        } else {
            NextBoot::Nothing
        }
    }
}

/// The table "New swaps" of MCUboot's `docs/design.md`.
fn next_swap(kind: Kind, primary: &SlotState, secondary: &SlotState) -> NextBoot {
    // Slot 0's record of a swap gives way to a new request; with scratch it does not.
    let begun = (primary.magic, primary.copy_done) == (Magic::Good, Flag::Unset)
        && primary.swap_info != SwapInfo::None
        && (kind == Kind::Scratch || secondary.magic != Magic::Good);
    if begun {
        return NextBoot::Resume;
    }
    let wanted = match (secondary.magic, secondary.image_ok, secondary.copy_done) {
        (Magic::Good, Flag::Unset, Flag::Set) if kind == Kind::Offset => NextBoot::Revert,
        (Magic::Good, Flag::Unset, _) => NextBoot::Test,
        (Magic::Good, Flag::Set, _) => NextBoot::Permanent,
        (Magic::Good, Flag::Bad, _) | (Magic::Unset | Magic::Bad, _, _) => {
            match (primary.magic, primary.image_ok, primary.copy_done) {
                (Magic::Good, Flag::Unset, Flag::Set) => NextBoot::Revert,
                (Magic::Good | Magic::Unset | Magic::Bad, _, _) => return primary.may_boot(),
            }
        }
    };
    if primary.at_start == Content::Empty {
        return NextBoot::Nothing;
    }
    let image = match (secondary.at_second_sector, wanted) {
        (None, _) => secondary.at_start,
        // Accepted, but swapped as if it were at the start: all of slot 0 ends up one sector from its place.
        (Some(Content::Intact(_) | Content::Unchecked { .. }), NextBoot::Revert)
            if secondary.at_start == Content::Empty =>
        {
            return NextBoot::Nothing;
        }
        (Some(above), NextBoot::Revert) if secondary.at_start == Content::Empty => above,
        (Some(_), NextBoot::Revert) => secondary.at_start,
        // A header at the start is taken for an image in the wrong place.
        (Some(above), _) if secondary.at_start == Content::Empty => above,
        (Some(_), _) => Content::Empty,
    };
    match image {
        Content::Intact(_) | Content::Unchecked { .. } => wanted,
        Content::Empty | Content::Damaged { .. } if primary.boots() => NextBoot::Refuse,
        Content::Empty | Content::Damaged { .. } => NextBoot::Nothing,
    }
}

fn next_overwrite(primary: &SlotState, secondary: &SlotState) -> NextBoot {
    match (secondary.magic, secondary.image_ok, secondary.at_start) {
        (Magic::Good, Flag::Unset | Flag::Set, Content::Intact(_) | Content::Unchecked { .. }) => NextBoot::Overwrite,
        (Magic::Good, Flag::Unset | Flag::Set, Content::Damaged { .. }) if primary.boots() => NextBoot::Refuse,
        (Magic::Good | Magic::Unset | Magic::Bad, _, _) => primary.may_boot(),
    }
}

fn next_in_place(primary: &SlotState, secondary: &SlotState, compare_builds: bool) -> NextBoot {
    let version = |slot: &SlotState| {
        let version = slot.at_start.version()?;
        Some(version.compared(compare_builds))
    };
    let runs = |slot: &SlotState| {
        let reverts = slot.copy_done == Flag::Set && slot.image_ok != Flag::Set;
        slot.boots() && slot.magic == Magic::Good && !reverts
    };
    // An empty slot is lower than any version.
    if version(secondary) > version(primary) {
        match (runs(secondary), runs(primary)) {
            (true, _) => NextBoot::Secondary,
            (false, true) => NextBoot::Refuse,
            (false, false) => NextBoot::Nothing,
        }
    } else {
        match (runs(primary), runs(secondary)) {
            (true, _) => NextBoot::Unchanged,
            (false, true) => NextBoot::EraseAndSecondary,
            (false, false) => NextBoot::Nothing,
        }
    }
}
