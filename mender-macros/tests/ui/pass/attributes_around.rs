//! Attributes before and after, documentation, and a struct that is configured away together with its implementation.
#![deny(warnings)]
use mender::update_module;
use mender::update_module::{Failure, Payload};

/// Before.
#[derive(Debug)]
#[update_module(artifact_type = "a", on(download = write))]
/// After.
#[derive(Clone, Default)]
#[must_use]
pub struct Module {
    /// A field.
    pub field: u8,
}

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module(artifact_type = "b", on(download = no_such_method))]
#[cfg(any())]
struct Gone(NoSuchType);

#[deprecated]
#[update_module(artifact_type = "c", no_payload)]
pub struct DeprecatedBefore;

#[update_module(artifact_type = "c", no_payload, requires_reboot = core::mem::size_of::<u8>() == 0)]
#[deprecated]
pub struct DeprecatedAfter;

fn main() {
    println!("{:?}", Module::default().clone());
}
