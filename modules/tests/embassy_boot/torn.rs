//! An erase of STATE only sets bits, so a power cut within one can leave "swap" where "revert" or "boot" was. While the
//! images are swapped already, that must not become a request: the bootloader would swap them into each other.
//!
//! Each erase of the module is torn in thousands of ways here, because few of them do harm.

use embassy_boot::{FirmwareState, FirmwareUpdaterError, State};
use mender_modules::embassy_boot::Error;
use mender_testkit::flash::{CutAt, Operation, PowerCut};
use pollster::block_on;

use crate::device::Device;

const SEEDS: u64 = 5000;

/// What the client asks of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Confirm,
    Rollback,
}

impl Call {
    fn on<const WRITE: usize>(self, device: &Device<WRITE>) -> Result<(), Error> {
        match self {
            Call::Confirm => block_on(device.module().confirm()),
            Call::Rollback => block_on(device.module().request_revert()),
        }
    }

    /// A copy of the device after this call was cut in one of its operations, and what that was.
    fn cut<const WRITE: usize>(self, device: &Device<WRITE>, cut: PowerCut) -> (Device<WRITE>, Option<Operation>) {
        let device = device.copy();
        device.flash.cut_power(cut);
        self.on(&device).unwrap_err();
        let struck = device.flash.cut_operation();
        device.flash.restore_power();
        (device, struck)
    }

    /// Version 2 runs. Tears the erase in all ways: version 2 still runs after it, and the call finishes its job then.
    fn is_safe_when_torn<const WRITE: usize>(self, device: &Device<WRITE>) {
        let is_erase = |operation: &u64| {
            let (operation, at) = (*operation, CutAt::Before);
            let (_, struck) = self.cut(device, PowerCut { operation, at });
            matches!(struck, Some(Operation::Erase { .. }))
        };
        let operation = (1..10).find(is_erase).expect("it erases");
        for seed in 0..SEEDS {
            let at = CutAt::Within { seed };
            let (torn, _) = self.cut(device, PowerCut { operation, at });
            let case = format!("{self:?}, words of {WRITE}, seed {seed}");
            torn.boots().unwrap();
            assert_eq!(torn.runs(), Some(2), "{case}");
            self.on(&torn).unwrap();
            torn.boots().unwrap();
            let wanted = match self {
                Call::Confirm => 2,
                Call::Rollback => 1,
            };
            assert_eq!(torn.runs(), Some(wanted), "{case}");
        }
    }
}

/// Firmware confirms itself by embassy-boot's own means.
fn confirms_itself<const WRITE: usize>(device: &Device<WRITE>) -> Result<(), FirmwareUpdaterError> {
    block_on(FirmwareState::new(device.state(), &mut [0; WRITE]).mark_booted())
}

/// A confirmation is cut after its first word, and the bootloader makes "revert" of it: the new image runs, and nothing
/// says that the progress is not valid.
fn left_in_revert<const WRITE: usize>() -> Device<WRITE> {
    let device = Device::factory();
    device.updates_to(2);
    device.flash.cut_power(PowerCut {
        operation: 1,
        at: CutAt::After,
    });
    confirms_itself(&device).unwrap_err();
    device.flash.restore_power();
    device.boots().unwrap();
    assert_eq!(device.boots(), Ok(State::Revert));
    device
}

/// Nothing says it here either.
fn left_in_boot<const WRITE: usize>() -> Device<WRITE> {
    let device = Device::factory();
    device.updates_to(2);
    confirms_itself(&device).unwrap();
    assert_eq!(device.boots(), Ok(State::Boot));
    device
}

#[test]
fn a_torn_revert_asks_for_nothing() {
    for call in [Call::Confirm, Call::Rollback] {
        call.is_safe_when_torn(&left_in_revert::<1>());
        call.is_safe_when_torn(&left_in_revert::<4>());
    }
}

#[test]
fn a_torn_boot_asks_for_nothing() {
    Call::Rollback.is_safe_when_torn(&left_in_boot::<1>());
    Call::Rollback.is_safe_when_torn(&left_in_boot::<4>());
    // The module's own confirmation.
    let device = Device::<1>::factory();
    device.updates_to(2);
    Call::Confirm.on(&device).unwrap();
    Call::Rollback.is_safe_when_torn(&device);
}

/// Here "swap" is there already, and a single byte keeps it from counting: see "Limits" for longer words.
#[test]
fn a_torn_swap_asks_for_nothing_on_flash_written_by_the_byte() {
    let device = Device::<1>::factory();
    device.updates_to(2);
    Call::Confirm.is_safe_when_torn(&device);
}
