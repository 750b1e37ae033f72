//! Which image runs, and what each state does about it: what no power cut of the other tests comes to.

use mender::update_module::Payload;
use mender_modules::esp_ota::{Bootloader, Error, EspOta, OldRuns, Partition, Slot};
use mender_testkit::esp_idf::{OtaEntry, ota_state};
use mender_testkit::flash::Rewrites;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, SECTOR, SLOT, image, parts};
use crate::stuck::Stuck;

const BOTH: [Bootloader; 2] = [Bootloader::Reverts, Bootloader::Keeps];

#[test]
fn the_way_there_and_back() {
    for how in BOTH {
        let mut device = Device::factory(how);
        device.updates_to(2);
        assert_eq!(device.running, Slot::Ota1);
        // The same question again has the same answer.
        block_on(device.module().check_runs()).unwrap();
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(
            block_on(device.module().check_runs()),
            Err(Error::AlreadyConfirmed),
            "{how:?}"
        );
        for _ in 0..3 {
            device.boots();
            assert_eq!(device.runs(), Some(2));
        }
        // Even then there is a way back.
        block_on(device.module().request_old()).unwrap();
        block_on(device.module().request_old()).unwrap();
        // The device has not restarted: what is requested now stays so.
        block_on(device.module().discard()).unwrap();
        assert_eq!(block_on(device.module().check_went_back()), Err(Error::NewRuns));
        device.boots();
        assert_eq!(device.runs(), Some(1));
        block_on(device.module().check_went_back()).unwrap();
        assert_eq!(
            block_on(device.module().confirm()),
            Err(Error::OldRuns(OldRuns::NotRequested))
        );
        device.updates_to(3);
    }
}

#[test]
fn a_request_is_withdrawn() {
    for how in BOTH {
        for failure in [false, true] {
            let mut device = Device::factory(how);
            device.requests(2);
            block_on(device.module().request()).unwrap();
            assert_eq!(
                block_on(device.module().check_runs()),
                Err(Error::OldRuns(OldRuns::Pending))
            );
            assert_eq!(block_on(device.module().check_went_back()), Err(Error::NotSelected));
            if failure {
                block_on(device.module().discard()).unwrap();
            } else {
                block_on(device.module().request_old()).unwrap();
            }
            block_on(device.module().check_went_back()).unwrap();
            device.boots();
            assert_eq!(device.runs(), Some(1));
        }
    }
}

#[test]
fn the_bootloader_goes_back_if_it_can() {
    let mut device = Device::factory(Bootloader::Reverts);
    device.updates_to(2);
    device.boots();
    assert_eq!(device.runs(), Some(1));
    assert_eq!(
        block_on(device.module().check_runs()),
        Err(Error::OldRuns(OldRuns::Reverted))
    );
    block_on(device.module().check_went_back()).unwrap();

    let mut device = Device::factory(Bootloader::Keeps);
    device.updates_to(2);
    device.boots();
    assert_eq!(device.runs(), Some(2));
    block_on(device.module().check_runs()).unwrap();
}

/// Said with rollback, built without: found out while the old image can still come back.
#[test]
fn a_bootloader_without_the_rollback_that_was_said_is_found_out() {
    let mut device = Device::factory(Bootloader::Keeps);
    device.requests(2);
    device.boots();
    device.how = Bootloader::Reverts;
    assert_eq!(block_on(device.module().check_runs()), Err(Error::NoRollback));
    block_on(device.module().request_old()).unwrap();
    device.boots();
    assert_eq!(device.runs(), Some(1));
}

/// The new image decays before it has started once: the bootloader starts the old one, and leaves otadata.
#[test]
fn a_refused_image_is_withdrawn() {
    for how in BOTH {
        let mut device = Device::factory(how);
        device.requests(2);
        let other = device.map().slots[1].start;
        device.flash.patch(other + 600, &[0x11]);
        device.boots();
        assert_eq!(device.runs(), Some(1));
        // Nothing is left that says so but the image itself.
        assert_eq!(
            block_on(device.module().check_runs()),
            Err(Error::OldRuns(OldRuns::NotReceived))
        );
        block_on(device.module().request_old()).unwrap();
        block_on(device.module().check_went_back()).unwrap();
        device.updates_to(3);
    }
}

#[test]
fn without_the_old_image_the_new_one_stays() {
    for how in BOTH {
        let mut device = Device::factory(how);
        device.updates_to(2);
        let old = device.map().slots[0].start;
        device.flash.patch(old + 600, &[0x11]);
        for state in [
            block_on(device.module().check_runs()),
            block_on(device.module().confirm()),
            block_on(device.module().check_went_back()),
            block_on(device.module().request_old()),
        ] {
            assert_eq!(state, Err(Error::CannotGoBack), "{how:?}");
        }
        for _ in 0..3 {
            device.boots();
            assert_eq!(device.runs(), Some(2));
        }
    }
}

#[test]
fn a_new_image_that_decays_is_not_committed() {
    let mut device = Device::factory(Bootloader::Keeps);
    device.updates_to(2);
    let new = device.map().slots[1].start;
    device.flash.patch(new + 600, &[0x11]);
    assert_eq!(block_on(device.module().check_runs()), Err(Error::Damaged));
    block_on(device.module().request_old()).unwrap();
    device.boots();
    assert_eq!(device.runs(), Some(1));
}

/// Of both, the slot that runs counts, not what otadata says: here that of a boot whose image was bad.
#[test]
fn an_unconfirmed_image_is_not_overwritten_from() {
    for how in BOTH {
        let mut device = Device::factory(how);
        device.requests(2);
        device.boots();
        device.flash.reset_counters();
        assert_eq!(device.download(&image(3)), Err(Error::RunningUnconfirmed));
        assert_eq!(block_on(device.module().request()), Err(Error::RunningUnconfirmed));
        assert_eq!(device.flash.operations(), 0);
    }
}

/// Without a valid entry of the old image a bootloader that gives the new one up would start `ota_0`, whatever is there.
#[test]
fn the_old_image_gets_an_entry_before_anything_else() {
    let mut device = Device::factory(Bootloader::Reverts);
    device.updates_to(2);
    block_on(device.module().confirm()).unwrap();
    // Serial flashing of `ota_0`, otadata erased, and `ota_0` does not start: ota_1 runs without an entry.
    device.set_entry(0, &[0xff; 32]);
    device.set_entry(1, &OtaEntry::new(1, ota_state::ABORTED).to_bytes());
    device.flash.patch(device.map().slots[0].start, &[0; 64]);
    device.boots();
    assert_eq!((device.running, device.runs()), (Slot::Ota1, Some(2)));
    device.requests(3);
    device.boots();
    assert_eq!((device.running, device.runs()), (Slot::Ota0, Some(3)));
    device.boots();
    assert_eq!((device.running, device.runs()), (Slot::Ota1, Some(2)));
}

/// Every pair of entries that boots the first image: it can be updated from, and gone back to.
#[test]
fn any_otadata_is_a_start() {
    let entries = || {
        let states = [0, 1, 2, 3, 4, 5, u32::MAX];
        let of = move |seq| states.map(|state| OtaEntry::new(seq, state).to_bytes());
        [1, 2, 3].into_iter().flat_map(of).chain([[0xff; 32]])
    };
    let mut starts = 0;
    for how in BOTH {
        for first in entries() {
            for second in entries() {
                let mut device = Device::factory(how);
                device.set_entry(0, &first);
                device.set_entry(1, &second);
                device.boots();
                assert_eq!(device.runs(), Some(1));
                match device.download(&image(2)) {
                    Err(Error::RunningUnconfirmed) => continue,
                    done => done.unwrap(),
                }
                starts += 1;
                block_on(device.module().request()).unwrap();
                device.boots();
                block_on(device.module().check_runs()).unwrap();
                if starts % 2 == 0 {
                    block_on(device.module().confirm()).unwrap();
                }
                block_on(device.module().request_old()).unwrap();
                device.boots();
                assert_eq!(device.runs(), Some(1));
                block_on(device.module().check_went_back()).unwrap();
                assert_eq!(device.flash.violations(), []);
            }
        }
    }
    assert!(starts > 700, "{starts}");
}

/// Flash that takes each word only once between erases is not what otadata needs, whatever its driver says.
#[test]
fn flash_that_takes_a_word_once_is_found_out() {
    let mut device = Device::factory(Bootloader::Keeps);
    device.requests(2);
    device.flash.set_rewrites(Rewrites::Refuse);
    let failed = block_on(device.module().discard());
    assert!(matches!(failed, Err(Error::Flash(Partition::Otadata, _))), "{failed:?}");
}

#[test]
fn what_was_written_is_read_back() {
    let record = (SLOT as usize - 1) * SECTOR;
    let bytes = image(2);
    let bits = 0x40;
    // Bytes without that bit.
    let places = (300..4000)
        .step_by(800)
        .filter_map(|from| (from..).find(|at| bytes[*at] & bits == 0))
        .chain([record + 8, record + 12]);
    for offset in places {
        let device = Device::factory(Bootloader::Keeps);
        let (slots, otadata) = parts(&device.flash);
        let slots = slots.map(|flash| Stuck { flash, offset, bits });
        let mut module =
            EspOta::<_, _, _>::new(slots, otadata, Slot::Ota0, Bootloader::Keeps, || ()).expect("partitions");
        let mut source = MemoryPayload::new("esp-ota-image", 600).file("app.bin", bytes.clone());
        let result = block_on(module.write_slot(&mut Payload::new(&mut source)));
        assert_eq!(result, Err(Error::NotKept(Partition::Other)), "{offset}");
    }
    // The number and the state of the second entry.
    for offset in [SECTOR, SECTOR + 24] {
        let device = Device::factory(Bootloader::Keeps);
        device.download(&bytes).unwrap();
        let (slots, flash) = parts(&device.flash);
        let otadata = Stuck { flash, offset, bits };
        let mut module =
            EspOta::<_, _, _>::new(slots, otadata, Slot::Ota0, Bootloader::Keeps, || ()).expect("partitions");
        assert_eq!(block_on(module.request()), Err(Error::NotKept(Partition::Otadata)));
    }
}
