//! The generated code is clean under lints that a user may have denied. Checked by `cargo clippy --all-targets`, which
//! fails on this file if it is not; compiled as a test, rustc's own lints are checked.
#![deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::future_not_send,
    missing_docs,
    unused_qualifications,
    unused_results
)]

use core::cell::Cell;
use core::future::ready;
use core::marker::PhantomData;
use std::rc::Rc;

use mender::update_module;
use mender::update_module::{Failure, ModuleSet, Payload};

/// What a generic module's flags depend on.
pub trait Mode {
    /// Whether the old software can come back.
    const REVERTS: bool;
}

/// A mode.
#[derive(Debug)]
pub struct Test;

impl Mode for Test {
    const REVERTS: bool = true;
}

const REBOOTS: bool = true;

/// All states, generics of all kinds, flags that are expressions.
#[derive(Debug)]
#[update_module(
    artifact_type = concat!("every", "thing"),
    requires_reboot = REBOOTS,
    supports_rollback = M::REVERTS,
    on(
        download = write,
        install = apply,
        reboot | rollback_reboot = restart,
        verify_reboot = apply,
        commit = apply,
        cleanup = apply,
        rollback = apply,
        rollback_verify_reboot = restart,
        failure = restart,
    )
)]
pub struct Everything<'a, M, const N: usize>
where
    M: Mode,
{
    data: &'a mut [u8; N],
    mode: PhantomData<M>,
}

impl<M: Mode, const N: usize> Everything<'_, M, N> {
    async fn write(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.data.fill(0);
        Ok(payload.finish().await?)
    }

    async fn apply(&mut self) -> Result<(), &'static str> {
        self.data.fill(0);
        ready(Ok(())).await
    }

    async fn restart(&mut self) -> Result<(), u8> {
        self.data.fill(1);
        ready(Err(1)).await
    }
}

/// One state.
#[derive(Debug, Default)]
#[update_module(artifact_type = "little", no_payload, on(install = apply))]
pub struct Little(u8);

impl Little {
    async fn apply(&mut self) -> Result<(), Failure> {
        self.0 = ready(1).await;
        Ok(())
    }
}

/// No state.
#[derive(Debug)]
#[update_module(artifact_type = "nothing", no_payload)]
pub struct Nothing;

/// Its futures cannot be `Send`: of that the user may be told at the methods, but not at the attribute.
#[derive(Debug)]
#[update_module(artifact_type = "shared", no_payload, on(install = apply))]
pub struct NotSend(Rc<Cell<u8>>);

impl NotSend {
    #[expect(clippy::future_not_send, reason = "for an executor of one thread")]
    async fn apply(&mut self) -> Result<(), Failure> {
        ready(()).await;
        self.0.set(1);
        Ok(())
    }
}

#[test]
fn the_modules_are_usable() {
    type Set<'a> = (Everything<'a, Test, 4>, Little, Nothing);
    assert!(Set::find("everything").is_some());
    assert!(Set::find("little").is_some());
    assert!(Set::find("nothing").is_some());
    assert!(<(NotSend,)>::find("shared").is_some());
    assert!(Set::DESCRIPTORS.iter().any(|descriptor| descriptor.supports_rollback));
}
