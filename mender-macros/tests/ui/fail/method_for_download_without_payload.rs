use mender::update_module;
use mender::update_module::Failure;

#[update_module(artifact_type = "a", on(download = write))]
struct Module;

impl Module {
    async fn write(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
