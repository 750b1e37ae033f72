//! Nothing requires a module to be `Send`: single-threaded executors do without.
use core::cell::Cell;
use std::rc::Rc;

use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", on(download = write))]
struct Module(Rc<Cell<u8>>);

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        let shared = Rc::clone(&self.0);
        core::future::ready(()).await;
        shared.set(1);
        Ok(())
    }
}

fn main() {
    fn client(_: impl mender::update_module::ModuleSet) {}
    client((Module(Rc::default()),));
}
