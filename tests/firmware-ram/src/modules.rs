//! Update modules that need no memory: they count the bytes that come.

use mender::update_module;
use mender::update_module::{Failure, Payload};

use crate::board::Board;

/// Counts, and expects as many as there are in the artifact.
async fn count(payload: &mut Payload<'_>, expected: usize) -> Result<(), Failure> {
    let mut len = 0;
    while let Some(mut file) = payload.next_file().await? {
        while let Some(chunk) = file.next_chunk().await? {
            len += chunk.len();
            // As a flash would.
            embassy_futures::yield_now().await;
        }
    }
    assert!(len == expected, "the module was given {len} bytes");
    Ok(())
}

/// Runs at once when it is installed.
#[update_module(artifact_type = "rootfs-image", on(download = receive, install = activate))]
pub struct Plain<'b> {
    pub board: &'b Board,
}

impl Plain<'_> {
    async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.board.doing.set("download without reboot");
        count(payload, 1500).await
    }

    async fn activate(&mut self) -> Result<(), Failure> {
        embassy_futures::yield_now().await;
        Ok(())
    }
}

/// Restarts the device.
#[update_module(
    artifact_type = "zephyr-image",
    requires_reboot,
    supports_rollback,
    on(
        download = receive,
        reboot | rollback_reboot = restart,
        verify_reboot = check,
        commit | rollback = keep
    )
)]
pub struct Rebooting<'b> {
    pub board: &'b Board,
}

impl Rebooting<'_> {
    async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.board.doing.set("download with reboot");
        count(payload, 102_397).await
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.board.restart_now().await;
        Ok(())
    }

    async fn check(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), Failure> {
        embassy_futures::yield_now().await;
        Ok(())
    }
}
