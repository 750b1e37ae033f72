//! Every method may have an error type of its own; anything that implements `Display` will do.
use mender::update_module;
use mender::update_module::{Failure, Payload, PayloadError};

#[update_module(
    artifact_type = "a",
    requires_reboot,
    supports_rollback,
    on(
        download = download,
        install = install,
        reboot = reboot,
        verify_reboot = verify_reboot,
        commit = commit,
        cleanup = cleanup,
        rollback = rollback,
        rollback_reboot = rollback_reboot,
        rollback_verify_reboot = rollback_verify_reboot,
        failure = failure,
    )
)]
struct Module;

impl Module {
    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), PayloadError> {
        payload.finish().await
    }

    async fn install(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn reboot(&mut self) -> Result<(), &'static str> {
        Ok(())
    }

    async fn verify_reboot(&mut self) -> Result<(), String> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn cleanup(&mut self) -> Result<(), core::convert::Infallible> {
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }

    async fn rollback_reboot(&mut self) -> Result<(), u8> {
        Ok(())
    }

    async fn rollback_verify_reboot(&mut self) -> Result<(), impl core::fmt::Display> {
        Err(1)
    }

    async fn failure(&mut self) -> core::fmt::Result {
        Ok(())
    }
}

fn main() {}
