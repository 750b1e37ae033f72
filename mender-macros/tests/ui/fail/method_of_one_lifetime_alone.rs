use mender::update_module;
use mender::update_module::Failure;

#[update_module(artifact_type = "a", no_payload, on(install = apply))]
struct Module<'a>(&'a u8);

impl Module<'static> {
    async fn apply(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
