//! Each mode with patches: every power cut of a download that reads the running image while it writes the new one, and all that follows. A
//! sample of the cuts, as with whole images.

use mender::UpdateModule;
use mender::update_module::{CallbackState, Descriptor, Failure, Payload};
use mender_modules::Restart;
use mender_modules::delta::{Memory, TakingPatches};
use mender_modules::mcuboot::{DirectXip, Overwrite, SwapMove, SwapOffset, SwapScratch, ZephyrImage};
use mender_testkit::delta::{self, Compression};
use mender_testkit::module_test::Board;
use serde_json::Value;

use crate::deployments::{Boots, Geometry, Module, Slot, tell, test_of};
use crate::device::TestMode;

/// The module with memory of its own, as each start of the firmware makes another one.
struct WithMemory<const WRITE: usize, const SECTOR: usize, M: TestMode, R: Restart> {
    /// Taken for a download only.
    module: Option<Module<WRITE, SECTOR, M, R>>,
    memory: Box<Memory>,
}

impl<const WRITE: usize, const SECTOR: usize, M: TestMode, R: Restart> UpdateModule
    for WithMemory<WRITE, SECTOR, M, R>
{
    const DESCRIPTOR: Descriptor =
        TakingPatches::<ZephyrImage<Slot<WRITE, SECTOR>, Slot<WRITE, SECTOR>, R, 64, M>>::DESCRIPTOR;

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let module = self.module.take().expect("no download was cut in this run");
        let mut module = module.taking_patches(&mut self.memory);
        let done = module.download(payload).await;
        self.module = Some(module.into_module());
        done
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        let module = self.module.as_mut().expect("no download was cut in this run");
        module.call(state).await
    }
}

fn make<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    boots: &Boots,
    board: &Board<WRITE, SECTOR>,
) -> WithMemory<WRITE, SECTOR, M, impl Restart + use<WRITE, SECTOR, M>> {
    WithMemory {
        module: Some(boots.module::<WRITE, SECTOR, M>(board)),
        memory: Box::default(),
    }
}

fn passes<const WRITE: usize, const SECTOR: usize, M: TestMode>(sectors: u32) {
    let geometry = Geometry::of::<WRITE, SECTOR, M>(sectors);
    let test = test_of::<WRITE, SECTOR, M, _>(geometry, make::<WRITE, SECTOR, M>, |artifact, old, new| {
        let meta_data = serde_json::from_str::<Value>(&delta::meta_data(old, new)).expect("JSON");
        artifact
            .payload_type("zephyr-image-delta")
            .meta_data(meta_data.as_object().expect("an object").clone())
            .file("zephyr.patch", &delta::patch(old, new, Compression::HEATSHRINK))
    });
    tell::<WRITE, SECTOR, M>(geometry, test.run());
}

#[test]
fn swap_move() {
    passes::<8, 512, SwapMove>(12);
}

#[test]
fn swap_offset() {
    passes::<4, 512, SwapOffset>(12);
}

#[test]
fn swap_scratch() {
    passes::<8, 512, SwapScratch>(12);
}

#[test]
fn overwrite() {
    passes::<4, 512, Overwrite>(12);
}

#[test]
fn direct_xip() {
    passes::<8, 512, DirectXip>(12);
}
