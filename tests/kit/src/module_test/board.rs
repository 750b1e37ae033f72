//! What a module finds on the simulated board, and how a test looks at it.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::device::ResetLine;
use crate::files::Files;
use crate::flash::{FlashError, Partition, SimFlash};
#[cfg(unix)]
use crate::folder::Folder;

/// Room for the client's own records, at the chip's end: at least this many bytes and two sectors.
const STORAGE_LEN: usize = 8192;

/// The simulated board: everything that survives a restart, and the reset line.
///
/// `WRITE` and `SECTOR` are the chip's write unit and erase unit in bytes. The module's part of the chip begins at offset
/// 0; the client's own storage lies behind it.
#[derive(Clone, Debug)]
pub struct Board<const WRITE: usize = 4, const SECTOR: usize = 4096> {
    chip: SimFlash<WRITE, SECTOR>,
    module_len: u32,
    files: Files,
    #[cfg(unix)]
    folder: Folder,
    reset: ResetLine,
    boots: Arc<AtomicU32>,
    is_booting: Arc<AtomicBool>,
}

impl<const WRITE: usize, const SECTOR: usize> Board<WRITE, SECTOR> {
    /// A blank board with so many sectors for the module.
    pub(super) fn new(module_sectors: usize) -> Self {
        let storage_sectors = STORAGE_LEN.div_ceil(SECTOR).next_multiple_of(2);
        let chip = SimFlash::new(module_sectors + storage_sectors);
        chip.set_halting(true);
        Board {
            files: Files::new(chip.power_supply()),
            #[cfg(unix)]
            folder: Folder::new(chip.power_supply()),
            chip,
            module_len: (module_sectors * SECTOR) as u32,
            reset: ResetLine::new(),
            boots: Arc::default(),
            is_booting: Arc::default(),
        }
    }

    /// Another board in the same state.
    pub(super) fn fork(&self) -> Self {
        let chip = self.chip.fork();
        Board {
            files: self.files.fork(chip.power_supply()),
            #[cfg(unix)]
            folder: self.folder.on(chip.power_supply()),
            chip,
            module_len: self.module_len,
            reset: ResetLine::new(),
            boots: Arc::default(),
            is_booting: Arc::new(self.is_booting().into()),
        }
    }

    /// Takes over another board's state; the handles of this one stay good.
    pub(super) fn take_over(&self, other: &Self) {
        self.chip.take_over(&other.chip);
    }

    /// A number that differs between boards in different states, and is equal between boards in the same: all that survives
    /// a restart goes into it.
    pub(super) fn digest(&self) -> u64 {
        self.chip.digest()
    }

    /// A range of the module's part of the chip, in bytes from the chip's start; both ends at sector borders.
    ///
    /// # Panics
    ///
    /// If the range leaves that part: ask for more with [`ModuleTest::sectors`](super::ModuleTest::sectors).
    pub fn flash(&self, range: Range<u32>) -> Partition<WRITE, SECTOR> {
        assert!(
            range.end <= self.module_len,
            "{range:?} leaves the module's part of the chip, which ends at {}: ask for more sectors",
            self.module_len
        );
        self.chip.partition(range)
    }

    /// The whole chip, for a bootloader and for looking at it.
    pub fn chip(&self) -> &SimFlash<WRITE, SECTOR> {
        &self.chip
    }

    /// Files that hang on the chip's power supply, for modules that update something else than flash.
    pub fn files(&self) -> Files {
        self.files.clone()
    }

    /// The board's disk as a folder of the host, for modules that work on a real file system: see
    /// [`folder`](crate::folder). `at` is an empty folder that belongs to the test; the disk of this board is put there unless
    /// it is there already, after a power cut as the cut has left it. Ask for it again whenever the board has booted.
    #[cfg(unix)]
    pub fn folder(&self, at: impl AsRef<std::path::Path>) -> Folder {
        self.folder.shown_at(at.as_ref())
    }

    /// The reset line. Pulling it restarts the board as soon as the callback at work returns or waits.
    pub fn reset(&self) -> ResetLine {
        self.reset.clone()
    }

    /// The same as a function, for modules that take one.
    pub fn restart(&self) -> impl Fn() + Clone + use<WRITE, SECTOR> {
        let line = self.reset();
        move || line.pull()
    }

    /// How often the board has booted in this deployment. For messages: nothing may depend on it, as on a real board.
    pub fn boots(&self) -> u32 {
        self.boots.load(Ordering::Relaxed)
    }

    /// Whether the bootloader is at work, and not the firmware. Without power: whether it was when the power went. For
    /// an [`excuse`](super::ModuleTest::excuse), which has what was struck then from the chip's
    /// [`cut_operation`](SimFlash::cut_operation).
    pub fn is_booting(&self) -> bool {
        self.is_booting.load(Ordering::Relaxed)
    }

    pub(super) fn set_booting(&self, is_booting: bool) {
        self.is_booting.store(is_booting, Ordering::Relaxed);
    }

    pub(super) fn set_boots(&self, boots: u32) {
        self.boots.store(boots, Ordering::Relaxed);
    }

    pub(super) fn count_boot(&self) {
        self.boots.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the client keeps its records.
    pub(super) fn storage(&self) -> Partition<WRITE, SECTOR> {
        self.chip.partition(self.module_len..self.chip.len() as u32)
    }

    /// The first rule of the chip that the module broke. What the client does in its own part is not the module's.
    pub(super) fn broken_rule(&self) -> Option<FlashError> {
        let of_module = |error: &FlashError| match error {
            FlashError::NotAligned { offset, .. }
            | FlashError::NotErased { offset }
            | FlashError::SetsBits { offset } => *offset < self.module_len,
            FlashError::OutOfBounds { .. } => true,
            FlashError::PowerLost | FlashError::Io(_) => false,
        };
        self.chip.violations().into_iter().find(of_module)
    }
}

/// Which software runs, as seen by [`ModuleTest::runs`](super::ModuleTest::runs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runs {
    /// What ran before the deployment.
    Old,
    /// What the artifact brought.
    New,
    /// What a second, different artifact brought: see [`ModuleTest::next_payload`](super::ModuleTest::next_payload).
    Next,
    /// None of them, completely.
    Neither,
}

/// A value that a test's eyes have seen: comparable with others of its kind.
pub(super) trait Seen: fmt::Debug + 'static {
    fn is(&self, other: &dyn Seen) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<T: PartialEq + fmt::Debug + 'static> Seen for T {
    fn is(&self, other: &dyn Seen) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A seen value for a message; not all of a long one.
pub(super) struct Shown<'s>(pub(super) &'s dyn Seen);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 120;
        let text = format!("{:?}", self.0);
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}
