//! The module in the real client, with the bootloader model: the kit's test of update modules.

use mender_modules::Restart;
use mender_modules::mcuboot::{Layout, SwapMove, ZephyrImage};
use mender_testkit::bootloader::{self, Flag, Magic, Mcuboot, SwapType, Trailer};
use mender_testkit::flash::Partition;
use mender_testkit::image::{ImageInfo, Version};
use mender_testkit::module_test::{Board, ModuleTest};

use crate::device::{V1, V2, image};

const SECTOR: usize = 512;
const SLOT_LEN: u32 = 16 * SECTOR as u32;

type Slot<const WRITE: usize> = Partition<WRITE, SECTOR>;
type Module<const WRITE: usize, R> = ZephyrImage<Slot<WRITE>, Slot<WRITE>, R, 64>;

fn slot<const WRITE: usize>(board: &Board<WRITE, SECTOR>, slot: u32) -> Slot<WRITE> {
    board.flash(slot * SLOT_LEN..(slot + 1) * SLOT_LEN)
}

fn mcuboot() -> Mcuboot {
    Mcuboot::new(bootloader::Layout {
        slot0: 0..SLOT_LEN,
        slot1: SLOT_LEN..2 * SLOT_LEN,
        max_img_sectors: 16,
    })
}

fn module<const WRITE: usize>(board: &Board<WRITE, SECTOR>) -> Module<WRITE, impl Restart + use<WRITE>> {
    let layout = Layout {
        mode: SwapMove,
        primary_len: SLOT_LEN,
        secondary_len: SLOT_LEN,
        sector_len: SECTOR as u32,
        write_len: WRITE as u32,
        max_align: 8,
        max_img_sectors: 16,
    };
    ZephyrImage::new(layout, slot(board, 0), slot(board, 1), board.restart()).expect("the layout fits the slots")
}

/// What the bootloader has started.
fn version<const WRITE: usize>(board: &Board<WRITE, SECTOR>) -> Option<Version> {
    let bytes = slot(board, 0).to_bytes();
    let image = ImageInfo::parse(&bytes).ok()?;
    image.hash_is_right(&bytes).then_some(image.version)
}

/// The moment named in the module's documentation, under "Limits": a torn erase makes a request of a test out of the
/// permanent one that leads back.
fn bootloader_forgets<const WRITE: usize>(board: &Board<WRITE, SECTOR>) -> bool {
    let trailers = [0, 1].map(|number| Trailer::read(&slot(board, number).to_bytes()));
    let way_back = matches!(trailers[0].swap_type, SwapType::Permanent | SwapType::Revert)
        && trailers[0].magic == Magic::Good
        && trailers[0].copy_done == Flag::Unset;
    way_back
        && trailers[1].magic == Magic::Good
        && trailers[1].image_ok == Flag::Unset
        && trailers[1].swap_type != SwapType::Test
}

fn test<const WRITE: usize>() -> ModuleTest<Module<WRITE, impl Restart>, WRITE, SECTOR> {
    ModuleTest::<_, WRITE, SECTOR>::on_chip(|board: &Board<WRITE, SECTOR>| module(board))
        .sectors(32)
        .factory(|board| board.chip().patch(0, &image(V1)))
        .boot(|board| mcuboot().boot(board.chip()).map(drop))
        .observe(version)
        .artifact(|artifact| artifact.file("zephyr.signed.bin", &image(V2)))
        .excuse(bootloader_forgets)
}

/// Cuts within the page markers of the client's storage, which have to be written again over their remains.
#[test]
fn cuts_within_a_marker_of_the_storage() {
    let events = test::<1>().play_one("the payload is damaged / cut 12 within 1012");
    assert!(events.is_ok(), "{}", events.unwrap_err());
    let two = "the server refuses the commit, a reset after failure / cut 107 before / cut 22 within 861";
    let events = test::<8>().play_one(two);
    assert!(events.is_ok(), "{}", events.unwrap_err());
}

fn passes<const WRITE: usize>() {
    let summary = test::<WRITE>().run();
    println!("{summary}");
    assert!(summary.cuts > 900 && summary.resets > 1000, "{summary}");
    assert!(summary.excused * 100 <= summary.deployments, "{summary}");
}

#[test]
fn every_flow_and_power_cut_on_flash_written_by_the_byte() {
    passes::<1>();
}

#[test]
fn every_flow_and_power_cut_on_flash_written_by_eight_bytes() {
    passes::<8>();
}
