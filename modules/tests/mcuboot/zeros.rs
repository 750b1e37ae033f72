//! Flash that erases to 0x00: the module takes 0xff for erased, and refuses before anything of use is gone.

use mender_modules::mcuboot::{
    DirectXip, Error, Mode, Overwrite, Request, SwapMove, SwapOffset, SwapScratch, ZephyrImage,
};
use mender_testkit::bootloader;
use mender_testkit::flash::Partition;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, Failed, TestMode, V1, V2, download, image};
use crate::zeros_flash::{ErasesToZero, inverted};

type Flash = ErasesToZero<Partition<8, 512>>;
type Module<M> = ZephyrImage<Flash, Flash, fn(), 64, M>;

/// Both slots on such flash: in slot 0 an image, and a trailer if cells are given.
fn device<M: TestMode>(cells: Option<(u8, u8)>) -> Device<8, 512, M> {
    let device = Device::<8, 512, M>::blank();
    let (slot0, slot1) = device.slots();
    device.flash.patch(slot0.start, &inverted(&image(V1)));
    device.flash.patch(slot1.start, &inverted(&image(V2)));
    if let Some((copy_done, image_ok)) = cells {
        device.flash.patch(slot0.end - 16, &inverted(&bootloader::magic(8)));
        device.flash.patch(slot0.end - 24, &[!image_ok]);
        device.flash.patch(slot0.end - 32, &[!copy_done]);
    }
    device.flash.reset_counters();
    device
}

fn module<M: TestMode>(device: &Device<8, 512, M>) -> Module<M> {
    let (slot0, slot1) = device.slots();
    let slot = |range| ErasesToZero(device.flash.partition(range));
    ZephyrImage::with_buffer(device.layout(), slot(slot0), slot(slot1), (|| ()) as fn()).unwrap()
}

fn receives<M: Mode>(module: &mut Module<M>) -> Result<(), Failed> {
    download(
        module,
        MemoryPayload::new("zephyr-image", 100).file("app.bin", image(V2)),
    )
}

/// Without a trailer in slot 0 there is nothing to go back to: the first erase tells.
fn found_out_by_the_first_erase<M: TestMode>() {
    let device = device::<M>(None);
    let before = device.flash.to_bytes();
    assert_eq!(receives(&mut module(&device)), Err(Error::ErasesToZero { slot: 1 }));
    let counters = device.flash.counters();
    assert_eq!((counters.erases, counters.writes), (1, 0));
    assert!(device.flash.to_bytes() == before, "the trailer was erased already");
    // Nothing is requested, and nothing is to be withdrawn.
    assert_eq!(block_on(module(&device).request_swap()), Err(Error::NotReceived));
    assert!(device.flash.to_bytes() == before);
}

#[test]
fn the_first_erase_tells_and_costs_nothing_of_use() {
    found_out_by_the_first_erase::<SwapMove>();
    found_out_by_the_first_erase::<SwapOffset>();
    found_out_by_the_first_erase::<SwapScratch>();
    found_out_by_the_first_erase::<Overwrite>();
}

/// The image under test reads as one that is not, and slot 1 holds the only one to go back to.
fn found_out_by_the_own_trailer<M: TestMode>(cells: (u8, u8)) {
    let device = device::<M>(Some(cells));
    let refused = Err(Error::ErasesToZero { slot: 0 });
    assert_eq!(receives(&mut module(&device)), refused);
    assert_eq!(block_on(module(&device).request(Request::Test)), refused);
    assert_eq!(device.flash.operations(), 0);
}

#[test]
fn a_trailer_in_slot_0_tells_before_anything_is_erased() {
    for cells in [(1, 0), (1, 1), (0, 1), (0, 0)] {
        found_out_by_the_own_trailer::<SwapMove>(cells);
        found_out_by_the_own_trailer::<SwapOffset>(cells);
        found_out_by_the_own_trailer::<SwapScratch>(cells);
        found_out_by_the_own_trailer::<Overwrite>(cells);
        found_out_by_the_own_trailer::<DirectXip>(cells);
    }
}

#[test]
fn the_error_says_what_is_wrong() {
    let error: Failed = Error::ErasesToZero { slot: 1 };
    assert_eq!(
        error.to_string(),
        "slot 1 is 0x00 when erased: flash must erase to 0xff"
    );
}

/// Zeros that somebody wrote where nothing is needed are no reason to refuse.
#[test]
fn zeros_on_ordinary_flash_are_erased() {
    let device = Device::<8, 512, SwapMove>::factory();
    let (slot0, slot1) = device.slots();
    device.flash.patch(slot0.end - 512, &[0; 512]);
    device.flash.patch(slot1.end - 512, &[0; 512]);
    device.download(&image(V2)).unwrap();
    block_on(device.module().request_swap()).unwrap();
    assert_eq!(device.boots().ran, Some(V2));
}
