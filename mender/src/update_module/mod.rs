//! Update modules: how a device learns to install one kind of update.
//!
//! - [`UpdateModule`]: the trait; usually implemented by the attribute [`macro@crate::update_module`].
//! - [`Descriptor`]: a module's table as a constant: artifact type, flags, states.
//! - [`Payload`]: the files of an artifact, pulled by a module in its download state.
//! - [`FlashWriter`]: writes them to flash, whatever its write unit and the chunks that come.
//! - [`now`]: reads flash where nothing can be awaited, as for an inventory or in the kit's `observe`.
//! - [`ModuleSet`]: a tuple of modules, the client's static registration; hosts may bring a set that is known at run time.
//!
//! Depends on nothing else in this crate, but for the artifact's header that programs of a host are told (`std`). The states and their
//! order are those of mender-mcu (see [`deployment`](crate::deployment) for when each is entered).
//!
//! # A module for two slots, state by state
//!
//! The firmware runs from slot A. A bootloader starts slot B once if it is asked to, and slot A again at the next restart unless B has
//! been confirmed. What the module does, and why just then:
//!
//! | state | what it does | why not earlier or later |
//! |---|---|---|
//! | `download` | writes the artifact into slot B, and checks it as the bootloader will | checksums are complete only at the end: nothing may point at B yet |
//! | `install` | asks the bootloader to try B | one write: after a power cut the bootloader has been asked, or not |
//! | `reboot` | restarts | |
//! | `verify_reboot` | looks which slot runs; fails in A | the bootloader may have refused B, or gone back already |
//! | `commit` | confirms B | only now has B reached the server. Confirmed earlier, a B without network could not be taken back |
//! | `cleanup` | nothing, or erases the other slot | until here `commit` may be followed by `rollback` |
//! | `rollback` | in B, confirmed: asks for A. In B, not confirmed: nothing, as the bootloader goes back by itself. In A: withdraws the request | it is called after each of these |
//! | `rollback_reboot` | restarts, unless A runs | |
//! | `rollback_verify_reboot` | fails in B | |
//! | `failure` | withdraws a request that is still there | else the next restart, for whatever reason, would try B |
//!
//! `mender-modules` has this for MCUboot, embassy-boot and ESP-IDF's bootloader.

mod descriptor;
mod failure;
mod flash_writer;
#[cfg(feature = "macros")]
pub(crate) mod generated;
mod meta_data;
mod now;
mod payload;
mod set;

pub use descriptor::{CallbackState, Descriptor, States, Traits};
pub use failure::{FAILURE_TEXT_LEN, Failure};
pub use flash_writer::{FlashWriteError, FlashWriter};
pub use now::now;
pub use payload::{Artifact, File, Payload, PayloadError, PayloadEvent, PayloadSource};
pub use set::{Late, ModuleIndex, ModuleSet};

use core::future::Future;

/// One kind of update: what to do in each state of a deployment.
///
/// Most modules are written with [`macro@crate::update_module`], which generates this implementation from a
/// list of states and methods; it adds nothing that cannot be written by hand.
///
/// # Power loss
///
/// Power can be lost in every state, and the state is then entered again or answered with a rollback
/// (see [`CallbackState`] for which). Every callback must therefore be idempotent: called again after a cut
/// anywhere inside it, it must finish the job.
///
/// # Cancellation
///
/// The client drops a callback's future only when the whole client is dropped. A module need not be safe
/// against being polled again after that, but what it left in flash must be safe as after a power cut.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an update module",
    label = "not an update module",
    note = "annotate the struct with `#[update_module(artifact_type = \"...\", on(download = ...))]`, or implement `UpdateModule` by hand"
)]
pub trait UpdateModule {
    /// The module's table: artifact type, flags and the states it handles.
    const DESCRIPTOR: Descriptor;

    /// The state `download`: takes the payload's files and puts them where they will be installed from.
    ///
    /// Called when the artifact's header has been verified, fits the device, and names this module's artifact
    /// type. Nothing may become active here: checksums are complete only at the payload's end, and the artifact
    /// only after this call. If power is lost, nothing was recorded: the download starts again from the beginning, but
    /// for what the module [has](File::have).
    ///
    /// # Errors
    ///
    /// Any [`Failure`] ends the deployment: `cleanup` is called and the failure reported. No rollback, as nothing
    /// was installed.
    fn download(&mut self, payload: &mut Payload<'_>) -> impl Future<Output = Result<(), Failure>>;

    /// Every other state. Called only for states in [`DESCRIPTOR`](UpdateModule::DESCRIPTOR)`.states`; a state that
    /// is not listed there succeeds without a call.
    ///
    /// # Errors
    ///
    /// What a failure causes depends on the state: see [`CallbackState`].
    fn call(&mut self, state: CallbackState) -> impl Future<Output = Result<(), Failure>>;
}
