use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "unit", on(download = write))]
struct Unit;

impl Unit {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module(artifact_type = "tuple", on(download = write))]
pub struct Tuple(u8, pub &'static str);

impl Tuple {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module(artifact_type = "named", on(download = write))]
pub(crate) struct Named {
    _field: [u8; 4],
}

impl Named {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    fn client(_: impl mender::update_module::ModuleSet) {}
    client((Unit, Tuple(1, ""), Named { _field: [0; 4] }));
}
