//! Whatever the generated code needs may mean something else where it is generated.
#![allow(dead_code, non_camel_case_types, unused_macros)]

type Result = ();
struct Option;
struct Ok;
struct Err;
struct Some;
struct None;
struct Failure;
struct Payload;
struct Descriptor;
struct States;
struct bool;
struct str;
trait UpdateModule {}
trait Future {}
mod core {}
mod std {}
mod mender {}
macro_rules! assert {
    () => {};
}
macro_rules! unreachable {
    () => {};
}

const YES: ::core::primitive::bool = true;
const TYPE: &::core::primitive::str = "a";

#[::mender::update_module(
    artifact_type = TYPE,
    requires_reboot = YES,
    supports_rollback = YES,
    on(
        download = write,
        reboot | rollback_reboot = restart,
        verify_reboot = restart,
        rollback = restart,
    )
)]
struct state;

impl state {
    async fn write(
        &mut self,
        _payload: &mut ::mender::update_module::Payload<'_>,
    ) -> ::core::result::Result<(), ::mender::update_module::Failure> {
        ::core::result::Result::Ok(())
    }

    async fn restart(&mut self) -> ::core::result::Result<(), ::mender::update_module::Failure> {
        ::core::result::Result::Ok(())
    }
}

#[::mender::update_module(artifact_type = "b", no_payload)]
struct payload;

fn main() {}
