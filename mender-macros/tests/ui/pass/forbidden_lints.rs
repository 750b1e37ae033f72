//! The generated code passes lints that cannot be allowed again.
#![forbid(
    warnings,
    missing_docs,
    unsafe_code,
    unused_qualifications,
    unused_results,
    single_use_lifetimes,
    missing_debug_implementations,
    unreachable_pub,
    unused_lifetimes,
    let_underscore_drop,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    trivial_casts,
    variant_size_differences,
    keyword_idents,
    non_ascii_idents,
    future_incompatible,
    rust_2024_compatibility,
    nonstandard_style
)]
use mender::update_module;
use mender::update_module::{Failure, Payload};

const REBOOTS: bool = true;

/// A module.
#[derive(Debug)]
#[update_module(
    artifact_type = "a",
    requires_reboot = REBOOTS,
    on(download = write, reboot = restart, verify_reboot = restart)
)]
pub(crate) struct Module<'a, T> {
    field: &'a T,
}

impl<T> Module<'_, T> {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        let _ = self.field;
        Ok(())
    }
}

fn main() {
    fn client(_: impl update_module::ModuleSet) {}
    client((Module { field: &1 },));
}
