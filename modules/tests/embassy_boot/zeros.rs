//! Partitions that erase to 0x00: the module takes 0xff for erased, and refuses before anything of use is gone.

use embassy_boot::FirmwareUpdaterConfig;
use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::Payload;
use mender_modules::embassy_boot::{EmbassyBoot, Error, Partition};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, image};
use crate::zeros_flash::ErasesToZero;

fn receives(dfu: impl NorFlash, state: impl NorFlash, device: &Device<4>) -> Result<(), Error> {
    let config = FirmwareUpdaterConfig { dfu, state };
    let mut module = EmbassyBoot::<_, _, _, fn()>::new(config, device.active(), || ()).unwrap();
    let mut source = MemoryPayload::new("embassy-boot-image", 100).file("app.bin", image(2));
    block_on(module.write_dfu(&mut Payload::new(&mut source)))
}

#[test]
fn state_tells_before_anything_is_erased() {
    let device = Device::<4>::factory();
    let refused = Err(Error::ErasesToZero(Partition::State));
    // As it was erased; and under test, after a swap of all pages: DFU holds the old image.
    let state = device.state().range();
    for swapped in [false, true] {
        if swapped {
            device.flash.patch(state.start, &[!0xf0; 4]);
            device.flash.patch(state.start + 8, &[!0xff; 4 * 2 * 6]);
        }
        device.flash.reset_counters();
        let state = ErasesToZero(device.state());
        assert_eq!(receives(device.dfu(), state.clone(), &device), refused);
        assert_eq!(receives(ErasesToZero(device.dfu()), state, &device), refused);
        assert_eq!(device.flash.operations(), 0);
    }
}

#[test]
fn dfu_tells_by_the_first_erase() {
    let device = Device::<4>::updated();
    device.flash.reset_counters();
    assert_eq!(
        receives(ErasesToZero(device.dfu()), device.state(), &device),
        Err(Error::ErasesToZero(Partition::Dfu))
    );
    let counters = device.flash.counters();
    assert_eq!((counters.erases, counters.writes), (1, 0));
    device.boots().unwrap();
    assert_eq!(device.runs(), Some(1));
}

#[test]
fn the_error_says_what_is_wrong() {
    assert_eq!(
        Error::ErasesToZero(Partition::State).to_string(),
        "STATE is 0x00 when erased: flash must erase to 0xff"
    );
}
