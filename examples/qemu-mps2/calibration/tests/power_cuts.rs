//! The module in the real client, on the kit's board: whatever happens to a deployment.

use calibration::{Calibration, SLOT, image};
use embassy_futures::block_on;
use mender::embedded_storage_async::nor_flash::NorFlash;
use mender_testkit::module_test::{Board, ModuleTest};

const PAGE: u32 = 4096;

/// A board that left the factory with a table.
fn made(board: &Board) {
    let mut page = vec![0xff; PAGE as usize];
    let mut len = 0;
    image(1, &[1; 500], |offset, bytes| {
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
        len = len.max(offset + bytes.len());
    });
    let mut flash = board.flash(0..2 * PAGE);
    block_on(flash.write(0, &page[..len.next_multiple_of(SLOT)])).expect("a new chip is erased");
}

/// What the table in use has; not its number, which goes up whatever it has.
fn in_use(board: &Board) -> (u32, u32) {
    let mut calibration = Calibration::new(board.flash(0..2 * PAGE));
    let table = block_on(calibration.active()).expect("there always is a good table");
    (table.len, table.sum)
}

#[test]
fn the_table_is_the_old_or_the_new_one_as_the_server_is_told() {
    let summary = ModuleTest::new(|board| Calibration::new(board.flash(0..2 * PAGE)))
        .factory(made)
        .observe(in_use)
        .payload([2; 777])
        .next_payload([3; 64])
        .run();
    println!("{summary}");
    assert!(summary.cuts > 100, "{summary}");
}

#[test]
fn a_new_chip_has_no_table() {
    let mut calibration = Calibration::new(mender_testkit::flash::SimFlash::<4, 4096>::new(2).partition(0..2 * PAGE));
    assert!(matches!(
        block_on(calibration.active()),
        Err(calibration::Error::NoTable)
    ));
}
