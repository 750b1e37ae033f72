//! The `#[update_module]` attribute of the `mender` crate. Use it through `mender`, which re-exports it.
//!
//! Four steps, each a file: `args.rs` reads the attribute's arguments, `parse.rs` the struct's head, `check.rs` applies
//! the rules, `expand.rs` writes the code. All work on `proc_macro2` and are tested without a compiler.
#![forbid(unsafe_code)]

mod args;
mod check;
mod errors;
mod expand;
mod names;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Turns a struct into an update module: the attribute is the table of the states it handles.
///
/// ```
/// # extern crate mender;
/// # use mender::update_module;
/// # use mender::update_module::{Failure, Payload};
#[doc = include_str!("../docs/definition.rs")]
///
/// impl<F> ZephyrImage<F> {
///     async fn write_slot(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
///         while let Some(mut file) = payload.next_file().await? {
///             while let Some(chunk) = file.next_chunk().await? { /* write it */ }
///         }
///         Ok(())
///     }
///
///     async fn request_swap(&mut self) -> Result<(), &'static str> { Ok(()) }
///     // ...
/// #   async fn restart(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn check_swapped(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn confirm(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn request_revert(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn discard(&mut self) -> Result<(), Failure> { Ok(()) }
/// }
/// # fn main() { let _ = ZephyrImage { flash: () }.flash; }
/// ```
///
/// The struct stays as it is, with fields of your choice; lifetimes, type and const parameters and where clauses are
/// fine. The methods are ordinary inherent methods, private or not, that can be documented and tested without a client.
/// The attribute adds nothing but an implementation of the trait `mender::UpdateModule`, which can also be written by hand.
///
/// # Arguments
///
/// | argument | meaning |
/// |---|---|
/// | `artifact_type = "..."` | Required. The payload type of the artifacts that this module installs. Not empty. Also a const expression (`artifact_type = M::TYPE`). |
/// | `on(state = method, ...)` | The states it handles. `reboot \| rollback_reboot = restart` gives one method to several states, which it may be told: see "States". |
/// | `requires_reboot` | The new software runs only after a restart: the states with `reboot` in their name are entered. Also `requires_reboot = <const expression>`. |
/// | `supports_rollback` | The old software can be brought back: the states with `rollback` in their name are entered. Also `supports_rollback = <const expression>`. |
/// | `no_payload` | The artifacts have no files. `download` may then be missing; an artifact that has a file fails before `download` is called. |
/// | `crate = path` | Where the `mender` crate is, if it has another name or is re-exported. Without it, `::mender`. |
///
/// # States
///
/// Every method is an `async fn` (or returns a future) that takes `&mut self` (or `&self`) and returns `Result<(), E>`.
/// `E` is any type that implements `Display`, each method may have its own; its text reaches the log and the
/// deployment log on the server, cut to 96 bytes. If it also implements `mender::text::Describe`, that is asked for the text,
/// and no `core::fmt` is linked for it. The signatures:
///
/// - `download`: `async fn name(&mut self, payload: &mut Payload<'_>) -> Result<(), E>`
/// - every other state: `async fn name(&mut self) -> Result<(), E>`, or, for one that several states share,
///   `async fn name(&mut self, state: CallbackState) -> Result<(), E>` (unless its name is `call`, the trait's own)
///
/// A state that is not listed succeeds at once. Power may be lost in each; the last column says which state follows
/// then, after the restart. Where it is the same one the method runs again, as often as power is lost, and must finish
/// the job.
///
/// | state | when, and what for | after `Ok` | after `Err` | after a power cut in it |
/// |---|---|---|---|---|
/// | `download` | The artifact's header is verified and fits the device. Take the files; nothing may become active, as checksums are complete only at the end. | `install` | `cleanup`, failure reported; no rollback, as nothing was installed | nothing was recorded: `download`, from the beginning |
/// | `install` | Make the downloaded software the one that runs next. With `requires_reboot` nothing may be active before the reboot. | `reboot` with `requires_reboot`, else `commit` | `failure` with `requires_reboot`: what was prepared is undone there; else `rollback`, as the software may be half new | `verify_reboot` with `requires_reboot` (it finds the old software and fails, or the new one and goes on), else `rollback` |
/// | `reboot` | Restart the device. `Ok` means that the restart is under way: the client waits for it. | `verify_reboot`, after the restart | `rollback` | `verify_reboot` |
/// | `verify_reboot` | First after the restart: does the new software run, and does it work? | `commit` | `rollback` | `verify_reboot` |
/// | `commit` | The new software has logged in to the server and reported. Make it permanent, but keep what a rollback needs. | success reported, `cleanup` | `rollback` | `rollback` |
/// | `cleanup` | The deployment is over, well or badly: release what it used. Only here may the old software be dropped after a success. | the end | logged; the end | `cleanup`; of a failed deployment as in `failure`, with `rollback_verify_reboot` first where there is one; of a failed `download` that again |
/// | `rollback` | Get back to the old software, also after a `commit` that was cut, and if `install` never began. | `rollback_reboot` with `requires_reboot`, else `failure` | `failure`; the artifact name gets the suffix `_INCONSISTENT` | `rollback` |
/// | `rollback_reboot` | Restart the device into the old software. | `rollback_verify_reboot`, after the restart | `rollback_verify_reboot` | `rollback_verify_reboot` |
/// | `rollback_verify_reboot` | Does the old software run again? | `failure` | `rollback_reboot` again, until the limit of transitions | `rollback_verify_reboot` |
/// | `failure` | The deployment failed after its download: leave the old software in use, undo what `install` did. | `cleanup` | logged; `cleanup` | `failure`; with `requires_reboot` and `supports_rollback` first `rollback_verify_reboot`, as the restart may have started the new software |
///
/// Without `supports_rollback` nothing is called where the table says `rollback`: the deployment goes on with `failure`.
///
/// # Flash
///
/// What most modules need beside a driver is there, so that nobody writes it by hand:
///
/// - `mender::update_module::FlashWriter` takes chunks of any length and writes whole write units, erasing just ahead; it can hold back the
///   start of a file until it was checked. Its page says what a power cut leaves.
/// - `?` takes the errors of the driver and of the writer where a method returns `Failure`.
/// - `mender::update_module::now` reads flash where nothing can be awaited: in an inventory, in the test kit's `observe`.
///
/// # Rules
///
/// Checked when the module is compiled, each with a message at the token in question; where a rule depends on a const
/// expression, by an assertion when the constant is evaluated (for a generic module, where it is used).
///
/// - `artifact_type` is there, once, and not empty. Two modules of one client have different ones.
/// - `download` is listed, unless there is `no_payload`; its method, which takes the payload, serves no other state.
/// - No argument and no state is unknown or there twice.
/// - `requires_reboot` needs `reboot` and `verify_reboot`. Without it no state of a reboot is listed, as none is called.
/// - `supports_rollback` needs `rollback`, and with `requires_reboot` also `rollback_reboot`. Without it no state of a
///   rollback is listed.
/// - Where a flag is a const expression, states that its value rules out may be listed all the same: the table leaves
///   them out. So one generic module serves bootloaders that can go back and others (`supports_rollback = M::REVERTS`).
/// - The item is a struct.
///
/// # Expansion
///
/// The definition above becomes itself and this. The futures are those of the methods: there is no allocation, and they
/// are `Send` if the methods' are.
///
/// ```
/// # extern crate mender;
/// # use mender::update_module::{Failure, Payload};
#[doc = include_str!("../docs/expansion.rs")]
/// # impl<F> ZephyrImage<F> {
/// #   async fn write_slot(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> { Ok(payload.finish().await?) }
/// #   async fn request_swap(&mut self) -> Result<(), &'static str> { Ok(()) }
/// #   async fn restart(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn check_swapped(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn confirm(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn request_revert(&mut self) -> Result<(), Failure> { Ok(()) }
/// #   async fn discard(&mut self) -> Result<(), Failure> { Ok(()) }
/// # }
/// # fn main() { let _ = ZephyrImage { flash: () }.flash; }
/// ```
#[proc_macro_attribute]
pub fn update_module(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), item.into()).into()
}
