//! What an update costs in flash operations, counted: ours, and the bootloader's apart.

use mender::update_module::Payload;
use mender_testkit::flash::Counters;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, PAGES, SECTOR, image};

const WRITE: u64 = 4;
/// The `BUFFER` of the tests' module: so many bytes are written at once.
const BUFFER: u64 = 64;
const RECORD: u64 = 96;
const HASH: u64 = 32;

/// Flash operations, by what they are for.
struct Ledger {
    device: Device<4>,
}

impl Ledger {
    /// The counters of one step; no sector is erased twice in it.
    fn step(&self, name: &str, step: impl FnOnce(&Device<4>)) -> Counters {
        self.device.flash.reset_counters();
        step(&self.device);
        let counters = self.device.flash.counters();
        println!(
            "{name:<10} {:>3} erases, {:>3} writes, {:>5} bytes, {:>4} reads",
            counters.erases, counters.writes, counters.bytes_written, counters.reads
        );
        let erases = self.device.flash.sector_erases();
        assert!(erases.iter().all(|count| *count <= 1), "{name}: {erases:?}");
        counters
    }
}

fn update(new: &[u8]) {
    let len = new.len() as u64;
    let sector = SECTOR as u64;
    println!("an image of {len} bytes, sectors of {sector}, ACTIVE of {PAGES}:");
    let ledger = Ledger {
        device: Device::updated(),
    };
    let download = ledger.step("download", |device| {
        let mut source = MemoryPayload::new("embassy-boot-image", 1000).file("app.bin", new);
        block_on(device.module().write_dfu(&mut Payload::new(&mut source))).unwrap();
    });
    // Each sector of the image once, and that of the record unless it is one of them.
    let pages = len.div_ceil(sector).max(1);
    let record_apart = u64::from(pages < u64::from(PAGES));
    assert_eq!(download.erases, pages + record_apart);
    // The file's hash, and a mark for each sector that more comes behind, where there is room for them.
    let is_marked = cfg!(feature = "resume") && record_apart == 1;
    let marks = if is_marked { len / sector } else { 0 };
    let marked = if is_marked { HASH + marks * WRITE } else { 0 };
    // A buffer that crosses a sector's end is written in two.
    assert!(download.writes <= len.div_ceil(BUFFER) + pages + 1 + u64::from(is_marked) + marks);
    assert_eq!(download.bytes_written, len.next_multiple_of(WRITE) + RECORD + marked);

    let install = ledger.step("install", |device| block_on(device.module().request_swap()).unwrap());
    assert_eq!((install.erases, install.bytes_written), (1, WRITE));

    let swap = ledger.step("(swap)", |device| {
        device.boots().unwrap();
    });
    assert_eq!(swap.erases, 2 * u64::from(PAGES));

    let check = ledger.step("verify", |device| block_on(device.module().check_swapped()).unwrap());
    assert_eq!((check.erases, check.writes), (0, 0));

    let commit = ledger.step("commit", |device| block_on(device.module().confirm()).unwrap());
    assert_eq!((commit.erases, commit.bytes_written), (1, 3 * WRITE));

    let cleanup = ledger.step("cleanup", |device| block_on(device.module().discard()).unwrap());
    assert_eq!((cleanup.erases, cleanup.writes), (0, 0));

    // The way back, should the commit fail after all.
    let back = ledger.step("rollback", |device| block_on(device.module().request_revert()).unwrap());
    let steps = 2 * u64::from(PAGES);
    assert_eq!((back.erases, back.bytes_written), (1, (steps + 1) * WRITE));
    let revert = ledger.step("(revert)", |device| {
        device.boots().unwrap();
    });
    assert_eq!(revert.erases, steps + 1);
    assert_eq!(ledger.device.runs(), Some(1));
}

#[test]
fn an_update_writes_no_more_than_it_must() {
    update(&image(2));
    let room = Device::<4>::factory().record();
    update(&vec![0x55; room as usize]);
}
