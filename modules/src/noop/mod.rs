//! The module that installs nothing: [`Noop`].
//!
//! Depends on [`mod@mender::update_module`] only.

use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};

/// Takes artifacts of the type `noop` and changes nothing but the artifact name and the provides.
///
/// For trying out server, network and client on a device without a bootloader, and for artifacts that only exist to
/// move a device to another name or group of provides. The payload is skipped; the client verifies its checksums all
/// the same. No reboot, no rollback: there is nothing to bring back.
///
/// For another artifact type write a module of one's own; it is as short as this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noop;

impl UpdateModule for Noop {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: "noop",
        other_types: &[],
        requires_reboot: false,
        supports_rollback: false,
        states: States::NONE,
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        payload.finish().await?;
        Ok(())
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        match state {
            CallbackState::Install
            | CallbackState::Reboot
            | CallbackState::VerifyReboot
            | CallbackState::Commit
            | CallbackState::Cleanup
            | CallbackState::Rollback
            | CallbackState::RollbackReboot
            | CallbackState::RollbackVerifyReboot
            | CallbackState::Failure => Ok(()),
        }
    }
}
