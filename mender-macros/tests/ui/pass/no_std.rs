#![no_std]
#![no_implicit_prelude]

extern crate std;

use ::core::result::Result::{self, Ok};
use ::mender::update_module;
use ::mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", on(download = write))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module(artifact_type = "a", no_payload)]
struct Empty;

fn main() {}
