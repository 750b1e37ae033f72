//! The futures can move to another thread when the module can: part of the attribute's promise.
use mender::update_module::{CallbackState, Failure, ModuleSet, Payload};
use mender::{UpdateModule, update_module};

#[update_module(artifact_type = "a", on(download = write, install = apply))]
struct Module<T>(T);

impl<T> Module<T> {
    async fn write(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        while let Some(mut file) = payload.next_file().await? {
            while let Some(chunk) = file.next_chunk().await? {
                core::future::ready(chunk.len()).await;
            }
        }
        Ok(())
    }

    async fn apply(&mut self) -> Result<(), &'static str> {
        core::future::ready(Ok(())).await
    }
}

#[update_module(artifact_type = "b", no_payload)]
struct Empty;

fn send<T: Send>(_: T) {}

fn futures(module: &mut Module<u8>, payload: &mut Payload<'_>) {
    send(module.download(payload));
    send(module.call(CallbackState::Install));
    send(Empty.download(payload));
}

fn futures_of_a_set(modules: &mut (Module<String>, Empty), payload: &mut Payload<'_>) {
    let Some(first) = <(Module<String>, Empty)>::find("a") else {
        return;
    };
    send(ModuleSet::download(modules, first, payload));
    send(ModuleSet::call(modules, first, CallbackState::Install));
}

fn main() {
    let _ = (futures, futures_of_a_set);
}
