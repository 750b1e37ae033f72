//! The board's update module: the bundled one for MCUboot, and a self-test of the firmware before it may stay.

use std::rc::Rc;

use mender::UpdateModule;
use mender::update_module;
use mender::update_module::{CallbackState, Descriptor, Failure, Payload};
use mender_modules::Restart;
use mender_modules::delta::TakingPatches;
use mender_modules::mcuboot::ZephyrImage;

use crate::chip::Region;
use crate::terminal::{Terminal, Who};

/// What fails in the faulty firmware.
pub const FAULT: &str = "the sensor does not answer";

/// Updates the firmware.
#[update_module(
    artifact_type = "zephyr-image",
    requires_reboot,
    supports_rollback,
    on(
        download = write_slot,
        install = request_swap,
        reboot | rollback_reboot = restart,
        verify_reboot = verify,
        commit = confirm,
        rollback = request_revert,
        rollback_verify_reboot = check_reverted,
        cleanup | failure = discard,
    )
)]
pub struct Firmware<'m, R: Restart> {
    pub image: TakingPatches<'m, ZephyrImage<Region, Region, R>>,
    /// What the self-test of the running firmware will come to.
    pub healthy: bool,
    pub terminal: Rc<Terminal>,
}

impl<R: Restart> Firmware<'_, R> {
    fn say(&self, what: &str) {
        self.terminal.say(Who::Board, what);
    }

    async fn write_slot(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.image.download(payload).await?;
        self.say("has the image in slot 1, verified by reading it back");
        Ok(())
    }

    async fn request_swap(&mut self) -> Result<(), Failure> {
        self.image.module().request_swap().await.map_err(Failure::new)
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.image.module().restart().await.map_err(Failure::new)
    }

    async fn verify(&mut self) -> Result<(), Failure> {
        if !self.healthy {
            self.say(&format!("verify_reboot: the self-test FAILS: {FAULT}"));
            return Err(Failure::new(FAULT));
        }
        self.image.module().check_swapped().await.map_err(Failure::new)?;
        self.say("verify_reboot: the new image runs, and its self-test passes");
        Ok(())
    }

    async fn confirm(&mut self) -> Result<(), Failure> {
        self.image.module().confirm().await.map_err(Failure::new)?;
        self.say("commit: confirms the image, the bootloader will keep it");
        Ok(())
    }

    async fn request_revert(&mut self) -> Result<(), Failure> {
        self.image.module().request_revert().await.map_err(Failure::new)
    }

    async fn check_reverted(&mut self) -> Result<(), Failure> {
        self.image.module().check_reverted().await.map_err(Failure::new)?;
        self.say("rollback_verify_reboot: the old image runs again");
        Ok(())
    }

    async fn discard(&mut self) -> Result<(), Failure> {
        self.image.module().discard().await.map_err(Failure::new)
    }
}

/// The same for both types of artifacts: the attribute names one.
pub struct WithPatches<'m, R: Restart>(pub Firmware<'m, R>);

impl<R: Restart> UpdateModule for WithPatches<'_, R> {
    const DESCRIPTOR: Descriptor = Descriptor {
        other_types: TakingPatches::<ZephyrImage<Region, Region, R>>::DESCRIPTOR.other_types,
        ..Firmware::<R>::DESCRIPTOR
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.0.download(payload).await
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        self.0.call(state).await
    }
}
