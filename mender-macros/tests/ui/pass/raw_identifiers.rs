use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", on(download = r#try, install = r#match))]
struct r#Module<r#Type>(r#Type);

impl<T> r#Module<T> {
    async fn r#try(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn r#match(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    let _ = Module(());
}
