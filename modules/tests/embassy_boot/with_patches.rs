//! The kit's test with patches: every power cut of a download that reads ACTIVE while it writes DFU, and all that follows.

use mender::UpdateModule;
use mender::update_module::{CallbackState, Descriptor, Failure, Payload};
use mender_modules::Restart;
use mender_modules::delta::{Memory, TakingPatches};
use mender_testkit::delta::{self, Compression};
use serde_json::Value;

use crate::deployments::{Module, Plan};

/// The module with memory of its own, as each start of the firmware makes another one. `None` while it downloads.
struct WithMemory<const WRITE: usize, const SECTOR: usize, R: Restart>(
    Option<Module<WRITE, SECTOR, SECTOR, SECTOR, R>>,
    Box<Memory>,
);

impl<const WRITE: usize, const SECTOR: usize, R: Restart> UpdateModule for WithMemory<WRITE, SECTOR, R> {
    const DESCRIPTOR: Descriptor = TakingPatches::<Module<WRITE, SECTOR, SECTOR, SECTOR, R>>::DESCRIPTOR;

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let module = self.0.take().expect("no download was cut in this run");
        let mut module = module.taking_patches(&mut self.1);
        let done = module.download(payload).await;
        self.0 = Some(module.into_module());
        done
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        let module = self.0.as_mut().expect("no download was cut in this run");
        module.call(state).await
    }
}

fn passes<const WRITE: usize, const SECTOR: usize>(pages: u32) {
    let plan = Plan::<WRITE, SECTOR, SECTOR, SECTOR>::of_pages(pages);
    let test = plan.test_of(
        move |board| WithMemory(Some(plan.module(board)), Box::default()),
        |artifact, old, new| {
            let meta_data = serde_json::from_str::<Value>(&delta::meta_data(old, new)).expect("JSON");
            artifact
                .payload_type("embassy-boot-image-delta")
                .meta_data(meta_data.as_object().expect("an object").clone())
                .file("app.patch", &delta::patch(old, new, Compression::HEATSHRINK))
        },
    );
    Plan::<WRITE, SECTOR, SECTOR, SECTOR>::tell(0, test.bound(100).run());
}

#[test]
fn words_of_1_byte_sectors_of_4096() {
    passes::<1, 4096>(3);
}

#[test]
fn words_of_8_bytes_sectors_of_2048() {
    passes::<8, 2048>(3);
}
