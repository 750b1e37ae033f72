//! The guard of firmware whose bootloader does not go back.

use mender_modules::esp_ota::{Bootloader, Error, OldRuns, Slot, boot_guard};
use mender_testkit::esp_idf::{OtaEntry, ota_state};
use mender_testkit::flash::{CutAt, PowerCut};
use pollster::block_on;

use crate::device::{Device, parts};

impl Device {
    /// The first call in `main`; whether it restarts.
    fn guarded(&self) -> bool {
        let mut restarts = 0;
        let (_, mut otadata) = parts(&self.flash);
        block_on(boot_guard(&mut otadata, self.running, &mut || restarts += 1)).unwrap();
        restarts == 1
    }
}

#[test]
fn after_five_starts_the_old_image_comes_back() {
    let mut device = Device::factory(Bootloader::Keeps);
    device.requests(2);
    for _ in 0..5 {
        device.boots();
        assert_eq!(device.runs(), Some(2));
        assert!(!device.guarded());
    }
    // Until then it can be confirmed.
    let mut confirmed = Device {
        flash: device.flash.fork(),
        ..device.clone()
    };
    block_on(confirmed.module().check_runs()).unwrap();
    block_on(confirmed.module().confirm()).unwrap();
    for _ in 0..10 {
        confirmed.boots();
        assert_eq!(confirmed.runs(), Some(2));
        assert!(!confirmed.guarded());
    }
    device.boots();
    assert!(device.guarded());
    device.boots();
    assert_eq!(device.runs(), Some(1));
    assert!(!device.guarded());
    // What the client finds then.
    assert_eq!(
        block_on(device.module().check_runs()),
        Err(Error::OldRuns(OldRuns::NotRequested))
    );
    device.updates_to(3);
}

/// Nothing is written in ordinary starts, nor where a bootloader with rollback has the count, nor where nothing is to go back to.
#[test]
fn it_leaves_all_else_alone() {
    let mut device = Device::factory(Bootloader::Reverts);
    device.flash.reset_counters();
    assert!(!device.guarded());
    device.requests(2);
    device.boots();
    device.flash.reset_counters();
    assert!(!device.guarded());
    assert_eq!(device.flash.operations(), 0);

    let device = Device::factory(Bootloader::Keeps);
    device.set_entry(0, &OtaEntry::new(1, ota_state::NEW).to_bytes());
    device.set_entry(1, &[0xff; 32]);
    device.flash.reset_counters();
    for _ in 0..10 {
        assert!(!device.guarded());
    }
    assert_eq!(device.flash.operations(), 0, "the other slot has no entry");
    device.set_entry(1, &OtaEntry::new(4, ota_state::NEW).to_bytes());
    device.flash.reset_counters();
    assert!(!device.guarded());
    assert_eq!(
        device.flash.operations(),
        0,
        "another slot is selected than the one that runs"
    );
}

/// A cut in any of its operations: the new image starts once more, or the old one.
#[test]
fn a_cut_does_no_harm() {
    for operation in 1..=7 {
        for seed in 0..40 {
            let mut device = Device::factory(Bootloader::Keeps);
            device.requests(2);
            device.flash.reset_counters();
            device.flash.cut_power(PowerCut {
                operation,
                at: CutAt::Within { seed },
            });
            let mut starts = 0;
            loop {
                device.boots();
                starts += 1;
                assert!(starts < 12);
                if device.runs() == Some(1) {
                    break;
                }
                let (_, mut otadata) = parts(&device.flash);
                let _ = block_on(boot_guard(&mut otadata, device.running, &mut || ()));
                if !device.flash.power_is_on() {
                    device.flash.restore_power();
                }
            }
            assert!(starts >= 6, "{starts} starts");
            assert_eq!(device.running, Slot::Ota0);
        }
    }
}
