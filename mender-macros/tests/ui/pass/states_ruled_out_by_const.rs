//! One generic module for bootloaders that can go back and others: what a const flag rules out is listed, but not in the
//! table.

use mender::UpdateModule;
use mender::update_module;
use mender::update_module::{CallbackState, Failure, Payload};

trait Mode {
    const REBOOTS: bool;
    const REVERTS: bool;
}

struct Both;

impl Mode for Both {
    const REBOOTS: bool = true;
    const REVERTS: bool = true;
}

struct OneWay;

impl Mode for OneWay {
    const REBOOTS: bool = true;
    const REVERTS: bool = false;
}

struct AtOnce;

impl Mode for AtOnce {
    const REBOOTS: bool = false;
    const REVERTS: bool = true;
}

#[update_module(
    artifact_type = "a",
    requires_reboot = M::REBOOTS,
    supports_rollback = M::REVERTS,
    on(
        download = write,
        reboot | verify_reboot | commit | rollback | rollback_reboot | rollback_verify_reboot = look,
    )
)]
struct Module<M: Mode>(M);

impl<M: Mode> Module<M> {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn listed<M: Mode>() -> Vec<CallbackState> {
    let table = Module::<M>::DESCRIPTOR;
    CallbackState::ALL.into_iter().filter(|state| table.states.contains(*state)).collect()
}

fn main() {
    use CallbackState::{Commit, Reboot, Rollback, RollbackReboot, RollbackVerifyReboot, VerifyReboot};
    assert_eq!(
        listed::<Both>(),
        [Reboot, VerifyReboot, Commit, Rollback, RollbackReboot, RollbackVerifyReboot]
    );
    assert_eq!(listed::<OneWay>(), [Reboot, VerifyReboot, Commit]);
    assert_eq!(listed::<AtOnce>(), [Commit, Rollback]);
}
