use mender::update_module;
use mender::update_module::Payload;

#[derive(Debug)]
struct Refused;

#[update_module(artifact_type = "a", on(download = write))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

fn main() {}
