mod mender {}

mod vendored {
    pub extern crate mender as ota;
}

use vendored::ota::update_module;
use vendored::ota::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", crate = crate::vendored::ota, on(download = write))]
struct Absolute;

impl Absolute {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module(artifact_type = "a", crate = vendored::ota, no_payload)]
struct Relative;

fn main() {}
