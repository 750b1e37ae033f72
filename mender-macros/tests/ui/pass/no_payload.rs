use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "nothing", no_payload)]
struct Nothing;

#[update_module(artifact_type = "a", no_payload, on())]
struct EmptyTable;

#[update_module(artifact_type = "a", no_payload, on(download = look))]
struct Looks;

impl Looks {
    async fn look(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        match payload.artifact().meta_data {
            Some(_) => Ok(()),
            None => Err(Failure::new("no meta-data")),
        }
    }
}

fn main() {}
