//! Modules that lack a callback: their tables do not list it, so it is never called.

use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};
use mender_testkit::device::ResetLine;

use super::bench::Bench;
use super::script::{Scripted, SharedScript};
use super::{DAY, Ended, Site};

/// Payload types of modules without one of the callbacks, in the order of [`CallbackState::ALL`].
macro_rules! without {
    ($kind:literal) => {
        [
            concat!($kind, "-without-install"),
            concat!($kind, "-without-reboot"),
            concat!($kind, "-without-verify_reboot"),
            concat!($kind, "-without-commit"),
            concat!($kind, "-without-cleanup"),
            concat!($kind, "-without-rollback"),
            concat!($kind, "-without-rollback_reboot"),
            concat!($kind, "-without-rollback_verify_reboot"),
            concat!($kind, "-without-failure"),
        ]
    };
}

/// Whether it reboots and rolls back.
const TYPES: [[[&str; 9]; 2]; 2] = [
    [without!("app"), without!("app-back")],
    [without!("firmware-forward"), without!("firmware")],
];

/// A module whose table does not list the state of this number.
struct Lacking<const REBOOT: bool, const ROLLBACK: bool, const STATE: usize>(Scripted<REBOOT, ROLLBACK>);

impl<const REBOOT: bool, const ROLLBACK: bool, const STATE: usize> Lacking<REBOOT, ROLLBACK, STATE> {
    fn new(script: &SharedScript, reset: &ResetLine) -> Self {
        Lacking(Scripted::new(script, reset))
    }
}

impl<const REBOOT: bool, const ROLLBACK: bool, const STATE: usize> UpdateModule for Lacking<REBOOT, ROLLBACK, STATE> {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: TYPES[REBOOT as usize][ROLLBACK as usize][STATE],
        other_types: &[],
        requires_reboot: REBOOT,
        supports_rollback: ROLLBACK,
        states: {
            let mut states = States::NONE;
            let mut index = 0;
            while index < CallbackState::ALL.len() {
                if index != STATE {
                    states = states.with(CallbackState::ALL[index]);
                }
                index += 1;
            }
            states
        },
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.0.download(payload).await
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        self.0.call(state).await
    }
}

const INSTALL: usize = CallbackState::Install as usize;
const REBOOT: usize = CallbackState::Reboot as usize;
const VERIFY_REBOOT: usize = CallbackState::VerifyReboot as usize;
const COMMIT: usize = CallbackState::Commit as usize;
const CLEANUP: usize = CallbackState::Cleanup as usize;
const ROLLBACK: usize = CallbackState::Rollback as usize;
const ROLLBACK_REBOOT: usize = CallbackState::RollbackReboot as usize;
const ROLLBACK_VERIFY_REBOOT: usize = CallbackState::RollbackVerifyReboot as usize;
const FAILURE: usize = CallbackState::Failure as usize;

/// Runs a deployment of a module that lacks a callback. A device has eight modules, so there are three of them.
pub fn run_lacking(bench: &mut Bench, kind: &str, lacks: &str) -> Ended {
    type App<const STATE: usize> = Lacking<false, false, STATE>;
    type AppBack<const STATE: usize> = Lacking<false, true, STATE>;
    type Forward<const STATE: usize> = Lacking<true, false, STATE>;
    type Firmware<const STATE: usize> = Lacking<true, true, STATE>;
    let over: fn(&Site) -> bool = Site::over;
    match (kind, lacks) {
        ("firmware", lacks) if lacks != "failure" => bench.run_with(
            DAY,
            |script, reset| {
                (
                    Firmware::<INSTALL>::new(script, reset),
                    Firmware::<REBOOT>::new(script, reset),
                    Firmware::<VERIFY_REBOOT>::new(script, reset),
                    Firmware::<COMMIT>::new(script, reset),
                    Firmware::<CLEANUP>::new(script, reset),
                    Firmware::<ROLLBACK>::new(script, reset),
                    Firmware::<ROLLBACK_REBOOT>::new(script, reset),
                    Firmware::<ROLLBACK_VERIFY_REBOOT>::new(script, reset),
                )
            },
            over,
        ),
        ("firmware-forward", _) | ("firmware", "failure") | ("app", "install") => bench.run_with(
            DAY,
            |script, reset| {
                (
                    Firmware::<FAILURE>::new(script, reset),
                    Forward::<INSTALL>::new(script, reset),
                    Forward::<REBOOT>::new(script, reset),
                    Forward::<VERIFY_REBOOT>::new(script, reset),
                    Forward::<COMMIT>::new(script, reset),
                    Forward::<CLEANUP>::new(script, reset),
                    Forward::<FAILURE>::new(script, reset),
                    App::<INSTALL>::new(script, reset),
                )
            },
            over,
        ),
        _ => bench.run_with(
            DAY,
            |script, reset| {
                (
                    App::<COMMIT>::new(script, reset),
                    App::<CLEANUP>::new(script, reset),
                    App::<FAILURE>::new(script, reset),
                    AppBack::<INSTALL>::new(script, reset),
                    AppBack::<COMMIT>::new(script, reset),
                    AppBack::<CLEANUP>::new(script, reset),
                    AppBack::<ROLLBACK>::new(script, reset),
                    AppBack::<FAILURE>::new(script, reset),
                )
            },
            over,
        ),
    }
}
