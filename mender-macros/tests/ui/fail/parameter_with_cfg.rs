use mender::update_module;
use mender::update_module::Failure;

#[update_module(artifact_type = "a", no_payload, on(install = apply))]
struct Module<#[cfg(windows)] T, #[cfg(not(windows))] const N: usize>(#[cfg(windows)] T);

#[cfg(not(windows))]
impl<const N: usize> Module<N> {
    async fn apply(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
