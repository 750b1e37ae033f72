//! Which image runs: one test per row of the table in the module's documentation, each from every start that leaves
//! something else in flash.

use embassy_boot::State;
use mender::update_module::PayloadError;
use mender_modules::embassy_boot::{Error, OldRuns};
use mender_testkit::flash::{CutAt, PowerCut};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, SECTOR, download, image};

type Small = Device<4>;

fn starts() -> [Small; 3] {
    [Small::factory(), Small::updated(), Small::reverted()]
}

fn received() -> [Small; 3] {
    starts().map(|device| {
        device.download(&image(2)).unwrap();
        device
    })
}

fn requested() -> [Small; 3] {
    received().map(|device| {
        block_on(device.module().request_swap()).unwrap();
        device
    })
}

fn under_test() -> [Small; 3] {
    requested().map(|device| {
        assert_eq!(device.boots(), Ok(State::Swap));
        assert_eq!(device.runs(), Some(2));
        device
    })
}

fn old_runs(device: &Small, why: OldRuns) {
    assert_eq!(block_on(device.module().check_swapped()), Err(Error::OldRuns(why)));
    assert_eq!(block_on(device.module().confirm()), Err(Error::OldRuns(why)));
}

/// Rolls back, restarts, and checks that the old image runs and stays.
fn goes_back(device: &Small) {
    block_on(device.module().request_revert()).unwrap();
    block_on(device.module().restart_into_old()).unwrap();
    device.boots().unwrap();
    assert_eq!(device.runs(), Some(1));
    block_on(device.module().check_reverted()).unwrap();
    block_on(device.module().discard()).unwrap();
    stays(device, 1);
    // What is left hinders no update.
    device.updates_to(3);
    assert_eq!(device.flash.violations(), []);
}

fn stays(device: &Small, version: u8) {
    for _ in 0..3 {
        device.boots().unwrap();
        assert_eq!(device.runs(), Some(version));
    }
}

#[test]
fn nothing_received() {
    let [factory, updated, reverted] = starts();
    for device in [&factory, &updated] {
        // A download that breaks after two thirds: what an earlier update has left no longer counts either.
        let source = MemoryPayload::new("embassy-boot-image", 100)
            .file("app.bin", image(2))
            .breaks_after(1000, PayloadError::Connection);
        assert_eq!(
            download(&mut device.module(), source),
            Err(Error::Payload(PayloadError::Connection))
        );
        old_runs(device, OldRuns::NotReceived);
        assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
        goes_back(device);
    }
    old_runs(&reverted, OldRuns::Reverted);
    old_runs(&Small::factory(), OldRuns::NotReceived);
}

/// The smallest image leaves most of what an earlier update has put into DFU where it is.
#[test]
fn a_short_image_over_an_earlier_update() {
    let device = Small::updated();
    device.download(&[1]).unwrap();
    old_runs(&device, OldRuns::NotRequested);
    device.dfu().flash().patch(device.dfu().range().start, &[0]);
    old_runs(&device, OldRuns::NotReceived);
    goes_back(&device);
}

#[test]
fn reset_before_the_request_was_complete() {
    for device in received() {
        stays(&device, 1);
        let why = match device.boots().unwrap() {
            State::Revert => OldRuns::Reverted,
            State::Boot | State::Swap | State::DfuDetach => OldRuns::NotRequested,
        };
        old_runs(&device, why);
        goes_back(&device);
    }
}

#[test]
fn request_without_a_boot() {
    for device in requested() {
        old_runs(&device, OldRuns::Pending);
        assert_eq!(
            block_on(device.module().check_reverted()),
            Err(Error::OldRuns(OldRuns::Pending))
        );
        assert_eq!(device.download(&image(3)), Err(Error::RunningUnconfirmed));
        // A second request changes nothing.
        let before = device.flash.to_bytes();
        block_on(device.module().request_swap()).unwrap();
        assert!(device.flash.to_bytes() == before);
        goes_back(&device);
    }
    for device in requested() {
        block_on(device.module().discard()).unwrap();
        stays(&device, 1);
        old_runs(&device, OldRuns::NotRequested);
    }
}

#[test]
fn swapped_and_under_test() {
    for device in under_test() {
        let before = device.flash.to_bytes();
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().discard()).unwrap();
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        assert_eq!(device.download(&image(3)), Err(Error::RunningUnconfirmed));
        assert_eq!(block_on(device.module().request_swap()), Err(Error::RunningUnconfirmed));
        block_on(device.module().request_revert()).unwrap();
        assert!(device.flash.to_bytes() == before);
        goes_back(&device);
    }
}

/// The same software again is an update like any other; images that differ in one late byte are two images.
#[test]
fn swapped_with_a_nearly_equal_image() {
    let mut other = image(1);
    *other.last_mut().unwrap() ^= 1;
    for new in [image(1), other] {
        for device in starts() {
            device.download(&new).unwrap();
            stays(&device, 1);
            assert!(matches!(
                block_on(device.module().check_swapped()),
                Err(Error::OldRuns(OldRuns::NotRequested | OldRuns::Reverted))
            ));
            block_on(device.module().request_swap()).unwrap();
            assert_eq!(device.boots(), Ok(State::Swap));
            assert!(device.active().to_bytes().starts_with(&new));
            block_on(device.module().check_swapped()).unwrap();
            block_on(device.module().confirm()).unwrap();
            assert_eq!(device.boots(), Ok(State::Boot));
            assert!(device.active().to_bytes().starts_with(&new));
            block_on(device.module().request_revert()).unwrap();
            device.boots().unwrap();
            block_on(device.module().check_reverted()).unwrap();
            assert_eq!(device.runs(), Some(1));
        }
    }
}

#[test]
fn swapped_and_confirmed() {
    for device in under_test() {
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().confirm()).unwrap();
        stays(&device, 2);
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        // After a success nothing is touched, so that the way back stays open.
        let before = device.flash.to_bytes();
        block_on(device.module().discard()).unwrap();
        assert!(device.flash.to_bytes() == before);
        goes_back(&device);
    }
}

/// The trap of embassy-boot's state: it says "revert" and the new image runs.
#[test]
fn swapped_and_power_lost_while_it_was_confirmed() {
    for device in under_test() {
        device.flash.cut_power(PowerCut {
            operation: 1,
            at: CutAt::After,
        });
        block_on(device.module().confirm()).unwrap_err();
        device.flash.restore_power();
        assert_eq!(device.boots(), Ok(State::Swap));
        assert_eq!(device.boots(), Ok(State::Revert));
        assert_eq!(device.runs(), Some(2));
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        block_on(device.module().confirm()).unwrap();
        stays(&device, 2);
        goes_back(&device);
    }
}

/// With a write unit of one byte a torn "boot" can be a "swap": it must not be one of images that are swapped already.
#[test]
fn a_torn_confirmation_requests_nothing() {
    let device = Device::<1>::factory();
    device.updates_to(2);
    for operation in [3, 4] {
        for seed in 0..200 {
            let device = device.copy();
            let at = CutAt::Within { seed };
            device.flash.cut_power(PowerCut { operation, at });
            block_on(device.module().confirm()).unwrap_err();
            device.flash.restore_power();
            for _ in 0..3 {
                device.boots().unwrap();
                assert_eq!(device.runs(), Some(2), "{operation} {seed}");
            }
            block_on(device.module().confirm()).unwrap();
            block_on(device.module().request_revert()).unwrap();
            device.boots().unwrap();
            assert_eq!(device.runs(), Some(1), "{operation} {seed}");
        }
    }
}

/// A confirmation that was dropped, not cut: the boot that would put its remains in order has not come.
#[test]
fn swapped_and_a_confirmation_was_cancelled() {
    for device in under_test() {
        device.flash.cut_power(PowerCut {
            operation: 1,
            at: CutAt::After,
        });
        block_on(device.module().confirm()).unwrap_err();
        device.flash.restore_power();
        goes_back(&device);
    }
}

#[test]
fn reverted_by_the_bootloader() {
    for device in under_test() {
        device.boots().unwrap();
        assert_eq!((device.runs(), device.boots()), (Some(1), Ok(State::Revert)));
        old_runs(&device, OldRuns::Reverted);
        goes_back(&device);
    }
}

/// The other trap: it says "boot" and the new image does not run.
#[test]
fn reverted_and_power_lost_at_the_end_of_it() {
    for device in under_test() {
        let whole = device.copy();
        whole.boots().unwrap();
        let operations = whole.flash.operations();
        device.flash.cut_power(PowerCut {
            operation: operations,
            at: CutAt::Before,
        });
        device.boots().unwrap_err();
        device.flash.restore_power();
        assert_eq!(device.boots(), Ok(State::Boot));
        assert_eq!(device.runs(), Some(1));
        old_runs(&device, OldRuns::NotRequested);
        goes_back(&device);
    }
}

#[test]
fn went_back_after_a_confirmation() {
    for device in under_test() {
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(
            block_on(device.module().check_reverted()),
            Err(Error::NewRuns),
            "not before the boot"
        );
        assert_eq!(device.boots(), Ok(State::Swap));
        assert_eq!(device.runs(), Some(1));
        old_runs(&device, OldRuns::Reverted);
        goes_back(&device);
    }
}

/// The bootloader checks nothing: it would revert to what is left of the old image.
#[test]
fn no_way_back_without_an_intact_old_image() {
    for device in under_test() {
        let dfu = device.dfu().range();
        device.flash.patch(dfu.start + SECTOR as u32 + 100, &[0xff]);
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::CannotGoBack));
        assert_eq!(block_on(device.module().confirm()), Err(Error::CannotGoBack));
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::CannotGoBack));
        assert_eq!(block_on(device.module().restart_into_old()), Err(Error::CannotGoBack));
        stays(&device, 2);
        // It lives, and takes the next update.
        device.updates_to(3);
    }
}

#[test]
fn a_damaged_new_image_is_rolled_back() {
    for device in under_test() {
        device.flash.patch(device.active().range().start + 200, &[0xff]);
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::Damaged));
        goes_back(&device);
    }
}
