//! Which image runs: one test per row of the table in the module's documentation, each from every start that leaves
//! another trailer in slot 0.

use mender_modules::mcuboot::{Error, ImageFault, OldRuns};
use mender_testkit::bootloader::{Flag, Mcuboot, SwapType};
use pollster::block_on;

use crate::device::{Small, V1, V2, V3, image};

fn starts() -> [Small; 3] {
    [Small::factory(), Small::updated(), Small::reverted()]
}

/// Each start with version 2 received, and requested if wanted.
fn received(requested: bool) -> Vec<Small> {
    let devices = Vec::from(starts());
    for device in &devices {
        device.download(&image(V2)).unwrap();
        if requested {
            block_on(device.module().request_swap()).unwrap();
        }
    }
    devices
}

fn old_runs(device: &Small, why: OldRuns) {
    assert_eq!(block_on(device.module().check_swapped()), Err(Error::OldRuns(why)));
    assert_eq!(block_on(device.module().confirm()), Err(Error::OldRuns(why)));
}

/// Rolls back, restarts, and checks that the old image runs and stays.
fn goes_back(device: &Small, swap: SwapType) {
    block_on(device.module().request_revert()).unwrap();
    block_on(device.module().request_revert()).unwrap();
    let boot = device.boots();
    assert_eq!((boot.ran, boot.swapped), (Some(V1), swap));
    block_on(device.module().check_reverted()).unwrap();
    block_on(device.module().discard()).unwrap();
    block_on(device.module().discard()).unwrap();
    stays(device, V1.major);
    // What is left in slot 1 does not hinder the next update.
    device.download(&image(V3)).unwrap();
    block_on(device.module().request_swap()).unwrap();
    assert_eq!(device.boots().ran, Some(V3));
    block_on(device.module().check_swapped()).unwrap();
    assert_eq!(device.flash.violations(), []);
}

fn stays(device: &Small, major: u8) {
    for _ in 0..2 {
        let boot = device.boots();
        assert_eq!((boot.ran.unwrap().major, boot.swapped), (major, SwapType::None));
    }
}

#[test]
fn reset_before_the_request_was_complete() {
    for device in received(false) {
        stays(&device, 1);
        old_runs(&device, OldRuns::NotRequested);
        goes_back(&device, SwapType::None);
    }
    // The magic was torn.
    for device in received(false) {
        device
            .flash
            .patch(device.boot.layout().slot1.end - 16, &[0x77, 0xc2, 0x95, 0xf3]);
        stays(&device, 1);
        old_runs(&device, OldRuns::NotRequested);
        goes_back(&device, SwapType::None);
    }
}

#[test]
fn request_without_a_boot() {
    for device in received(true) {
        old_runs(&device, OldRuns::Pending);
        assert_eq!(
            block_on(device.module().check_reverted()),
            Err(Error::OldRuns(OldRuns::Pending))
        );
        goes_back(&device, SwapType::None);
    }
    for device in received(true) {
        block_on(device.module().discard()).unwrap();
        stays(&device, 1);
    }
}

#[test]
fn swapped_and_under_test() {
    for device in received(true) {
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().check_swapped()).unwrap();
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        goes_back(&device, SwapType::Revert);
    }
}

/// The same software again is an update like any other: the images cannot be told apart, the states can.
#[test]
fn swapped_with_an_equal_image() {
    for device in starts() {
        device.download(&image(V1)).unwrap();
        stays(&device, 1);
        old_runs(&device, OldRuns::NotRequested);
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(device.boots().swapped, SwapType::Test);
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().confirm()).unwrap();
        stays(&device, 1);
    }
}

#[test]
fn swapped_and_confirmed() {
    for device in received(true) {
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().confirm()).unwrap();
        stays(&device, 2);
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        // After a success nothing is touched, so that the way back stays open.
        let before = device.flash.to_bytes();
        block_on(device.module().discard()).unwrap();
        assert!(device.flash.to_bytes() == before);
        goes_back(&device, SwapType::Permanent);
    }
}

#[test]
fn swapped_with_a_torn_confirmation() {
    for device in received(true) {
        assert_eq!(device.boots().ran, Some(V2));
        device.flash.patch(device.boot.layout().slot0.end - 24, &[0x81]);
        assert_eq!(device.trailer(0).image_ok, Flag::Bad);
        stays(&device, 2);
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::Unconfirmable));
        assert_eq!(block_on(device.module().confirm()), Err(Error::Unconfirmable));
        goes_back(&device, SwapType::Permanent);
    }
}

#[test]
fn reverted_by_the_bootloader() {
    for device in received(true) {
        assert_eq!(device.boots().ran, Some(V2));
        assert_eq!(device.boots().ran, Some(V1));
        old_runs(&device, OldRuns::Reverted);
        goes_back(&device, SwapType::None);
    }
}

#[test]
fn went_back_after_a_confirmation() {
    for device in received(true) {
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(
            block_on(device.module().check_reverted()),
            Err(Error::NewRuns),
            "not before the boot"
        );
        assert_eq!(device.boots().ran, Some(V1));
        old_runs(&device, OldRuns::Reverted);
        goes_back(&device, SwapType::None);
    }
}

#[test]
fn refused_by_the_bootloader() {
    for device in received(true) {
        let device = Small {
            boot: device.boot.clone().refusing(V2),
            ..device.clone()
        };
        let boot = device.boots();
        assert!(boot.refused);
        assert_eq!(boot.ran, Some(V1));
        let why = match device.trailer(0) {
            trailer if trailer.copy_done == Flag::Unset => OldRuns::NotSwapped,
            trailer if trailer.swap_type == SwapType::Revert => OldRuns::Reverted,
            _ => OldRuns::Refused,
        };
        old_runs(&device, why);
        goes_back(&device, SwapType::None);
    }
}

/// The bootloader's downgrade prevention ignores a request and leaves it where it is: as if there was no boot.
#[test]
fn ignored_by_the_bootloader() {
    for device in received(true) {
        old_runs(&device, OldRuns::Pending);
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(device.boot.decision(&device.flash).unwrap(), SwapType::None);
        block_on(device.module().check_reverted()).unwrap();
        assert_eq!((device.version(0), device.version(1)), (Some(V1), None));
    }
}

#[test]
fn withdrawn_by_the_module() {
    for device in received(true) {
        block_on(device.module().discard()).unwrap();
        assert_eq!(device.version(1), None);
        goes_back(&device, SwapType::None);
    }
}

#[test]
fn no_way_back_without_an_intact_old_image() {
    for device in received(true) {
        assert_eq!(device.boots().ran, Some(V2));
        device.flash.patch(device.boot.layout().slot1.start + 100, &[0]);
        let lost = Err(Error::CannotGoBack(ImageFault::WrongHash));
        assert_eq!(block_on(device.module().check_swapped()), lost);
        assert_eq!(block_on(device.module().request_revert()), lost);
    }
}

/// The golden decision table once more, for the trailers that this module leaves.
#[test]
fn every_state_decides_as_intended() {
    let decision = |device: &Small| -> SwapType {
        let boot: &Mcuboot = &device.boot;
        boot.decision(&device.flash).unwrap()
    };
    for device in starts() {
        assert_eq!(decision(&device), SwapType::None);
        device.download(&image(V2)).unwrap();
        assert_eq!(decision(&device), SwapType::None);
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(decision(&device), SwapType::Test);
        device.boots();
        assert_eq!(decision(&device), SwapType::Revert);
        block_on(device.module().confirm()).unwrap();
        assert_eq!(decision(&device), SwapType::None);
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(decision(&device), SwapType::Permanent);
    }
}
