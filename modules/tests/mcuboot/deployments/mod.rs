//! The module in the real client, with the bootloader model: the kit's test of update modules, which plays every flow of a
//! deployment with power cuts at every operation of the chip, in the application and in the bootloader. The client's storage
//! and both slots are on the same chip.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | a board with MCUboot, of any mode and geometry |
//! | `limits.rs` | the moments of the module's "Limits" |
//! | `each_mode.rs` | each mode on one chip: a sample of the cuts in `cargo test`, all with `MENDER_TESTKIT_ALL=1` |
//! | `with_patches.rs` | each mode with patches in the place of images |
//! | `each_chip.rs` | each mode on chips of many kinds: the test target `mcuboot_chips`, which only `.ci/cuts` runs |

mod limits;

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use mender::UpdateModule;
use mender_modules::mcuboot::{Layout, ZephyrImage};
use mender_modules::{Restart, mcuboot};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::bootloader::{self, Mcuboot, Mode};
use mender_testkit::flash::Partition;
use mender_testkit::image::{ImageBuilder, ImageInfo, Version};
use mender_testkit::module_test::{Board, ModuleTest, Summary};

use crate::device::{TestMode, V1, V2, V3};

/// Sizes of a board, beside the write unit and the sectors, which are types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub max_align: u32,
    /// Sectors of slot 0 and of slot 1.
    pub slots: (u32, u32),
    /// Length of the bodies of the images: versions 1, 2 and 3.
    pub bodies: [usize; 3],
    /// Overwrite-only: only the image is copied.
    pub fast: bool,
    /// Also in the long set only a sample of second cuts.
    pub few_second_cuts: bool,
}

impl Geometry {
    /// Slots of so many sectors, as the mode has them by default, and images of more than one small sector.
    pub fn of<const WRITE: usize, const SECTOR: usize, M: TestMode>(sectors: u32) -> Geometry {
        Geometry {
            max_align: (WRITE as u32).max(8),
            slots: (sectors, sectors + M::SLOT1_SECTORS - 16),
            bodies: if SECTOR <= 1024 {
                [700, 1200, 900]
            } else {
                [SECTOR / 2, SECTOR + 300, SECTOR - 100]
            },
            fast: true,
            few_second_cuts: false,
        }
    }

    pub fn with_bodies(self, bodies: [usize; 3]) -> Geometry {
        Geometry { bodies, ..self }
    }

    /// Overwrite-only that copies the whole slot.
    pub fn whole(self) -> Geometry {
        Geometry { fast: false, ..self }
    }

    fn image(&self, version: Version) -> Vec<u8> {
        let [first, second, third] = self.bodies;
        let len = match version.major {
            1 => first,
            2 => second,
            _ => third,
        };
        ImageBuilder::new(version).body_len(len).build()
    }
}

/// The bootloader of a board, and the slot that it has started last.
#[derive(Clone)]
pub struct Boots {
    mcuboot: Mcuboot,
    /// In RAM, as it were: known from each boot anew.
    running: Rc<Cell<u8>>,
}

pub type Slot<const WRITE: usize, const SECTOR: usize> = Partition<WRITE, SECTOR>;
pub type Module<const WRITE: usize, const SECTOR: usize, M, R> =
    ZephyrImage<Slot<WRITE, SECTOR>, Slot<WRITE, SECTOR>, R, 64, M>;

impl Boots {
    fn new<const SECTOR: usize, M: TestMode>(geometry: &Geometry) -> Boots {
        let sector = SECTOR as u32;
        let (slot0, slot1) = (geometry.slots.0 * sector, geometry.slots.1 * sector);
        let end = slot0 + slot1;
        let mode = match M::of_bootloader(end..end + 2 * sector) {
            Mode::Overwrite { .. } => Mode::Overwrite { fast: geometry.fast },
            other @ (Mode::Move | Mode::Offset | Mode::Scratch { .. } | Mode::DirectXip) => other,
        };
        let mcuboot = Mcuboot::new(bootloader::Layout {
            slot0: 0..slot0,
            slot1: slot0..end,
            max_img_sectors: geometry.slots.0.max(geometry.slots.1),
        });
        Boots {
            mcuboot: mcuboot.with_mode(mode).with_max_align(geometry.max_align),
            running: Rc::default(),
        }
    }

    /// The slot that runs, and the other one.
    fn slots(&self) -> [Range<u32>; 2] {
        let layout = self.mcuboot.layout();
        let mut slots = [layout.slot0.clone(), layout.slot1.clone()];
        slots.rotate_left(self.running.get().into());
        slots
    }

    pub fn module<const WRITE: usize, const SECTOR: usize, M: TestMode>(
        &self,
        board: &Board<WRITE, SECTOR>,
    ) -> Module<WRITE, SECTOR, M, impl Restart + use<WRITE, SECTOR, M>> {
        let [primary, secondary] = self.slots();
        let layout = Layout {
            mode: M::default(),
            primary_len: primary.end - primary.start,
            secondary_len: secondary.end - secondary.start,
            sector_len: SECTOR as u32,
            write_len: WRITE as u32,
            max_align: self.mcuboot.max_align(),
            max_img_sectors: self.mcuboot.layout().max_img_sectors,
        };
        ZephyrImage::with_buffer(layout, board.flash(primary), board.flash(secondary), board.restart())
            .expect("the layout fits the slots")
    }

    /// What the bootloader has started, if it is intact.
    fn version<const WRITE: usize, const SECTOR: usize>(&self, board: &Board<WRITE, SECTOR>) -> Option<Version> {
        let [running, _] = self.slots();
        let bytes = board.flash(running).to_bytes();
        let image = ImageInfo::parse(&bytes).ok()?;
        image.hash_is_right(&bytes).then_some(image.version)
    }

    /// An image in slot 0 as a programmer leaves it: without a trailer, in direct-xip with one.
    fn program<const WRITE: usize, const SECTOR: usize>(&self, board: &Board<WRITE, SECTOR>, image: &[u8]) {
        let slot0 = &self.mcuboot.layout().slot0;
        board.chip().patch(slot0.start, image);
        if *self.mcuboot.mode() == Mode::DirectXip {
            let max_align = self.mcuboot.max_align();
            let image_ok = 16u32.next_multiple_of(max_align) + max_align;
            board.chip().patch(slot0.end - image_ok, &[1]);
            board.chip().patch(slot0.end - 16, &bootloader::magic(max_align));
        }
    }
}

/// The test of the module in a mode, on a board of this geometry.
pub fn test<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    geometry: Geometry,
) -> ModuleTest<Module<WRITE, SECTOR, M, impl Restart>, WRITE, SECTOR> {
    test_of::<WRITE, SECTOR, M, _>(
        geometry,
        |boots, board| boots.module::<WRITE, SECTOR, M>(board),
        |artifact, _, new| artifact.file("zephyr.signed.bin", new),
    )
}

/// The test of a module of a kind, with an artifact that makes the second image of the first; the third one is always whole.
pub fn test_of<const WRITE: usize, const SECTOR: usize, M: TestMode, T: UpdateModule>(
    geometry: Geometry,
    make: impl Fn(&Boots, &Board<WRITE, SECTOR>) -> T + 'static,
    fill: fn(ArtifactWriter, &[u8], &[u8]) -> ArtifactWriter,
) -> ModuleTest<T, WRITE, SECTOR> {
    let boots = Boots::new::<SECTOR, M>(&geometry);
    let (making, looking, starting, programming) = (boots.clone(), boots.clone(), boots.clone(), boots.clone());
    let (excusing, dead) = (boots.clone(), boots);
    let test = ModuleTest::<_, WRITE, SECTOR>::on_chip(move |board: &Board<WRITE, SECTOR>| make(&making, board))
        .sectors((geometry.slots.0 + geometry.slots.1 + 2) as usize)
        .factory(move |board| programming.program(board, &geometry.image(V1)))
        .boot(move |board| {
            let outcome = starting.mcuboot.boot(board.chip())?;
            starting.running.set(outcome.slot);
            Ok(())
        })
        .observe(move |board| looking.version(board))
        .artifact(move |artifact| fill(artifact, &geometry.image(V1), &geometry.image(V2)))
        // Whichever of the two runs before.
        .next_artifact(move |artifact| artifact.file("zephyr.signed.bin", &geometry.image(V3)))
        // The module's own cuts are never excused.
        .excuse(move |board| board.is_booting() && limits::bootloader_forgets(&excusing.mcuboot, board))
        .excuse_dead_firmware(move |board| {
            board.is_booting() && limits::bootloader_does_not_revert(&dead.mcuboot, board)
        });
    if geometry.few_second_cuts {
        test.few_second_cuts()
    } else {
        test
    }
}

/// Runs a test, and says what it did: lines that `.ci/cuts` adds up.
pub fn passes<const WRITE: usize, const SECTOR: usize, M: TestMode>(geometry: Geometry) -> Summary {
    tell::<WRITE, SECTOR, M>(geometry, test::<WRITE, SECTOR, M>(geometry).run())
}

pub fn tell<const WRITE: usize, const SECTOR: usize, M: TestMode>(geometry: Geometry, summary: Summary) -> Summary {
    println!(
        "{}: {summary}",
        Named::<WRITE, SECTOR, M>(geometry, std::marker::PhantomData)
    );
    assert!(summary.cuts > 500, "{summary}");
    assert!(summary.excused * 200 <= summary.cuts, "{summary}");
    summary
}

struct Named<const WRITE: usize, const SECTOR: usize, M>(Geometry, std::marker::PhantomData<M>);

impl<const WRITE: usize, const SECTOR: usize, M: mcuboot::Mode + Default> fmt::Display for Named<WRITE, SECTOR, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Geometry {
            max_align, slots, fast, ..
        } = self.0;
        write!(f, "{:?}", M::default())?;
        if !fast {
            f.write_str(" (whole slot)")?;
        }
        write!(
            f,
            ", {WRITE}-byte words, max_align {max_align}, slots of {} and {} sectors of {SECTOR}",
            slots.0, slots.1
        )
    }
}
